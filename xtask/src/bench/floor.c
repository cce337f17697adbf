/* floor disk|memory PLACE ROOT APP [ARGUMENT]...: runs an app in a container
 * with the system calls that this needs and no others, which is what runners
 * are measured against: overlay on a root file system, with its upper layer in
 * a directory on a disk or in memory; namespaces; the standard mounts and
 * devices; masked and read-only paths; capabilities; a filter; an init.
 * floor filter: prints the filter, for others. */
#define _GNU_SOURCE
#include <err.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <grp.h>
#include <unistd.h>

#define MUST(call) do { if ((call) < 0) err(1, "%s", #call); } while (0)
#define SAFE (MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define LAST 40 /* CAP_CHECKPOINT_RESTORE */

/* What Docker's default profile refuses, sorted below. */
static unsigned refused[] = {
	SYS_acct, SYS_add_key, SYS_bpf, SYS_clock_adjtime, SYS_clock_settime, SYS_delete_module,
	SYS_fanotify_init, SYS_finit_module, SYS_fsconfig, SYS_fsmount, SYS_fsopen, SYS_fspick,
	SYS_get_mempolicy, SYS_init_module, SYS_kcmp, SYS_kexec_load, SYS_keyctl,
	SYS_lookup_dcookie, SYS_mbind, SYS_mount, SYS_mount_setattr, SYS_move_mount,
	SYS_move_pages, SYS_nfsservctl, SYS_open_by_handle_at, SYS_open_tree, SYS_perf_event_open,
	SYS_pivot_root, SYS_process_vm_readv, SYS_process_vm_writev, SYS_quotactl, SYS_reboot,
	SYS_request_key, SYS_set_mempolicy, SYS_setns, SYS_settimeofday, SYS_swapoff, SYS_swapon,
	SYS_syslog, SYS_umount2, SYS_unshare, SYS_userfaultfd, SYS_vhangup,
};
enum { COUNT = sizeof refused / sizeof *refused };

static struct sock_filter program[4 * COUNT + 8];
static unsigned short length;

/* A tree of comparisons: the kernel asks for every number there is, at once. */
static void search(unsigned from, unsigned to)
{
	if (from == to) { /* The bounds are beginnings and ends, in turn. */
		unsigned action = from % 2 ? SECCOMP_RET_ERRNO | 1 : SECCOMP_RET_ALLOW;
		program[length++] = (struct sock_filter)BPF_STMT(BPF_RET, action);
		return;
	}
	unsigned middle = (from + to) / 2, here = length++;
	unsigned bound = refused[middle / 2] + middle % 2;
	search(from, middle);
	program[here] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE, bound, length - here - 1, 0);
	search(middle + 1, to);
}

static void filter(void)
{
	for (int i = 1; i < COUNT; i++)
		for (int j = i; j > 0 && refused[j] < refused[j - 1]; j--) {
			unsigned swapped = refused[j];
			refused[j] = refused[j - 1];
			refused[j - 1] = swapped;
		}
	program[length++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
							 offsetof(struct seccomp_data, nr));
	search(0, 2 * COUNT);
}

static void devices(void)
{
	static const struct { const char *path; int major, minor; } nodes[] = {
		{ "dev/null", 1, 3 }, { "dev/zero", 1, 5 }, { "dev/full", 1, 7 },
		{ "dev/random", 1, 8 }, { "dev/urandom", 1, 9 }, { "dev/tty", 5, 0 },
	};
	MUST(mount("tmpfs", "dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k"));
	for (unsigned i = 0; i < sizeof nodes / sizeof *nodes; i++)
		MUST(mknod(nodes[i].path, S_IFCHR | 0666, makedev(nodes[i].major, nodes[i].minor)));
	MUST(symlink("/proc/self/fd", "dev/fd"));
	MUST(symlink("fd/0", "dev/stdin"));
	MUST(symlink("fd/1", "dev/stdout"));
	MUST(symlink("fd/2", "dev/stderr"));
	MUST(symlink("pts/ptmx", "dev/ptmx"));
	MUST(mkdir("dev/pts", 0755));
	MUST(mkdir("dev/shm", 01777));
	MUST(mkdir("dev/mqueue", 0755));
	MUST(mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666"));
	MUST(mount("shm", "dev/shm", "tmpfs", SAFE, "mode=1777,size=64m"));
	MUST(mount("mqueue", "dev/mqueue", "mqueue", SAFE, 0));
}

static void paths(void)
{
	static const char *masked[] = { "proc/kcore", "proc/keys", "proc/timer_list" };
	static const char *read_only[] = { "proc/bus", "proc/fs", "proc/irq", "proc/sys" };
	for (unsigned i = 0; i < sizeof masked / sizeof *masked; i++)
		if (mount("dev/null", masked[i], 0, MS_BIND, 0) < 0 && errno != ENOENT)
			err(1, "%s", masked[i]);
	for (unsigned i = 0; i < sizeof read_only / sizeof *read_only; i++) {
		MUST(mount(read_only[i], read_only[i], 0, MS_BIND, 0));
		MUST(mount(0, read_only[i], 0, MS_REMOUNT | MS_BIND | MS_RDONLY | SAFE, 0));
	}
}

/* Called in the directory with the upper layer. */
static void root(const char *lower)
{
	char options[4096];
	snprintf(options, sizeof options, "volatile,lowerdir=%s,upperdir=upper,workdir=work", lower);
	MUST(mount("overlay", lower, "overlay", 0, options));
	MUST(chdir(lower));
	MUST(mount("proc", "proc", "proc", SAFE, 0));
	MUST(mount("sysfs", "sys", "sysfs", SAFE | MS_RDONLY, 0));
	devices();
	paths();
	MUST(syscall(SYS_pivot_root, ".", "."));
	MUST(umount2(".", MNT_DETACH));
}

static void restrict_all(void)
{
	unsigned long long kept = 0xa80425fb; /* Docker's fourteen. */
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct sets[2] = { { kept, kept, 0 }, { 0, 0, 0 } };
	for (int capability = 0; capability <= LAST; capability++)
		if (!(kept >> capability & 1))
			MUST(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0));
	MUST(setgroups(0, 0));
	MUST(setgid(0));
	MUST(setuid(0));
	MUST(syscall(SYS_capset, &header, sets));
	MUST(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

static void layer(void)
{
	MUST(mkdir("upper", 0755));
	MUST(mkdir("work", 0755));
}

static int init(const char *place, int in_memory, char **words)
{
	struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int control, status;
	MUST(mount(0, "/", 0, MS_REC | MS_PRIVATE, 0));
	if (in_memory) {
		MUST(mount("tmpfs", place, "tmpfs", MS_NOSUID | MS_NODEV, 0));
		MUST(chdir(place));
		layer();
	}
	root(words[0]);
	MUST(control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
	MUST(ioctl(control, SIOCSIFFLAGS, &loopback));
	MUST(sethostname("floor", 5));
	pid_t app = fork();
	MUST(app);
	if (app == 0) {
		struct sock_fprog loaded = { length, program };
		restrict_all();
		MUST(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &loaded));
		MUST(execv(words[1], words + 1));
	}
	while (wait(&status) != app)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	/* What overlay leaves in its work directory when it is volatile, and all above. */
	static const char *left[] = { "work/work/incompat/volatile", "work/work/incompat",
				      "work/work", "work", "upper" };
	char place[4096];
	int status, flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET |
			    CLONE_NEWCGROUP;
	filter();
	if (argc == 2 && !strcmp(argv[1], "filter"))
		return write(1, program, length * sizeof *program) < 0;
	if (argc < 5)
		errx(2, "usage: floor disk|memory PLACE ROOT APP [ARGUMENT]..., or floor filter");
	int in_memory = !strcmp(argv[1], "memory");
	snprintf(place, sizeof place, in_memory ? "%s" : "%s/%d", argv[2], getpid());
	if (!in_memory) {
		MUST(mkdir(place, 0700));
		MUST(chdir(place));
		layer();
	}
	pid_t inner = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
	MUST(inner);
	if (inner == 0)
		_exit(init(place, in_memory, argv + 3));
	MUST(waitpid(inner, &status, 0));
	if (!in_memory) {
		MUST(unlink("work/work/incompat/volatile/dirty"));
		for (unsigned i = 0; i < sizeof left / sizeof *left; i++)
			MUST(rmdir(left[i]));
		MUST(rmdir(place));
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
