#!/bin/busybox sh
# PID 1 of a guest, on its disk: makes it a host, and runs the tests whose names
# begin as the file `names` says. All that counts goes to the second serial
# line; the kernel has the first for itself.

# Nobody on the host need be root.
/bin/busybox chown -R 0:0 /
/bin/busybox --install -s /bin
export PATH=/usr/bin:/bin
mount -t devtmpfs dev /dev
mkdir /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs shm /dev/shm
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t securityfs securityfs /sys/kernel/security
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs tmp /tmp
ip link set lo up
stty -F /dev/ttyS1 raw
exec </dev/null >/dev/ttyS1 2>&1

if [ -e /policy ]; then
    mount -t selinuxfs selinuxfs /sys/fs/selinux
    cat /policy >/sys/fs/selinux/load || poweroff -f
fi
echo "kernel: $(uname -r)"
echo "security modules: $(cat /sys/kernel/security/lsm)"
echo "controllers: $(cat /sys/fs/cgroup/cgroup.controllers)"
export LAUNCHER=/launcher STAGE1_INIT=/stage1-init IMAGES=/images
export NO_SKIP="$(cat /no-skip)"
/tests $(cat /names)
echo "the guest is done: $?"
poweroff -f
