//! The directives: the one table that the decoder, the encoder, the
//! documentation and `stage1-init --help` are made from.

use core::ffi::CStr;

use crate::choice::{
    CapabilitySet, Clock, MountFlags, Namespaces, NodeKind, Propagation, Resource, SetGroups,
};
use crate::fault::FaultKind;
use crate::operand::{AppName, Argv, Count, Groups, Limit, Mode, Operand, Operands, read_number};
use crate::packed::{self, packed};
use crate::words::{Sink, Words};

/// Where a directive may stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// In the first part only, before any `app`.
    Pod,
    /// In the first part, between `app` and `process`, and after `init`.
    Setup,
    /// Between `process` and the next `app`, `init` or the end; those that
    /// bound what a process may do also after `init`.
    Process,
    /// Begins a part: `app`, `process`, `init`.
    Mark,
}

macro_rules! directives {
    ($($(#[$doc:meta])* $word:literal $part:ident $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* } $usage:literal,)*) => {
        /// One step of a plan.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Directive<'a> {
            $($(#[$doc])* $name { $($(#[$field_doc])* $field: $kind,)* },)*
        }

        /// Every directive: its first word, its operands as the documentation
        /// names them, and where it may stand.
        pub const VOCABULARY: &[(&str, &str, Part)] = &[$(($word, $usage, Part::$part),)*];

        packed!(USAGES: $(concat!($word, " ", $usage)),*);
        const PARTS: &[Part] = &[$(Part::$part),*];

        /// The places of the directives in [`VOCABULARY`].
        enum Known { $($name,)* }

        impl<'a> Directive<'a> {
            /// Returns the first word.
            pub const fn word(&self) -> &'static str {
                match self { $(Self::$name { .. } => $word,)* }
            }

            /// Returns where the directive may stand.
            pub const fn part(&self) -> Part {
                match self { $(Self::$name { .. } => Part::$part,)* }
            }

            /// Appends the words of the directive to `sink`.
            pub fn encode(&self, sink: &mut dyn Sink) {
                sink.write(self.word().as_bytes());
                sink.write(b"\0");
                match self {
                    $(Self::$name { $($field,)* } => { $($field.write(sink);)* })*
                }
            }

            /// Takes the next directive.
            pub(crate) fn read(words: &mut Words<'a>) -> Result<Self, FaultKind> {
                let word = words.next().ok_or(FaultKind::Unterminated)?.to_bytes();
                let operands = &mut Operands::new(words);
                let directive = Self::take(packed::position(USAGES, word), operands);
                operands.finish()?;
                directive.ok_or(FaultKind::UnknownDirective)
            }

            /// Takes the operands of the directive that stands at a place of
            /// the vocabulary.
            // A function, so that each is written where it will be: inlined, it
            // would go through registers, by twice the code.
            #[inline(never)]
            fn take(at: Option<usize>, operands: &mut Operands<'a, '_>) -> Option<Self> {
                match at? {
                    $(at if at == Known::$name as usize => {
                        return Some(Self::$name { $($field: <$kind>::read(operands),)* });
                    })*
                    _ => None,
                }
            }
        }
    };
}

/// Returns what [`VOCABULARY`] says, in the form that takes little room.
pub fn vocabulary() -> impl Iterator<Item = (&'static [u8], Part)> {
    packed::words(USAGES).zip(PARTS.iter().copied())
}

impl Directive<'_> {
    /// Returns the inherited descriptors that it names; 0 where it names fewer.
    pub fn descriptors(&self) -> [u32; 3] {
        match *self {
            Self::Join { fd, .. }
            | Self::Terminal { fd }
            | Self::JoinCgroup { fd }
            | Self::Attended { fd }
            | Self::Seccomp { fd } => [fd, 0, 0],
            Self::Log { fd, directory, .. } => [fd, directory, 0],
            Self::Stdio {
                input,
                output,
                error,
            } => [input, output, error],
            Self::Bind { source, .. } => {
                let number = source.to_bytes().strip_prefix(b"fd:");
                [number.and_then(read_number).unwrap_or(0), 0, 0]
            }
            _ => [0; 3],
        }
    }

    /// Appends the words of the directive to `sink`, with other numbers for the
    /// descriptors that it names: each is what `number` makes of it.
    pub fn encode_renumbered(&self, number: &dyn Fn(u32) -> u32, sink: &mut dyn Sink) {
        let mut other = *self;
        match &mut other {
            Self::Join { fd, .. }
            | Self::Terminal { fd }
            | Self::JoinCgroup { fd }
            | Self::Attended { fd }
            | Self::Seccomp { fd } => *fd = number(*fd),
            Self::Log { fd, directory, .. } => {
                *fd = number(*fd);
                *directory = number(*directory);
            }
            Self::Stdio {
                input,
                output,
                error,
            } => {
                for fd in [input, output, error] {
                    *fd = number(*fd);
                }
            }
            Self::Bind { target, flags, .. } => {
                if let [fd, ..] = self.descriptors()
                    && fd != 0
                {
                    sink.write(b"bind\0fd:");
                    number(fd).write(sink);
                    target.write(sink);
                    flags.write(sink);
                    return;
                }
            }
            _ => {}
        }
        other.encode(sink);
    }
}

directives! {
    // --- the pod, before its processes exist ---

    /// Kills the process that reads the plan when its parent dies (prctl(2),
    /// `PR_SET_PDEATHSIG`), and with it the pod.
    "die-with-parent" Pod DieWithParent {} "",
    /// Puts whatever goes on after the next `unshare` into a cgroup directory.
    /// May be repeated, once a hierarchy, where cgroups are of version 1.
    "cgroup" Pod Cgroup {
        /// Path of the directory on the host.
        path: &'a CStr,
    } "PATH",
    /// Appends what can be read from a descriptor to the file `log` in a
    /// directory, while the pod runs: what apps write into a pipe, for instance.
    /// The first process does that, which stays outside of the pod. May be
    /// repeated.
    ///
    /// For each read there is a record: the time in seconds and nanoseconds
    /// since 1970, the tag and a length in bytes, then a newline and the bytes:
    ///
    /// ```text
    /// 1764086400.000000000 out 6
    /// hello
    /// ```
    ///
    /// A file that would become too large is renamed to `log.1` before. What
    /// cannot be written is dropped, so that no app waits for a disk.
    "log" Pod Log {
        /// What is read: an inherited descriptor.
        fd: u32,
        /// An inherited descriptor of the directory.
        directory: u32,
        /// Which of several it is; a word as the name of an app.
        tag: AppName<'a>,
        /// How large the file may become, in bytes.
        size: u32,
    } "FD DIRECTORY TAG SIZE",
    /// Leaves what `log` names unread for as long as somebody has the other end
    /// of this pipe open: who attends to a terminal reads what is written there.
    "attended" Pod Attended {
        /// An inherited descriptor of the end that is read, in non-blocking mode.
        fd: u32,
    } "FD",
    /// Maps user ids of the user namespace that the next `unshare` makes.
    "uid-map" Pod UidMap {
        /// First id inside.
        inside: u32,
        /// First id outside.
        outside: u32,
        /// How many ids.
        count: Count,
    } "INSIDE OUTSIDE COUNT",
    /// Maps group ids of the user namespace that the next `unshare` makes.
    "gid-map" Pod GidMap {
        /// First id inside.
        inside: u32,
        /// First id outside.
        outside: u32,
        /// How many ids.
        count: Count,
    } "INSIDE OUTSIDE COUNT",
    /// Says whether setgroups(2) works in that namespace.
    "setgroups" Pod SetGroups {
        /// Allow or deny.
        choice: SetGroups,
    } "allow|deny",
    /// Joins existing namespaces (setns(2)). With `pid`, the rest of the plan
    /// runs in a child that is in the namespace.
    "join" Pod Join {
        /// Which: exactly one if `fd` is a namespace, any if it is a pidfd.
        namespaces: Namespaces,
        /// An inherited descriptor of a namespace or of a process.
        fd: u32,
    } "NAMESPACE,... FD",
    /// Makes new namespaces. With `pid`, the rest of the plan runs in a child
    /// that is PID 1 of the new one, and the first process waits for it.
    /// Between `app` and `process` it takes only `mnt`: the app gets a mount
    /// namespace apart from the pod's.
    "unshare" Setup Unshare {
        /// Which.
        namespaces: Namespaces,
    } "NAMESPACE,...",
    /// Sets a clock of the time namespace that `unshare time` made just before.
    "clock-offset" Pod ClockOffset {
        /// Which clock.
        clock: Clock,
        /// What is added to it, in seconds.
        seconds: i32,
    } "monotonic|boottime SECONDS",
    /// How long apps may take to end after one of them failed, before they are
    /// killed. Ten seconds where a plan does not say.
    "grace" Pod Grace {
        /// The time, in seconds.
        seconds: u32,
    } "SECONDS",
    /// Sets the host name.
    "hostname" Pod Hostname {
        /// At most 64 bytes.
        name: &'a CStr,
    } "NAME",
    /// Sets the NIS domain name.
    "domainname" Pod Domainname {
        /// At most 64 bytes.
        name: &'a CStr,
    } "NAME",
    /// Brings the loopback interface up.
    "loopback" Pod Loopback {} "",
    /// Sets a kernel parameter: the file /proc/sys/KEY, dots as slashes.
    "sysctl" Pod Sysctl {
        /// For instance `net.ipv4.ip_forward`.
        key: &'a CStr,
        /// What is written.
        value: &'a CStr,
    } "KEY VALUE",

    // --- file systems ---

    /// Changes the propagation of the mount at a path.
    "propagation" Setup Propagation {
        /// The new kind.
        kind: Propagation,
        /// A mount point.
        target: &'a CStr,
    } "KIND TARGET",
    /// Opens a directory of the host as the root: from here on, targets are
    /// resolved inside it and cannot lead out, whatever links are in it.
    /// Before the first `root` they are paths of the host.
    "root" Setup Root {
        /// Path of the directory on the host.
        path: &'a CStr,
    } "PATH",
    /// Mounts a file system, as mount(2) does.
    "mount" Setup Mount {
        /// For instance `proc`.
        kind: &'a CStr,
        /// A device, or any word for file systems that have none.
        source: &'a CStr,
        /// Where.
        target: &'a CStr,
        /// How.
        flags: MountFlags,
        /// Options for the file system, for instance `size=64k`.
        data: &'a CStr,
    } "TYPE SOURCE TARGET FLAGS DATA",
    /// Mounts a file or directory of the host a second time.
    "bind" Setup Bind {
        /// Its path on the host, or `fd:N` for an inherited descriptor of it.
        source: &'a CStr,
        /// Where: a file for a file, a directory for a directory.
        target: &'a CStr,
        /// How; `rec` takes along what is mounted below the source.
        flags: MountFlags,
    } "SOURCE TARGET FLAGS",
    /// Changes the flags of what is mounted at a path.
    "remount" Setup Remount {
        /// A mount point.
        target: &'a CStr,
        /// All its flags from now on.
        flags: MountFlags,
    } "TARGET FLAGS",
    /// Makes a file or directory read-only, with all that is mounted below it.
    /// One that is not there is passed over.
    "readonly" Setup Readonly {
        /// Which; no component may be a symbolic link.
        target: &'a CStr,
    } "TARGET",
    /// Makes everything in a directory read-only, entry by entry, but for links
    /// and for the directories of processes, whose names begin with a digit: of
    /// procfs, what is not a process's own.
    "readonly-entries" Setup ReadonlyEntries {
        /// Which directory; no component may be a symbolic link.
        target: &'a CStr,
    } "TARGET",
    /// Hides a file behind the null device, a directory behind an empty one.
    /// One that is not there is passed over.
    "mask" Setup Mask {
        /// Which; no component may be a symbolic link.
        target: &'a CStr,
    } "TARGET",
    /// Makes a directory and those above it, where they do not exist.
    "dir" Setup Dir {
        /// Which.
        path: &'a CStr,
        /// Mode of each directory that is made.
        mode: Mode,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    } "PATH MODE UID GID",
    /// Makes an empty file where there is nothing; what is there stays.
    "touch" Setup Touch {
        /// Which; its directory must exist.
        path: &'a CStr,
        /// Its mode if it is made.
        mode: Mode,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    } "PATH MODE UID GID",
    /// Makes a file with this content, in place of whatever file or link is there.
    "file" Setup File {
        /// Which; its directory must exist.
        path: &'a CStr,
        /// Its mode.
        mode: Mode,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
        /// All of it.
        content: &'a CStr,
    } "PATH MODE UID GID CONTENT",
    /// Makes a symbolic link, in place of whatever file or link is there.
    "symlink" Setup Symlink {
        /// Where the link leads, uninterpreted.
        target: &'a CStr,
        /// The link; its directory must exist.
        path: &'a CStr,
    } "TARGET PATH",
    /// Makes a device node and mounts it on itself, so that it keeps working
    /// when the file system around it is remounted `nodev`. Where nodes cannot
    /// be made, the host's node of the same name in /dev is bound there, if it
    /// is the same device.
    "node" Setup Node {
        /// Which; its directory must exist.
        path: &'a CStr,
        /// Character or block.
        kind: NodeKind,
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
        /// Mode.
        mode: Mode,
        /// Owner.
        uid: u32,
        /// Group.
        gid: u32,
    } "PATH c|b MAJOR MINOR MODE UID GID",
    /// Makes the root the root of the mount namespace (pivot_root(2)) and
    /// detaches what was there.
    "pivot" Setup Pivot {} "",
    /// The same for where pivot_root(2) cannot work, as on an initramfs: moves
    /// the root's mount over `/` and changes into it. What was below stays
    /// mounted, out of sight.
    "move-root" Setup MoveRoot {} "",

    // --- parts ---

    /// Begins an app: what follows prepares its root, up to `process`.
    "app" Mark App {
        /// Its name, in reports.
        name: AppName<'a>,
    } "NAME",
    /// Begins what each process of the app does to itself before it executes
    /// its program: the pre-start handler, the main program, the post-stop handler.
    "process" Mark Process {} "",
    /// Begins what PID 1 does when the roots of all apps are ready, and how it
    /// is bound before the first program is executed.
    "init" Mark Init {} "",

    // --- each process of an app, in this order or any other ---

    /// Sets the file mode creation mask.
    "umask" Process Umask {
        /// The bits that are taken away.
        mask: Mode,
    } "MODE",
    /// Sets a resource limit.
    "rlimit" Process Rlimit {
        /// Which.
        resource: Resource,
        /// What is enforced.
        soft: Limit,
        /// How far the process may raise it.
        hard: Limit,
    } "RESOURCE SOFT HARD",
    /// Sets how readily the kernel kills the process when memory runs out.
    "oom-score-adj" Process OomScoreAdj {
        /// From -1000 (never) to 1000.
        score: i32,
    } "SCORE",
    /// Writes into a file of /proc/self/attr: what a security module is to make
    /// of the program that is executed.
    "attribute" Process Attribute {
        /// For instance `exec`, or `apparmor/exec`.
        file: &'a CStr,
        /// All that is written.
        text: &'a CStr,
    } "FILE TEXT",
    /// Starts a session without a terminal (setsid(2)).
    "session" Process Session {} "",
    /// Makes the process the leader of the foreground process group of the
    /// terminal on its standard input; without one, only of a group.
    "foreground" Process Foreground {} "",
    /// Starts a session whose terminal is this descriptor, and uses it as
    /// standard input, output and error.
    "terminal" Process Terminal {
        /// An inherited descriptor of a terminal.
        fd: u32,
    } "FD",
    /// Uses these descriptors as standard input, output and error.
    "stdio" Process Stdio {
        /// What becomes descriptor 0.
        input: u32,
        /// What becomes descriptor 1.
        output: u32,
        /// What becomes descriptor 2.
        error: u32,
    } "IN OUT ERR",
    /// Moves the process into a cgroup, below that of the pod.
    "join-cgroup" Process JoinCgroup {
        /// An inherited descriptor of the group's file `cgroup.procs`.
        fd: u32,
    } "FD",
    /// Joins a new session keyring (keyctl(2)); keyrings have no namespaces.
    "keyring" Process Keyring {} "",
    /// Drops all other capabilities from the bounding set.
    "bounding" Process Bounding {
        /// What stays.
        set: CapabilitySet,
    } "CAPABILITY,...|all",
    /// Sets the permitted and effective capabilities. The inheritable set is
    /// always emptied: with it, file capabilities would give more (CVE-2022-29162).
    "capabilities" Process Capabilities {
        /// What stays.
        set: CapabilitySet,
    } "CAPABILITY,...|all",
    /// Sets the ambient capabilities, which a program keeps that is not root's.
    /// They become inheritable as well: the kernel demands it.
    "ambient" Process Ambient {
        /// Which.
        set: CapabilitySet,
    } "CAPABILITY,...|all",
    /// Sets the supplementary groups, all of them.
    "groups" Process Groups {
        /// Their ids.
        groups: Groups<'a>,
    } "COUNT GID...",
    /// Sets the real, effective and saved group id.
    "gid" Process Gid {
        /// The id.
        gid: u32,
    } "GID",
    /// Sets the real, effective and saved user id. Permitted capabilities stay
    /// until the program is executed.
    "uid" Process Uid {
        /// The id.
        uid: u32,
    } "UID",
    /// Changes the working directory, inside the app's root.
    "workdir" Process Workdir {
        /// An absolute path.
        path: &'a CStr,
    } "PATH",
    /// Gives up gaining privileges by executing (prctl(2), `PR_SET_NO_NEW_PRIVS`).
    "no-new-privs" Process NoNewPrivs {} "",
    /// Installs a seccomp filter: the descriptor holds an array of `struct sock_filter`.
    "seccomp" Process Seccomp {
        /// An inherited descriptor, readable from its start with pread(2).
        fd: u32,
    } "FD",
    /// Adds one variable to the environment, which is empty at first.
    "env" Process Env {
        /// `NAME=VALUE`.
        pair: &'a CStr,
    } "NAME=VALUE",
    /// The program that must succeed before the main one starts.
    "pre-start" Process PreStart {
        /// Its words; see `main`.
        argv: Argv<'a>,
    } "COUNT WORD...",
    /// The program of the app. A first word without a slash is searched for in
    /// the PATH that `env` gives, or, where it gives none, in the working
    /// directory, /bin and /usr/bin.
    "main" Process Main {
        /// Its words.
        argv: Argv<'a>,
    } "COUNT WORD...",
    /// The program that runs when the main one has ended, however it ended.
    "post-stop" Process PostStop {
        /// Its words; see `main`.
        argv: Argv<'a>,
    } "COUNT WORD...",
}
