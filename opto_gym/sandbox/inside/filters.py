"""The seccomp filter: the system calls that a candidate's process may make.

It is an allow-list. Calls that Python's modules make and that a candidate may not make (a socket, a fork, a file opened
for writing) fail with EPERM, which the candidate sees as PermissionError. Calls that no module of Python makes kill the
process. Sources: seccomp(2), syscalls(2), the kernel's Documentation/userspace-api/seccomp_filter.rst and its tables
of numbers, include/uapi/asm-generic/unistd.h (arm64) and arch/x86/entry/syscalls/syscall_64.tbl.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable

# name, number on x86-64, number on arm64; "-" where the machine does not have the call
ALLOWED = """
read 0 63, write 1 64, readv 19 65, writev 20 66, pread64 17 67, pwrite64 18 68, preadv 295 69, pwritev 296 70,
close 3 57, close_range 436 436, lseek 8 62, dup 32 23, dup2 33 -, dup3 292 24, pipe 22 -, pipe2 293 59,
fsync 74 82, fdatasync 75 83, flock 73 32, fadvise64 221 223,
stat 4 -, fstat 5 80, lstat 6 -, newfstatat 262 79, statx 332 291, access 21 -, faccessat 269 48, faccessat2 439 439,
readlink 89 -, readlinkat 267 78, getdents 78 -, getdents64 217 61, getcwd 79 17, chdir 80 49, fchdir 81 50,
umask 95 166, mmap 9 222, munmap 11 215, mprotect 10 226, mremap 25 216, madvise 28 233, brk 12 214, msync 26 227,
poll 7 -, ppoll 271 73, select 23 -, pselect6 270 72, epoll_create 213 -, epoll_create1 291 20, epoll_ctl 233 21,
epoll_wait 232 -, epoll_pwait 281 22, eventfd 284 -, eventfd2 290 19, timerfd_create 283 85, timerfd_settime 286 86,
timerfd_gettime 287 87, rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, rt_sigpending 127 136,
rt_sigsuspend 130 133, rt_sigtimedwait 128 137, sigaltstack 131 132, pause 34 -, alarm 37 -, getitimer 36 102,
setitimer 38 103, nanosleep 35 101, clock_nanosleep 230 115, clock_gettime 228 113, clock_getres 229 114,
gettimeofday 96 169, time 201 -, times 100 153, getrusage 98 165, sched_yield 24 124, getpid 39 172, getppid 110 173,
gettid 186 178, getpgid 121 155, getpgrp 111 -, getsid 124 156, getuid 102 174, geteuid 107 175, getgid 104 176,
getegid 108 177, getresuid 118 148, getresgid 120 150, getgroups 115 158, capget 125 90, getpriority 140 141,
getrlimit 97 163, uname 63 160, sysinfo 99 179, getcpu 309 168, sched_getaffinity 204 123,
futex 202 98, set_robust_list 273 99, rseq 334 293, membarrier 324 283, getrandom 318 278, restart_syscall 219 128,
exit 60 93, exit_group 231 94
"""

CHANGING_FILES = """
creat 85 -, unlink 87 -, unlinkat 263 35, rename 82 -, renameat 264 38, renameat2 316 276, mkdir 83 -, mkdirat 258 34,
rmdir 84 -, truncate 76 45, ftruncate 77 46, fallocate 285 47, chmod 90 -, fchmod 91 52, fchmodat 268 53, utime 132 -,
utimes 235 -, utimensat 280 88, sendfile 40 71, copy_file_range 326 285
"""
"""Allowed where there is a scratch folder of limited size to write to (L3)."""

FATAL = """
ptrace 101 117, process_vm_readv 310 270, process_vm_writev 311 271, kcmp 312 272, process_madvise 440 440,
pidfd_getfd 438 438, bpf 321 280, perf_event_open 298 241, userfaultfd 323 282, io_uring_setup 425 425,
io_uring_enter 426 426, io_uring_register 427 427, add_key 248 217, request_key 249 218, keyctl 250 219, mount 165 40,
umount2 166 39, pivot_root 155 41, move_mount 429 429, open_tree 428 428, fsopen 430 430, fsmount 432 432,
fsconfig 431 431, fspick 433 433, mount_setattr 442 442, init_module 175 105, finit_module 313 273,
delete_module 176 106, kexec_load 246 104, kexec_file_load 320 294, reboot 169 142, swapon 167 224, swapoff 168 225,
acct 163 89, quotactl 179 60, open_by_handle_at 304 265, name_to_handle_at 303 264, fanotify_init 300 262,
personality 135 92, iopl 172 -, ioperm 173 -, modify_ldt 154 -, seccomp 317 277, landlock_create_ruleset 444 444,
landlock_add_rule 445 445, landlock_restrict_self 446 446, memfd_secret 447 447, shmget 29 194, shmat 30 196,
semget 64 190, msgget 68 186, mq_open 240 180
"""

_O_CHANGING = 0o1 | 0o2 | 0o100 | 0o1000 | 0o20000000  # O_WRONLY, O_RDWR, O_CREAT, O_TRUNC, __O_TMPFILE
_TTY_AND_FLAGS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS, window size, FIONREAD, FIONBIO, FIO*CLEX
_DUP_FLAGS_LOCKS = (*range(8), 1030)  # F_DUPFD to F_SETLKW, F_DUPFD_CLOEXEC; not F_SETOWN, which directs signals
CONDITIONS: tuple[tuple[str, tuple[int, int], int, tuple[int, ...]], ...] = (
    # name, numbers on x86-64 and arm64, index of an argument, values that it must have
    ("prlimit64", (302, 261), 0, (0,)),  # limits of the calling process only
    ("socketpair", (53, 199), 0, (1,)),  # AF_UNIX: asyncio uses one to wake its loop
    ("ioctl", (16, 29), 1, _TTY_AND_FLAGS),
    ("fcntl", (72, 25), 1, _DUP_FLAGS_LOCKS),
)
READS_ONLY: tuple[tuple[str, tuple[int, int], int], ...] = (
    # name, numbers, index of an address that must be null. A process that lowered its own limit on processor time would
    # be killed by the same signal as by someone outside.
    ("prlimit64", (302, 261), 2),
)
OPENING: tuple[tuple[str, tuple[int | None, int | None], int], ...] = (
    # name, numbers, index of the argument with the flags; openat2 has its flags in memory and is refused
    ("open", (2, None), 1),
    ("openat", (257, 56), 2),
)
MODES: tuple[tuple[str, tuple[int | None, int | None], int], ...] = (
    # name, numbers, index of the argument with the permissions of a file, which may not have setuid or setgid
    ("chmod", (90, None), 1),
    ("fchmod", (91, 52), 1),
    ("fchmodat", (268, 53), 2),
    ("creat", (85, None), 1),
    ("mkdir", (83, None), 1),
    ("mkdirat", (258, 34), 2),
    ("open", (2, None), 2),
    ("openat", (257, 56), 3),
)
_SETUID_SETGID = 0o6000
CLONE3 = 435  # its flags are in memory, which a filter can't read; answered as missing, so that libc uses clone

MACHINES = {
    "x86_64": (0, 0xC000003E),
    "aarch64": (1, 0xC00000B7),
}  # column of the tables, AUDIT_ARCH of <linux/audit.h>

KILL_PROCESS, ERRNO, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000  # SECCOMP_RET_* of <linux/seccomp.h>
REFUSE, MISSING = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS
LOAD, EQUAL, NOT_BELOW, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF's ld [k], jeq, jge, jset, ret

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, k


def numbers(table: str, column: int) -> list[int]:
    """The numbers of a table's calls on one machine; column 0 is x86-64, column 1 is arm64."""
    rows = (row.split() for row in table.replace("\n", " ").split(","))
    return [int(row[1 + column]) for row in rows if row[1 + column] != "-"]


def program(machine: str, *, writing: bool) -> list[Instruction]:
    """Makes the filter for a machine.

    Args:
        machine: The value of `os.uname().machine`.
        writing: Whether files may be changed, which is the case where there is a scratch folder.

    Raises:
        KeyError: If the system call numbers of the machine are not known.
    """
    column, arch = MACHINES[machine]
    made: list[Instruction] = [(LOAD, 0, 0, 4), (EQUAL, 1, 0, arch), (RETURN, 0, 0, KILL_PROCESS), (LOAD, 0, 0, 0)]
    if machine == "x86_64":  # x32 calls have this bit set
        made += [(NOT_BELOW, 0, 1, 0x40000000), (RETURN, 0, 0, KILL_PROCESS)]

    def answer(calls: Iterable[int], verdict: int) -> None:
        for number in calls:
            made.extend([(EQUAL, 0, 1, number), (RETURN, 0, 0, verdict)])

    answer(numbers(FATAL, column), KILL_PROCESS)
    answer([CLONE3], MISSING)
    for _, by_machine, argument in READS_ONLY:
        low, high = 16 + 8 * argument, 20 + 8 * argument  # the halves of the address
        made += [(EQUAL, 0, 6, by_machine[column]), (LOAD, 0, 0, low), (EQUAL, 0, 2, 0), (LOAD, 0, 0, high)]
        made += [(EQUAL, 1, 0, 0), (RETURN, 0, 0, REFUSE), (LOAD, 0, 0, 0)]
    for _, by_machine, argument, values in CONDITIONS:
        made += [(EQUAL, 0, 2 * len(values) + 2, by_machine[column]), (LOAD, 0, 0, 16 + 8 * argument)]
        answer(values, ALLOW)
        made += [(RETURN, 0, 0, REFUSE)]
    for _, by_machine_or_none, argument in MODES if writing else OPENING:
        number, forbidden = by_machine_or_none[column], _SETUID_SETGID if writing else _O_CHANGING
        if number is not None:
            made += [(EQUAL, 0, 4, number), (LOAD, 0, 0, 16 + 8 * argument)]
            made += [(ANY_BIT, 0, 1, forbidden), (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)]
    answer(numbers(ALLOWED, column), ALLOW)
    if writing:
        answer(numbers(CHANGING_FILES, column), ALLOW)
    made.append((RETURN, 0, 0, REFUSE))
    return made


def packed(made: list[Instruction]) -> bytes:
    """The program in the kernel's format, an array of ``struct sock_filter``."""
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in made)
