#!/bin/busybox sh
# The first program of the guest: finds the disk, and goes on with what is there.
# Not on this file system itself, for a pod cannot pivot away from it.
export PATH=/bin
for module in /modules/*; do
    busybox insmod "$module" || busybox poweroff -f
done
busybox mount -t devtmpfs dev /dev
busybox mount -t ext4 /dev/vda /root || busybox poweroff -f
busybox umount /dev
exec busybox switch_root /root /init
