import struct

import pytest

from runner.execution import seccomp
from runner.execution.syscalls import AARCH64, X86_64

ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
PID = 4321


def judge(program, machine, name, *arguments, audit=None, number=None):
    """What a filter answers: the classic BPF machine, for the few instructions that are used."""
    number = machine.calls[name] if number is None else number
    words = [*arguments, 0, 0, 0, 0, 0, 0][:6]
    data = struct.pack("=iIQ6Q", number, audit or machine.audit, 0, *(word & (2**64 - 1) for word in words))
    accumulator, place = 0, 0
    while True:
        code, if_true, if_false, value = struct.unpack_from("HBBI", program, 8 * place)
        place += 1
        if code == 0x06:
            return value
        if code == 0x20:
            accumulator = struct.unpack_from("=I", data, value)[0]
            continue
        met = {
            0x15: accumulator == value,
            0x25: accumulator > value,
            0x35: accumulator >= value,
            0x45: bool(accumulator & value),
        }[code]
        place += if_true if met else if_false


@pytest.fixture(params=[X86_64, AARCH64], ids=["x86-64", "aarch64"])
def machine(request):
    return request.param


@pytest.fixture
def asked(machine):
    program = seccomp.step_filter(machine, pid=PID)
    return lambda name, *arguments, **more: judge(program, machine, name, *arguments, **more)


def test_what_reaches_out_of_the_process_is_refused(asked):
    for name in (
        "socket",
        "execve",
        "io_uring_setup",
        "memfd_create",
        "ptrace",
        "unshare",
        "bpf",
        "keyctl",
        "fchmodat",
    ):
        assert asked(name) == EPERM, name
    assert asked("clone3") == ENOSYS


def test_threads_are_allowed_and_processes_are_not(asked):
    assert asked("clone", 0x3D0F00) == ALLOW
    assert asked("clone", 17) == EPERM


def test_signals_reach_only_the_process_itself(asked):
    assert asked("kill", PID) == ALLOW
    assert asked("tgkill", PID, PID) == ALLOW
    for other in (1, 0, -1, -PID):
        assert asked("kill", other) == EPERM, other
    assert asked("fcntl", 3, 8) == EPERM
    assert asked("fcntl", 3, 1) == ALLOW
    assert asked("prctl", 1, 0) == EPERM
    assert asked("prctl", 15) == ALLOW


def test_unknown_calls_and_other_architectures(asked, machine):
    assert asked("", number=470) == ENOSYS
    assert asked("", number=0) == ALLOW
    assert asked("socket", audit=0x40000003) == KILL
    if machine is X86_64:
        assert asked("", number=0x40000000 | 41) == EPERM


def test_limits_can_be_read_and_not_set(machine):
    program = seccomp.limits_filter(machine)
    assert judge(program, machine, "prlimit64", 0, 9, 0, 0x7FFF0000) == ALLOW
    assert judge(program, machine, "prlimit64", 0, 9, 0x7FFF0000) == EPERM
    assert judge(program, machine, "prlimit64", 0, 9, 0x7F << 32) == EPERM
    assert judge(program, machine, "setrlimit", 9) == EPERM
