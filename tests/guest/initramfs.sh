#!/bin/busybox sh
# PID 1 of a guest that has no disk: all of it is in the kernel's first file
# system, as on many an embedded host. Pods run there.
/bin/busybox --install -s /bin
export PATH=/usr/bin:/bin
for module in /modules/*; do
    insmod "$module" || poweroff -f
done
mount -t devtmpfs dev /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
ip link set lo up
stty -F /dev/ttyS1 raw
exec </dev/null >/dev/ttyS1 2>&1

run() {
    /launcher --dir /store run "$@"
    echo "exit: $?"
}
run /images/busybox.aci -- -c 'echo inside; ls -d /images /launcher'
run /images/probe.aci -- --stdout both --- /images/busybox.aci -- -c true
/launcher --dir /store plan /images/busybox.aci | grep 'move-root\|pivot'
run --detach --name one /images/busybox.aci -- -c 'sleep 1000'
/launcher --dir /store enter one sh -c 'echo entered; ls -d /images'
/launcher --dir /store rm --force one >/dev/null
echo "the guest is done: $?"
poweroff -f
