"""System calls by number, and the C library: what `landlock`, `seccomp` and `privileges` are made of.

Sources: the kernel's `arch/x86/entry/syscalls/syscall_64.tbl` and `include/uapi/asm-generic/unistd.h`.
"""

import ctypes
import functools
import os
import platform
import sys
from dataclasses import dataclass

LAST_KNOWN = 469
"""The newest call that this module has heard of (file_setattr, Linux 6.17)."""

# name, number on x86-64, number on aarch64; a dash where the architecture has no such call. From 424 on the
# numbers are the same everywhere.
_TABLE = """
socket 41 198                     socketpair 53 199                 connect 42 203
accept 43 202                     accept4 288 242                   bind 49 200
listen 50 201                     sendto 44 206                     recvfrom 45 207
sendmsg 46 211                    recvmsg 47 212                    sendmmsg 307 269
recvmmsg 299 243                  setsockopt 54 208                 shutdown 48 210
fork 57 -                         vfork 58 -                        clone 56 220
clone3 435 435                    execve 59 221                     execveat 322 281
io_uring_setup 425 425            io_uring_enter 426 426            io_uring_register 427 427
memfd_create 319 279              memfd_secret 447 447              shmget 29 194
shmat 30 196                      shmctl 31 195                     semget 64 190
semop 65 193                      semctl 66 191                     semtimedop 220 192
msgget 68 186                     msgsnd 69 189                     msgrcv 70 188
msgctl 71 187                     mq_open 240 180                   mq_unlink 241 181
ptrace 101 117                    process_vm_readv 310 270          process_vm_writev 311 271
process_madvise 440 440           kcmp 312 272                      pidfd_open 434 434
pidfd_getfd 438 438               pidfd_send_signal 424 424         process_mrelease 448 448
kill 62 129                       tkill 200 130                     tgkill 234 131
rt_sigqueueinfo 129 138           rt_tgsigqueueinfo 297 240         setpriority 141 140
ioprio_set 251 30                 sched_setparam 142 118            sched_setscheduler 144 119
sched_setattr 314 274             sched_setaffinity 203 122         migrate_pages 256 238
move_pages 279 239                setrlimit 160 164                 prlimit64 302 261
setpgid 109 154                   setsid 112 157                    setuid 105 146
setgid 106 144                    setreuid 113 145                  setregid 114 143
setresuid 117 147                 setresgid 119 149                 setfsuid 122 151
setfsgid 123 152                  setgroups 116 159                 capset 126 91
unshare 272 97                    setns 308 268                     mount 165 40
umount2 166 39                    pivot_root 155 41                 chroot 161 51
move_mount 429 429                open_tree 428 428                 open_tree_attr 467 467
mount_setattr 442 442             fsopen 430 430                    fsconfig 431 431
fsmount 432 432                   fspick 433 433                    statmount 457 457
listmount 458 458                 swapon 167 224                    swapoff 168 225
quotactl 179 60                   quotactl_fd 443 443               acct 163 89
sysfs 139 -                       bpf 321 280                       perf_event_open 298 241
userfaultfd 323 282               keyctl 250 219                    add_key 248 217
request_key 249 218               lsm_set_self_attr 460 460         seccomp 317 277
init_module 175 105               finit_module 313 273              delete_module 176 106
kexec_load 246 104                kexec_file_load 320 294           reboot 169 142
syslog 103 116                    vhangup 153 58                    settimeofday 164 170
clock_settime 227 112             adjtimex 159 171                  clock_adjtime 305 266
sethostname 170 161               setdomainname 171 162             personality 135 92
iopl 172 -                        ioperm 173 -                      modify_ldt 154 -
uselib 134 -                      nfsservctl 180 42                 lookup_dcookie 212 18
fanotify_init 300 262             fanotify_mark 301 263             inotify_init 253 -
inotify_init1 294 26              name_to_handle_at 303 264         open_by_handle_at 304 265
mknod 133 -                       mknodat 259 33                    truncate 76 45
chmod 90 -                        fchmod 91 52                      fchmodat 268 53
fchmodat2 452 452                 chown 92 -                        fchown 93 55
lchown 94 -                       fchownat 260 54                   utime 132 -
utimes 235 -                      futimesat 261 -                   utimensat 280 88
setxattr 188 5                    lsetxattr 189 6                   fsetxattr 190 7
setxattrat 463 463                removexattr 197 14                lremovexattr 198 15
fremovexattr 199 16               removexattrat 466 466             file_setattr 469 469
fcntl 72 25                       ioctl 16 29                       prctl 157 167
vmsplice 278 75                   splice 275 76                     tee 276 77
sendfile 40 71                    close_range 436 436
open 2 -                          openat 257 56
openat2 437 437                   fallocate 285 47
flock 73 32                       sync 162 81                       syncfs 306 267
mmap 9 222                        fsync 74 82                       fdatasync 75 83
sync_file_range 277 84            msync 26 227                      pwritev2 328 287
getxattr 191 8                    lgetxattr 192 9                   fgetxattr 193 10
getxattrat 464 464                listxattr 194 11                  llistxattr 195 12
flistxattr 196 13                 listxattrat 465 465
io_setup 206 0                    io_destroy 207 1
io_submit 209 2                   io_getevents 208 4
io_pgetevents 333 292             epoll_create 213 -                epoll_create1 291 20
landlock_create_ruleset 444 444   landlock_add_rule 445 445         landlock_restrict_self 446 446
"""


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Machine:
    """One architecture: its name for audit (`AUDIT_ARCH_…`), and its calls by name."""

    audit: int
    calls: dict[str, int]


def _read(column: int) -> dict[str, int]:
    words = _TABLE.split()
    rows = zip(words[::3], words[1::3], words[2::3], strict=True)
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


X86_64 = Machine(audit=0xC000003E, calls=_read(1))
AARCH64 = Machine(audit=0xC00000B7, calls=_read(2))


@functools.cache
def this_machine() -> Machine | None:
    """The machine that this runs on; None where the sandbox has no table for it (and off Linux)."""
    if sys.platform != "linux" or sys.maxsize < 2**32:
        return None
    return {"x86_64": X86_64, "aarch64": AARCH64}.get(platform.machine())


libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def call(name: str, *arguments: ctypes.c_void_p | int | None) -> int:
    """Make a system call by name.

    Raises:
        OSError: with the errno of the call; ENOSYS on a machine without a table.
    """
    machine = this_machine()
    if machine is None:
        raise OSError(38, os.strerror(38), name)
    words = [word if isinstance(word, ctypes.c_void_p) else ctypes.c_long(word or 0) for word in arguments]
    return _checked(libc.syscall(ctypes.c_long(machine.calls[name]), *words), name)


def prctl(option: int, *arguments: int) -> int:
    """Call prctl(2).

    Raises:
        OSError: with the errno of the call.
    """
    words = [ctypes.c_ulong(word) for word in (*arguments, 0, 0, 0, 0)[:4]]
    return _checked(libc.prctl(ctypes.c_int(option), *words), "prctl")


def _checked(answer: int, name: str) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)
    return answer
