//! What a child gives up before it reads the first byte.

use std::io;

use super::message::Header;

/// Confines this process for good.
///
/// # Errors
/// A limit could not be set; nothing should be parsed then. The file and system call filters
/// are best effort, since kernels may lack them.
#[cfg(target_os = "linux")]
pub(super) fn apply(header: &Header) -> io::Result<()> {
    linux::apply(header)
}

/// As on Linux, without anything: the process itself is the sandbox.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub(super) fn apply(_: &Header) -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io;

    use landlock::{
        ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetError, RulesetStatus, Scope,
    };
    use rustix::process::{
        Pid, Resource, Rlimit, Signal, getppid, nice, set_parent_process_death_signal, setrlimit,
    };
    use rustix::thread::set_no_new_privs;

    use super::Header;

    /// How much later than others a child is served by the scheduler.
    const NICENESS: i32 = 5;

    /// Stdin, stdout and stderr: no further file can be opened.
    const OPEN_FILES: u64 = 3;

    pub(super) fn apply(header: &Header) -> io::Result<()> {
        die_with(header.parent)?;
        set_no_new_privs(true)?;
        let _as_it_was = nice(NICENESS);
        // Before the limit on open files: the rules are held by one until they apply.
        let _kernel_without_it = deny_files();
        limit(Resource::As, header.memory_bytes, header.memory_bytes)?;
        // The soft limit's signal says that it was the time; the hard one kills.
        limit(Resource::Cpu, header.cpu_seconds, header.cpu_seconds + 1)?;
        limit(Resource::Nofile, OPEN_FILES, OPEN_FILES)?;
        limit(Resource::Fsize, 0, 0)?;
        limit(Resource::Core, 0, 0)?;
        limit(Resource::Nproc, 0, 0)?;
        super::calls::deny();
        Ok(())
    }

    /// The kernel kills this process when its parent ends. One that has ended already is seen
    /// by this process having another parent.
    fn die_with(parent: u32) -> io::Result<()> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        let parent = i32::try_from(parent).ok().and_then(Pid::from_raw);
        if getppid() == parent {
            Ok(())
        } else {
            Err(io::Error::other("the parent process is gone"))
        }
    }

    /// Sets a limit, or keeps the one that is already lower.
    fn limit(resource: Resource, soft: u64, hard: u64) -> io::Result<()> {
        let most = rustix::process::getrlimit(resource)
            .maximum
            .unwrap_or(u64::MAX);
        Ok(setrlimit(
            resource,
            Rlimit {
                current: Some(soft.min(most)),
                maximum: Some(hard.min(most)),
            },
        )?)
    }

    /// No file, no TCP, no signal to others: a rule set that allows nothing.
    fn deny_files() -> Result<RulesetStatus, RulesetError> {
        let newest = ABI::V6;
        let status = Ruleset::default()
            .handle_access(AccessFs::from_all(newest))?
            .handle_access(AccessNet::from_all(newest))?
            .scope(Scope::from_all(newest))?
            .create()?
            .restrict_self()?;
        Ok(status.ruleset)
    }
}

#[cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod calls {
    use std::collections::BTreeMap;

    use seccompiler::{BackendError, BpfProgram, SeccompAction, SeccompFilter};

    /// Ways to another process, to the network, and to kernel interfaces that no parser needs.
    /// A list of what is allowed would be shorter, and break with each new C library.
    const DENIED: &[i64] = &[
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_clone,
        libc::SYS_clone3,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_fork,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_vfork,
        libc::SYS_socket,
        libc::SYS_socketpair,
        libc::SYS_connect,
        libc::SYS_bind,
        libc::SYS_listen,
        libc::SYS_accept,
        libc::SYS_accept4,
        libc::SYS_sendto,
        libc::SYS_sendmsg,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_getfd,
        libc::SYS_kill,
        libc::SYS_memfd_create,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_unshare,
        libc::SYS_setns,
        libc::SYS_bpf,
        libc::SYS_perf_event_open,
        libc::SYS_userfaultfd,
        libc::SYS_io_uring_setup,
        libc::SYS_keyctl,
        libc::SYS_add_key,
        libc::SYS_request_key,
    ];

    /// From here on the calls above fail with "operation not permitted".
    pub(super) fn deny() {
        let Ok(program) = program() else { return };
        let _kernel_without_it = seccompiler::apply_filter(&program);
    }

    fn program() -> Result<BpfProgram, BackendError> {
        let rules: BTreeMap<_, _> = DENIED.iter().map(|&call| (call, Vec::new())).collect();
        SeccompFilter::new(
            rules,
            SeccompAction::Allow,
            SeccompAction::Errno(libc::EPERM.unsigned_abs()),
            std::env::consts::ARCH.try_into()?,
        )?
        .try_into()
    }
}

#[cfg(all(
    target_os = "linux",
    not(any(target_arch = "x86_64", target_arch = "aarch64"))
))]
mod calls {
    /// No filter is built for this processor.
    pub(super) fn deny() {}
}
