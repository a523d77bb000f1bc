"""The system calls of a sandboxed script: what CPython, its standard library and glibc make.

An allow-list, so that a call which is added to the kernel tomorrow is refused today. Not on it are
the ways to new privileges or into other processes (mount, unshare, setns, ptrace, process_vm_*,
bpf, perf_event_open, keyctl, userfaultfd, io_uring, open_by_handle_at, personality, modules, kexec,
set*id, System V IPC), which programs do without.
"""

from __future__ import annotations

import errno
import socket
import termios
from collections.abc import Iterator
from typing import Final

from servers.kernel import seccomp, syscalls

_FILES: Final = """
    read write readv writev pread64 pwrite64 preadv pwritev preadv2 pwritev2 lseek _llseek
    open openat openat2 creat close close_range dup dup2 dup3 fcntl fcntl64 flock
    stat lstat fstat newfstatat stat64 lstat64 fstat64 fstatat64 statx
    statfs fstatfs statfs64 fstatfs64 access faccessat faccessat2
    truncate ftruncate truncate64 ftruncate64 fallocate fsync fdatasync sync_file_range
    getdents getdents64 getcwd chdir fchdir umask
    rename renameat renameat2 mkdir mkdirat rmdir link linkat symlink symlinkat unlink unlinkat
    readlink readlinkat mknod mknodat
    chmod fchmod fchmodat fchmodat2 chown fchown lchown fchownat
    utime utimes utimensat utimensat_time64 futimesat
    getxattr lgetxattr fgetxattr setxattr lsetxattr fsetxattr
    listxattr llistxattr flistxattr removexattr lremovexattr fremovexattr
    sendfile sendfile64 copy_file_range splice tee fadvise64 fadvise64_64 arm_fadvise64_64 readahead
    inotify_init inotify_init1 inotify_add_watch inotify_rm_watch memfd_create
"""
_MEMORY: Final = """
    brk mmap mmap2 munmap mremap mprotect madvise msync mincore mlock mlock2 munlock
    membarrier map_shadow_stack mseal
"""
_PROCESSES: Final = """
    fork vfork execve execveat exit exit_group wait4 waitid waitpid
    kill tkill tgkill pidfd_open pidfd_send_signal
    getpid getppid gettid getpgid getpgrp getsid setpgid setsid
    getuid geteuid getgid getegid getresuid getresgid getgroups capget
    getuid32 geteuid32 getgid32 getegid32 getresuid32 getresgid32 getgroups32
    prctl arch_prctl set_tid_address set_robust_list get_robust_list rseq set_tls
    futex futex_time64 futex_waitv futex_wait futex_wake futex_requeue
    sched_yield sched_getaffinity sched_getscheduler sched_getparam
    sched_get_priority_max sched_get_priority_min getcpu getpriority setpriority
    getrlimit setrlimit ugetrlimit prlimit64 getrusage times sysinfo uname getrandom
    landlock_create_ruleset landlock_add_rule landlock_restrict_self
    riscv_flush_icache cacheflush
"""
_TIME_AND_SIGNALS: Final = """
    clock_gettime clock_gettime64 clock_getres clock_getres_time64 clock_nanosleep
    clock_nanosleep_time64 nanosleep gettimeofday time alarm getitimer setitimer
    timer_create timer_settime timer_settime64 timer_gettime timer_gettime64
    timer_getoverrun timer_delete timerfd_create timerfd_settime timerfd_settime64
    timerfd_gettime timerfd_gettime64
    rt_sigaction rt_sigprocmask rt_sigpending rt_sigqueueinfo rt_sigreturn rt_sigsuspend
    rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sigreturn sigaltstack pause
    signalfd signalfd4 restart_syscall
"""
_WAITING_AND_SOCKETS: Final = """
    poll ppoll ppoll_time64 select _newselect pselect6 pselect6_time64
    epoll_create epoll_create1 epoll_ctl epoll_wait epoll_pwait epoll_pwait2
    eventfd eventfd2 pipe pipe2
    connect bind listen accept accept4 getsockname getpeername shutdown getsockopt setsockopt
    send sendto sendmsg sendmmsg recv recvfrom recvmsg recvmmsg recvmmsg_time64
"""

# Netlink, packet, vsock and the many families of the kernel's less used protocols stay closed.
_FAMILIES: Final = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)
# Not TIOCSTI, which types into the terminal that a server may have been started from.
_IOCTLS: Final = (
    termios.FIOCLEX, termios.FIONCLEX, termios.FIONBIO, termios.FIONREAD,
    termios.TCGETS, termios.TIOCGWINSZ,
)  # fmt: skip
_NEW_NAMESPACES: Final = (
    syscalls.CLONE_NEWNS | syscalls.CLONE_NEWUSER | syscalls.CLONE_NEWPID | syscalls.CLONE_NEWNET
    | syscalls.CLONE_NEWIPC | syscalls.CLONE_NEWUTS | syscalls.CLONE_NEWCGROUP
)  # fmt: skip


def compiled(also: tuple[str, ...] = ()) -> bytes:
    """Return the filter, for `seccomp.install`; refused calls fail with EPERM. Raises Unavailable.

    `also` are further calls to allow, for who has a second filter look at them. Loads libseccomp,
    so it is for the master to call.
    """
    rules = [*_rules(), *(seccomp.Rule(call, seccomp.ALLOW) for call in also)]
    return seccomp.compile_filter(seccomp.refuse(errno.EPERM), rules, skip_unknown=True)


def _rules() -> Iterator[seccomp.Rule]:
    for group in (_FILES, _MEMORY, _PROCESSES, _TIME_AND_SIGNALS, _WAITING_AND_SOCKETS):
        for call in group.split():
            yield seccomp.Rule(call, seccomp.ALLOW)
    for family in _FAMILIES:
        for call in ("socket", "socketpair"):
            yield seccomp.Rule(call, seccomp.ALLOW, (seccomp.low_word_is(0, family),))
    for request in _IOCTLS:
        yield seccomp.Rule("ioctl", seccomp.ALLOW, (seccomp.low_word_is(1, request),))
    no_namespace = seccomp.Comparison(0, seccomp.Operator.MASKED_EQUAL, _NEW_NAMESPACES, 0)
    yield seccomp.Rule("clone", seccomp.ALLOW, (no_namespace,))
    # Its flags are in memory, out of a filter's sight; glibc falls back on clone.
    yield seccomp.Rule("clone3", seccomp.refuse(errno.ENOSYS))
