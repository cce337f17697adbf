//! The directives: the single table behind the decoder, the encoder, the
//! documentation and `stage1-init --help`.

use core::ffi::CStr;

use crate::choice::{
    CapabilitySet, Clock, MountFlags, Namespaces, NodeKind, Propagation, Resource, SetGroups,
};
use crate::fault::FaultKind;
use crate::operand::{AppName, Argv, Count, Groups, Limit, Mode, Operand, Operands};
use crate::packed::{self, packed};
use crate::words::{Sink, Words};

/// Where a directive is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// In the first part only, before any `app`.
    Pod,
    /// In the first part, between `app` and `process`, and after `init`.
    Setup,
    /// Between `process` and the next `app`, `init` or the end. Directives that
    /// restrict a process are also allowed after `init`.
    Process,
    /// After `undo`.
    Undo,
    /// Begins a part: `app`, `process`, `init`, `undo`.
    Mark,
}

macro_rules! directives {
    ($($(#[$doc:meta])* $word:literal $part:ident $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* } $usage:literal,)*) => {
        /// A step of a plan.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Directive<'a> {
            $($(#[$doc])* $name { $($(#[$field_doc])* $field: $kind,)* },)*
        }

        /// Every directive: its first word, its operands as in the
        /// documentation, and where it is allowed.
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

            /// Returns where the directive is allowed.
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

            /// Reads the next directive.
            pub(crate) fn read(words: &mut Words<'a>) -> Result<Self, FaultKind> {
                let word = words.next().ok_or(FaultKind::Unterminated)?.to_bytes();
                let operands = &mut Operands::new(words);
                let at = packed::position(USAGES, word).and_then(|at| u8::try_from(at).ok());
                let directive = Self::take(at, operands);
                operands.finish()?;
                directive.ok_or(FaultKind::UnknownDirective)
            }

            /// Reads the operands of the directive at this place of the
            /// vocabulary.
            // It is a function so that each directive is written in place:
            // inlined, it would be copied through registers, by twice the code.
            #[inline(never)]
            fn take(at: Option<u8>, operands: &mut Operands<'a, '_>) -> Option<Self> {
                match at? {
                    $(at if at == Known::$name as u8 => {
                        return Some(Self::$name { $($field: <$kind>::read(operands),)* });
                    })*
                    _ => None,
                }
            }
        }
    };
}

/// Returns the contents of [`VOCABULARY`], from a smaller table.
pub fn vocabulary() -> impl Iterator<Item = (&'static [u8], Part)> {
    packed::words(USAGES).zip(PARTS.iter().copied())
}

impl<'a> Directive<'a> {
    /// Reads one directive from its words; `None` if they are none.
    pub fn decode(words: &'a [u8]) -> Option<Self> {
        Self::read(&mut Words::new(words)).ok()
    }
}

directives! {
    // --- the pod, before its processes exist ---

    /// Kills the process that reads the plan, and with it the pod, when its
    /// parent dies (prctl(2), `PR_SET_PDEATHSIG`).
    "die-with-parent" Pod DieWithParent {} "",
    /// Puts whatever continues after the next `unshare` into a cgroup
    /// directory. May be repeated, for the hierarchies of cgroup version 1.
    "cgroup" Pod Cgroup {
        /// Path of the directory on the host.
        path: &'a CStr,
    } "PATH",
    /// While the pod runs, appends what can be read from a descriptor to the
    /// file `log` in a directory: for example what apps write into a pipe. The
    /// first process does that, which stays outside of the pod. May be
    /// repeated.
    ///
    /// Each read makes a record: the time in seconds and nanoseconds since
    /// 1970, the tag and a length in bytes, then a newline and the bytes:
    ///
    /// ```text
    /// 1764086400.000000000 out 6
    /// hello
    /// ```
    ///
    /// A file that would become too large is renamed to `log.1` first. What
    /// cannot be written is dropped, so that no app waits for a disk.
    "log" Pod Log {
        /// The inherited descriptor to read.
        fd: u32,
        /// An inherited descriptor of the directory.
        directory: u32,
        /// Names the source; follows the rules for the name of an app.
        tag: AppName<'a>,
        /// The maximum size of the file, in bytes.
        size: u32,
    } "FD DIRECTORY TAG SIZE",
    /// While somebody has the other end of this pipe open, leaves unread what
    /// later `log` directives name: the output then belongs to whoever is
    /// attached to the terminal.
    "attended" Pod Attended {
        /// An inherited descriptor of the end to read from, in non-blocking
        /// mode.
        fd: u32,
    } "FD",
    /// Waits until something can be read from a descriptor, such as a connection
    /// from a listening socket, or until a signal asks this process to end.
    "await" Pod Await {
        /// An inherited descriptor.
        fd: u32,
    } "FD",
    /// Maps user ids of the user namespace that the next `unshare` creates.
    "uid-map" Pod UidMap {
        /// First id inside.
        inside: u32,
        /// First id outside.
        outside: u32,
        /// The number of ids.
        count: Count,
    } "INSIDE OUTSIDE COUNT",
    /// Maps group ids of the user namespace that the next `unshare` creates.
    "gid-map" Pod GidMap {
        /// First id inside.
        inside: u32,
        /// First id outside.
        outside: u32,
        /// The number of ids.
        count: Count,
    } "INSIDE OUTSIDE COUNT",
    /// Sets whether setgroups(2) works in that namespace.
    "setgroups" Pod SetGroups {
        /// Allow or deny.
        choice: SetGroups,
    } "allow|deny",
    /// Enters existing namespaces (setns(2)). With `pid`, the rest of the plan
    /// runs in a child that is in the namespace.
    "join" Pod Join {
        /// Which: exactly one if `fd` is a namespace, any if it is a pidfd.
        namespaces: Namespaces,
        /// An inherited descriptor of a namespace or of a process.
        fd: u32,
    } "NAMESPACE,... FD",
    /// Creates new namespaces. With `pid`, the rest of the plan runs in a child
    /// that is PID 1 of the new namespace, and the first process waits for it.
    /// Between `app` and `process`, only `mnt` is allowed: it gives the app a
    /// mount namespace separate from the pod's.
    "unshare" Setup Unshare {
        /// Which.
        namespaces: Namespaces,
    } "NAMESPACE,...",
    /// Shifts a clock of the time namespace that the preceding `unshare` has
    /// created.
    "clock-offset" Pod ClockOffset {
        /// Which clock.
        clock: Clock,
        /// The offset in seconds.
        seconds: i32,
    } "monotonic|boottime SECONDS",
    /// Sets how long apps may take to exit after one of them has failed, before
    /// they are killed (10 seconds).
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
    /// Brings up the loopback interface.
    "loopback" Pod Loopback {} "",
    /// Writes a kernel parameter: the file /proc/sys/KEY, with dots as slashes.
    "sysctl" Pod Sysctl {
        /// For example `net.ipv4.ip_forward`.
        key: &'a CStr,
        /// The value to write.
        value: &'a CStr,
    } "KEY VALUE",

    /// Reports the time of day, to see how long what is before it takes.
    "time" Setup Time {} "",

    // --- file systems ---

    /// Sets the propagation of the mount at a path.
    "propagation" Setup Propagation {
        /// The new kind.
        kind: Propagation,
        /// A mount point.
        target: &'a CStr,
    } "KIND TARGET",
    /// Opens a directory of the host as the root. From here on, targets are
    /// resolved inside it and cannot lead out, whatever links are in it. Before
    /// the first `root`, they are paths on the host.
    "root" Setup Root {
        /// Path of the directory on the host.
        path: &'a CStr,
    } "PATH",
    /// Mounts a file system, as mount(2) does.
    "mount" Setup Mount {
        /// For example `proc`.
        kind: &'a CStr,
        /// A device, or any word for a file system without one.
        source: &'a CStr,
        /// Where.
        target: &'a CStr,
        /// How.
        flags: MountFlags,
        /// Options for the file system, for example `size=64k`.
        data: &'a CStr,
    } "TYPE SOURCE TARGET FLAGS DATA",
    /// Binds a file or directory of the host to a second place.
    "bind" Setup Bind {
        /// Its path on the host, or `fd:N` for an inherited descriptor.
        source: &'a CStr,
        /// A file for a file, a directory for a directory.
        target: &'a CStr,
        /// How; `rec` includes what is mounted below the source.
        flags: MountFlags,
    } "SOURCE TARGET FLAGS",
    /// Sets the flags of the mount at a path.
    "remount" Setup Remount {
        /// A mount point.
        target: &'a CStr,
        /// All its flags from now on.
        flags: MountFlags,
    } "TARGET FLAGS",
    /// Makes a file or directory read-only, including everything mounted below
    /// it. A target that does not exist is skipped.
    "readonly" Setup Readonly {
        /// Which; no component may be a symbolic link.
        target: &'a CStr,
    } "TARGET",
    /// Makes everything in a directory read-only, entry by entry, except links
    /// and names that start with a digit. On procfs, that is everything that
    /// belongs to no process.
    "readonly-entries" Setup ReadonlyEntries {
        /// Which directory; no component may be a symbolic link.
        target: &'a CStr,
    } "TARGET",
    /// Hides a file behind the null device, and a directory behind an empty
    /// one. A target that does not exist is skipped.
    "mask" Setup Mask {
        /// Which; no component may be a symbolic link.
        target: &'a CStr,
    } "TARGET",
    /// Creates a directory and its parents, where they do not exist. Where a
    /// link leads to something that does not exist, that is created.
    "dir" Setup Dir {
        /// Which.
        path: &'a CStr,
        /// Mode of each directory that is created.
        mode: Mode,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    } "PATH MODE UID GID",
    /// Creates an empty file unless something exists there. What a link leads
    /// to is created likewise, with the directories above it.
    "touch" Setup Touch {
        /// Which; its directory must exist.
        path: &'a CStr,
        /// Its mode, if it is created.
        mode: Mode,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
    } "PATH MODE UID GID",
    /// Creates a file with this content, replacing a file or link.
    "file" Setup File {
        /// Which; its directory must exist.
        path: &'a CStr,
        /// Its mode.
        mode: Mode,
        /// Its owner.
        uid: u32,
        /// Its group.
        gid: u32,
        /// The content.
        content: &'a CStr,
    } "PATH MODE UID GID CONTENT",
    /// Creates a symbolic link, replacing a file or link.
    "symlink" Setup Symlink {
        /// The target of the link, stored as given.
        target: &'a CStr,
        /// The link; its directory must exist.
        path: &'a CStr,
    } "TARGET PATH",
    /// Creates a device node and mounts it on itself, so that it still works
    /// when the file system around it is remounted `nodev`. Where nodes cannot
    /// be created, binds the host's node of the same name in /dev, if it is the
    /// same device.
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
    /// Makes the root the root of the mount namespace (pivot_root(2)), and
    /// detaches the old one.
    "pivot" Setup Pivot {} "",
    /// The same for places where pivot_root(2) does not work, such as an
    /// initramfs: moves the root's mount over `/`, and changes into it. What
    /// was there stays mounted, out of sight.
    "move-root" Setup MoveRoot {} "",

    // --- parts ---

    /// Begins an app. The directives up to `process` set up its root.
    "app" Mark App {
        /// Its name, for reports.
        name: AppName<'a>,
    } "NAME",
    /// Begins what each process of the app does to itself before it executes
    /// its program: the pre-start handler, the main program or the post-stop
    /// handler.
    "process" Mark Process {} "",
    /// Begins what PID 1 does when the roots of all apps are ready, and how it
    /// restricts itself before the first program is executed.
    "init" Mark Init {} "",

    // --- each process of an app, in this order or any other ---

    /// Sets the file mode creation mask.
    "umask" Process Umask {
        /// The bits to take away.
        mask: Mode,
    } "MODE",
    /// Sets a resource limit.
    "rlimit" Process Rlimit {
        /// Which.
        resource: Resource,
        /// The limit that is enforced.
        soft: Limit,
        /// How far the process may raise it.
        hard: Limit,
    } "RESOURCE SOFT HARD",
    /// Sets how readily the kernel kills the process when memory runs out.
    "oom-score-adj" Process OomScoreAdj {
        /// From -1000 (never) to 1000.
        score: i32,
    } "SCORE",
    /// Writes to a file of /proc/self/attr, to tell a security module how to
    /// run the next program.
    "attribute" Process Attribute {
        /// For example `exec`, or `apparmor/exec`.
        file: &'a CStr,
        /// The text to write.
        text: &'a CStr,
    } "FILE TEXT",
    /// Starts a session without a terminal (setsid(2)).
    "session" Process Session {} "",
    /// Makes the process the leader of the foreground process group of the
    /// terminal on its standard input; without a terminal, only of a process
    /// group.
    "foreground" Process Foreground {} "",
    /// Starts a session with this terminal, and uses it as standard input,
    /// output and error.
    "terminal" Process Terminal {
        /// An inherited descriptor of a terminal.
        fd: u32,
    } "FD",
    /// Uses these descriptors as standard input, output and error.
    "stdio" Process Stdio {
        /// Becomes descriptor 0.
        input: u32,
        /// Becomes descriptor 1.
        output: u32,
        /// Becomes descriptor 2.
        error: u32,
    } "IN OUT ERR",
    /// Passes a descriptor to the programs, by this number.
    "pass" Process Pass {
        /// An inherited descriptor.
        fd: u32,
        /// Another one, or the same, which the programs find replaced.
        number: u32,
    } "FD NUMBER",
    /// Moves the process into a cgroup below that of the pod.
    "join-cgroup" Process JoinCgroup {
        /// An inherited descriptor of the cgroup's file `cgroup.procs`.
        fd: u32,
    } "FD",
    /// Joins a new session keyring (keyctl(2)); keyrings have no namespaces.
    "keyring" Process Keyring {} "",
    /// Drops all other capabilities from the bounding set.
    "bounding" Process Bounding {
        /// The capabilities to keep.
        set: CapabilitySet,
    } "CAPABILITY,...|all",
    /// Sets the permitted and effective capabilities. The inheritable set is
    /// always emptied: with it, file capabilities would give more
    /// (CVE-2022-29162).
    "capabilities" Process Capabilities {
        /// The capabilities to keep.
        set: CapabilitySet,
    } "CAPABILITY,...|all",
    /// Sets the ambient capabilities, which a program keeps that does not run
    /// as root. They become inheritable as well, as the kernel demands.
    "ambient" Process Ambient {
        /// Which.
        set: CapabilitySet,
    } "CAPABILITY,...|all",
    /// Sets the supplementary groups, replacing all.
    "groups" Process Groups {
        /// Their ids.
        groups: Groups<'a>,
    } "COUNT GID...",
    /// Sets the real, effective and saved group id.
    "gid" Process Gid {
        /// The id.
        gid: u32,
    } "GID",
    /// Sets the real, effective and saved user id. Permitted capabilities are
    /// kept until the program is executed.
    "uid" Process Uid {
        /// The id.
        uid: u32,
    } "UID",
    /// Changes the working directory, inside the app's root.
    "workdir" Process Workdir {
        /// An absolute path.
        path: &'a CStr,
    } "PATH",
    /// Keeps programs from gaining privileges when they are executed (prctl(2),
    /// `PR_SET_NO_NEW_PRIVS`).
    "no-new-privs" Process NoNewPrivs {} "",
    /// Installs a seccomp filter: an array of `struct sock_filter`.
    "seccomp" Process Seccomp {
        /// An inherited descriptor of the filter, which is read from its start
        /// with pread(2).
        fd: u32,
    } "FD",
    /// Adds a variable to the environment, which is empty at first.
    "env" Process Env {
        /// `NAME=VALUE`.
        pair: &'a CStr,
    } "NAME=VALUE",
    /// The program that must succeed before the main one starts.
    "pre-start" Process PreStart {
        /// Its words; see `main`.
        argv: Argv<'a>,
    } "COUNT WORD...",
    /// The program of the app. If the first word has no slash, the program is
    /// searched for in the PATH that `env` sets, or, without one, in the
    /// working directory, /bin and /usr/bin.
    "main" Process Main {
        /// Its words.
        argv: Argv<'a>,
    } "COUNT WORD...",
    /// The program that runs when the main one has ended, however it ended.
    "post-stop" Process PostStop {
        /// Its words; see `main`.
        argv: Argv<'a>,
    } "COUNT WORD...",

    // --- what the first process does when all is over ---

    /// Begins what the first process does when the pod has ended with a status
    /// below 125. If all of it succeeds, the program of `--finally-fd` has
    /// nothing left to do, and is not executed. After a failure, the rest is
    /// skipped, and that program does what is left.
    "undo" Mark Undo {} "",
    /// Renames a file or directory, and replaces what has the other name.
    "rename" Undo Rename {
        /// An inherited descriptor of the directory that the paths start in.
        fd: u32,
        /// What is renamed. Nobody else may write to the directories above it.
        from: &'a CStr,
        /// Its new path; likewise.
        to: &'a CStr,
    } "FD FROM TO",
    /// Removes files and empty directories, none of which need exist.
    "remove" Undo Remove {
        /// An inherited descriptor of the directory that the path starts in.
        fd: u32,
        /// Path of the directory. No component may be a symbolic link, or on
        /// another file system.
        path: &'a CStr,
        /// Their names; that of a directory ends with a slash.
        names: Argv<'a>,
    } "FD PATH COUNT NAME...",
}
