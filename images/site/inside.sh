#!/bin/sh
# Runs a command where nosecone.net is this host, in namespaces of its own:
#
#   unshare --mount --pid --fork --kill-child --net --mount-proc \
#       sh inside.sh SITE simple|meta COMMAND...
#
# SITE is what `cargo xtask images` made. A real HTTPS server answers on
# loopback; it ends with the namespaces.
set -eu
site=$1
kind=$2
shift 2
busybox ip link set lo up
mount --bind "$site/hosts" /etc/hosts
stunnel "$site/$kind.conf"
"$@"
