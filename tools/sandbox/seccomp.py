"""The sandbox's system call filter, built as a classic BPF program in pure Python.

An allow-list: what CPython and numpy need to compute is there, everything else answers "not permitted", and numbers
newer than the tables answer "not implemented", so that the C library falls back to what it knows. It is here, and not
a dependency on libseccomp, because the program is short and the base install stays free of C extensions of its own.
"""

import struct
from collections.abc import Iterable

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

# name, number on x86_64, number on aarch64 (- where the architecture has no such call)
_COMPUTE = """
access 21 - | chdir 80 49 | chmod 90 - | close 3 57 | close_range 436 436 | copy_file_range 326 285 | creat 85 -
dup 32 23 | dup2 33 - | dup3 292 24 | faccessat 269 48 | faccessat2 439 439 | fadvise64 221 223 | fallocate 285 47
fchdir 81 50 | fchmod 91 52 | fchmodat 268 53 | fdatasync 75 83 | flock 73 32 | fstat 5 80
fstatfs 138 44 | fsync 74 82 | ftruncate 77 46 | getcwd 79 17 | getdents 78 - | getdents64 217 61 | link 86 -
getxattr 191 8 | lgetxattr 192 9 | fgetxattr 193 10 | listxattr 194 11 | llistxattr 195 12 | flistxattr 196 13
linkat 265 37 | lseek 8 62 | lstat 6 - | mkdir 83 - | mkdirat 258 34 | newfstatat 262 79 | open 2 - | openat 257 56
pread64 17 67 | preadv 295 69
pwrite64 18 68 | pwritev 296 70 | read 0 63 | readlink 89 - | readlinkat 267 78 | readv 19 65 | rename 82 -
renameat 264 38 | renameat2 316 276 | rmdir 84 - | sendfile 40 71 | stat 4 - | statfs 137 43 | statx 332 291
symlink 88 - | symlinkat 266 36 | truncate 76 45 | umask 95 166 | unlink 87 - | unlinkat 263 35 | utimensat 280 88
write 1 64 | writev 20 66
brk 12 214 | madvise 28 233 | membarrier 324 283 | mincore 27 232 | mmap 9 222 | mprotect 10 226 | mremap 25 216
msync 26 227 | munmap 11 215
epoll_create 213 - | epoll_create1 291 20 | epoll_ctl 233 21 | epoll_pwait 281 22 | epoll_wait 232 -
eventfd2 290 19 | pipe 22 - | pipe2 293 59 | poll 7 - | ppoll 271 73 | pselect6 270 72 | select 23 -
getpeername 52 205 | getsockname 51 204 | getsockopt 55 209 | recvfrom 45 207 | recvmsg 47 212 | sendmsg 46 211
sendto 44 206 | setsockopt 54 208 | shutdown 48 210
exit 60 93 | exit_group 231 94 | futex 202 98 | get_robust_list 274 100 | gettid 186 178 | getpid 39 172 | kill 62 129
pause 34 - | restart_syscall 219 128 | rseq 334 293 | rt_sigaction 13 134 | rt_sigpending 127 136
rt_sigprocmask 14 135 | rt_sigreturn 15 139 | rt_sigsuspend 130 133 | rt_sigtimedwait 128 137
sched_getaffinity 204 123 | sched_getparam 143 121 | sched_getscheduler 145 120 | sched_get_priority_max 146 125
sched_get_priority_min 147 126 | sched_setaffinity 203 122 | sched_yield 24 124 | set_robust_list 273 99
set_tid_address 218 96 | sigaltstack 131 132 | tgkill 234 131 | tkill 200 130 | wait4 61 260 | waitid 247 95
alarm 37 - | arch_prctl 158 - | clock_getres 229 114 | clock_gettime 228 113 | clock_nanosleep 230 115
getcpu 309 168 | getegid 108 177 | geteuid 107 175 | getgid 104 176 | getgroups 115 158 | getitimer 36 102
getpgid 121 155 | getpgrp 111 - | getppid 110 173 | getpriority 140 141 | getrandom 318 278 | getresgid 120 150
getresuid 118 148 | getrlimit 97 163 | getrusage 98 165 | getsid 124 156 | gettimeofday 96 169 | getuid 102 174
nanosleep 35 101 | prlimit64 302 261 | setitimer 38 103 | setrlimit 160 164 | sysinfo 99 179 | time 201 -
times 100 153 | uname 63 160
"""
# What a worker may still do before model-written code runs in it: be started, give up root, tighten the filter.
_START = """
execve 59 221 | landlock_add_rule 445 445 | landlock_create_ruleset 444 444 | landlock_restrict_self 446 446
prctl 157 167 | seccomp 317 277 | setgroups 116 159 | setresgid 119 149 | setresuid 117 147
"""
_BY_ARGUMENT = "clone 56 220 | clone3 435 435 | ioctl 16 29 | socketpair 53 199 | fcntl 72 25"
# What reaches other processes where a worker can see any, by a process id as first argument.
_ON_PROCESSES = "kill 62 129 | tgkill 234 131 | prlimit64 302 261 | sched_setaffinity 203 122"
_ON_THREADS = "tkill 200 130 | get_robust_list 274 100"
# What changes a file that is only open for reading, or not open at all, where its owner is the worker's own user.
_ON_OWN_FILES = "chmod 90 - | fchmod 91 52 | fchmodat 268 53 | utimensat 280 88"
_NEWEST = 450  # the newest number the tables were checked against

_KILL, _ALLOW = 0x80000000, 0x7FFF0000
_NOT_PERMITTED, _NOT_IMPLEMENTED = 0x00050000 | 1, 0x00050000 | 38

_LOAD, _RETURN = 0x20, 0x06
_IF_EQUAL, _IF_AT_LEAST, _IF_ANY_BIT = 0x15, 0x35, 0x45
_NUMBER, _ARCHITECTURE, _ARGUMENT_0, _ARGUMENT_1 = 0, 4, 16, 24  # offsets in struct seccomp_data, low words

_CLONE_THREAD = 0x00010000
_CLONE_NAMESPACES = 0x7E020000  # NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET
_AF_UNIX = 1
_STREAMS = (1, 0x801, 0x80001, 0x80801)  # a datagram socket could send to any other of this machine, by its name
_OWNER_COMMANDS = (8, 10, 15, 1024, 1026)  # F_SETOWN, F_SETSIG, F_SETOWN_EX: signals to others; F_SETLEASE, F_NOTIFY
_HARMLESS_IOCTLS = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)  # TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIO(N)CLEX

Instruction = tuple[int, int, int, int]


def startup_filter(machine: str) -> bytes:
    """The filter under which a worker is started: compute, plus what the worker itself needs to settle in."""
    allowed = {**_numbers(machine, _COMPUTE), **_numbers(machine, _START)}
    return _assemble(_program(machine, allowed.values()))


def compute_filter(machine: str, pid: int | None = None, *, owns_files: bool = False) -> bytes:
    """The filter for model-written code: one process that computes. `machine` is as in `platform.machine()`.

    With `pid`, its own, for a worker that is not alone: what names a process may name only itself. `owns_files` is for
    one whose user owns files outside the sandbox: it may not change any file's mode and times.
    Raises KeyError for an architecture without a table (see `AUDIT_ARCH`).
    """
    allowed = _numbers(machine, _COMPUTE)
    only_itself = [] if pid is None else [*_numbers(machine, _ON_PROCESSES).values()]
    left_out = [*only_itself]
    if pid is not None:
        left_out += _numbers(machine, _ON_THREADS).values()
    if owns_files:
        left_out += _numbers(machine, _ON_OWN_FILES).values()
    numbers = [number for number in allowed.values() if number not in left_out]
    return _assemble(_program(machine, numbers, only_itself, pid or 0))


def _numbers(machine: str, table: str) -> dict[str, int]:
    column = {"x86_64": 1, "aarch64": 2}[machine]
    rows = [entry.split() for line in table.strip().splitlines() for entry in line.split("|")]
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


def _program(machine: str, allowed: Iterable[int], only_itself: Iterable[int] = (), pid: int = 0) -> list[Instruction]:
    program = [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_IF_EQUAL, 1, 0, AUDIT_ARCH[machine]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, _NUMBER),
        (_IF_AT_LEAST, 0, 1, _NEWEST + 1),  # the x32 calls begin far above and end here too
        (_RETURN, 0, 0, _NOT_IMPLEMENTED),
    ]
    for number in allowed:
        program += [(_IF_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ALLOW)]
    for name, number in _numbers(machine, _BY_ARGUMENT).items():
        block = _argument_rules(name)
        program += [(_IF_EQUAL, 0, len(block), number), *block]
    for number in only_itself:
        block = [(_LOAD, 0, 0, _ARGUMENT_0), *_any_of((0, pid))]
        program += [(_IF_EQUAL, 0, len(block), number), *block]
    return [*program, (_RETURN, 0, 0, _NOT_PERMITTED)]


def _argument_rules(name: str) -> list[Instruction]:
    allow, refuse = (_RETURN, 0, 0, _ALLOW), (_RETURN, 0, 0, _NOT_PERMITTED)
    if name == "clone":  # threads, but neither processes nor namespaces
        return [
            (_LOAD, 0, 0, _ARGUMENT_0),
            (_IF_ANY_BIT, 1, 0, _CLONE_NAMESPACES),
            (_IF_ANY_BIT, 1, 0, _CLONE_THREAD),
            refuse,
            allow,
        ]
    if name == "clone3":  # its flags lie behind a pointer; the C library then falls back to clone
        return [(_RETURN, 0, 0, _NOT_IMPLEMENTED)]
    if name == "socketpair":  # asyncio wakes itself through one; no other socket can be made
        family = [(_LOAD, 0, 0, _ARGUMENT_0), (_IF_EQUAL, 1, 0, _AF_UNIX), refuse]
        return [*family, (_LOAD, 0, 0, _ARGUMENT_1), *_any_of(_STREAMS)]
    if name == "fcntl":
        checks = [step for code in _OWNER_COMMANDS for step in ((_IF_EQUAL, 0, 1, code), refuse)]
        return [(_LOAD, 0, 0, _ARGUMENT_1), *checks, allow]
    return [(_LOAD, 0, 0, _ARGUMENT_1), *_any_of(_HARMLESS_IOCTLS)]


def _any_of(values: Iterable[int]) -> list[Instruction]:
    """Allow where what was loaded is one of these, else refuse."""
    checks = [step for value in values for step in ((_IF_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW))]
    return [*checks, (_RETURN, 0, 0, _NOT_PERMITTED)]


def _assemble(program: list[Instruction]) -> bytes:
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)
