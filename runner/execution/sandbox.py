"""The sandbox of a child: its layers in order, and the level that was achieved.

`Sandbox` is entered in two moves: `prepare` while the child waits, with all that does not depend on its order, and
`close` when the order is there. Namespaces come first: the zygote has its own, and each fork is prepared.
"""

import errno
import os
import site
import sys
import sysconfig
from contextlib import suppress
from enum import StrEnum
from types import ModuleType
from typing import Protocol

from runner.errors import SandboxError
from runner.execution import landlock, limits, seccomp
from runner.execution.namespaces import SCRATCH, Namespaces
from runner.execution.syscalls import this_machine

NO_LEVEL = "none"
_DEVICES = ("/dev/null", "/dev/full")
_SYSTEM = (
    # Libraries, and what they read of the machine to size their thread pools. DuckDB 2 ends the process where it
    # cannot read its control group.
    "/usr/lib",
    "/usr/lib64",
    "/usr/local/lib",
    "/lib",
    "/lib64",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/usr/share/zoneinfo",
    # What `mimetypes` of the standard library reads, which openpyxl uses.
    "/etc/mime.types",
    # Fonts for the letters of a chart.
    "/usr/share/fonts",
    "/usr/local/share/fonts",
    # Not to be written: who may do that has shared memory by mapping it, which the filter of calls cannot tell.
    "/dev/zero",
    "/dev/random",
    "/dev/urandom",
    "/proc/cpuinfo",
    "/proc/meminfo",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/fs/cgroup",
)
# What libraries read of their own process, where the whole folder is not to be had: its `net`, and that of each of
# its threads, is the machine's where a child has no network of its own.
_OWN_PROCESS = (
    *("cgroup", "cmdline", "comm", "io", "limits", "maps", "mountinfo", "mounts"),
    *("smaps", "smaps_rollup", "stat", "statm", "status"),
)


class SandboxMode(StrEnum):
    """What `SANDBOX` asks for: every layer or none runs; what can be had; nothing but limits."""

    STRICT = "strict"
    BEST_EFFORT = "best-effort"
    OFF = "off"


def library_roots(*modules: ModuleType) -> tuple[str, ...]:
    """The folders that Python code is imported from: the standard library, site-packages, and `modules`.

    Not all of `sys.path`: a checkout on it holds `.env` and the state of the service beside the code.
    """
    paths = sysconfig.get_paths()
    roots = [paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")]
    roots.extend(site.getsitepackages())
    roots.extend(path for path in sys.path if path.endswith(("/site-packages", "/dist-packages")))
    for prefix in (sys.base_prefix, sys.prefix):
        roots.extend((f"{prefix}/lib", f"{prefix}/lib64"))
    for module in modules:
        roots.extend(module.__path__ if hasattr(module, "__path__") else [module.__file__ or ""])
    return tuple(dict.fromkeys(os.path.realpath(root) for root in roots if root))


class Enclosure(Protocol):
    """What a child puts around itself: `Sandbox`, or where there is none, what is left of it."""

    @property
    def level(self) -> str:
        """The layers that hold."""

    @property
    def missing(self) -> tuple[str, ...]:
        """Why others do not."""

    @property
    def scratch(self) -> str | None:
        """The folder for temporary files, where it is not the run's."""

    def prepare(self) -> None:
        """All that does not depend on the order."""

    def close(
        self,
        *,
        input_paths: tuple[str, ...],
        open_inputs: int,
        run_dir: str,
        memory_mb: int,
        cpu_seconds: int | None,
    ) -> None:
        """The rest, for one order; of its inputs so many are open at a time."""


class Sandbox:
    """The layers of a child. `level` names those that a step cannot get around; limits always apply.

    It is made in the zygote, with what is the same for all children, and entered in a child.

    Args:
        mode: what to do where a layer is missing.
        read_roots: folders and files to read beside the system's libraries.
        namespaces: those of the zygote.
    """

    def __init__(self, *, mode: SandboxMode, read_roots: tuple[str, ...], namespaces: Namespaces) -> None:
        self._mode = mode
        self._readable = landlock.shortest((*_SYSTEM, *read_roots))
        self._machine = this_machine()
        if self._machine is not None:
            # Put together here, so that a child finds them.
            seccomp.common_rules(self._machine)
            seccomp.closing_filter(self._machine)
        self._namespaces = namespaces
        self._ruleset: landlock.Ruleset | None = None
        self._filtered = False
        self._apart = False
        self._own_process: list[int] = []
        self._missing: list[str] = []

    @property
    def level(self) -> str:
        """`landlock+seccomp+namespaces`, those of them that hold, or `none`."""
        layers = (("landlock", self._ruleset), ("seccomp", self._filtered), ("namespaces", self._apart))
        return "+".join(name for name, held in layers if held) or NO_LEVEL

    @property
    def missing(self) -> tuple[str, ...]:
        """Why a layer that the level lacks cannot be had, a sentence for each."""
        return tuple(self._missing)

    @property
    def scratch(self) -> str | None:
        """The folder for temporary files, bounded and in memory; None where there is only the run's."""
        return SCRATCH if self._apart else None

    def before_fork(self) -> None:
        """In the zygote, each time: what a child cannot do for itself."""
        self._namespaces.before_fork()

    def prepare(self) -> None:
        """All that does not depend on the order. The calling process must have one thread.

        Raises:
            SandboxError: in strict mode, Landlock or seccomp is missing.
        """
        if self._mode is not SandboxMode.OFF:
            self._apart = self._namespaces.enter_child()
        limits.give_up_privileges()
        if self._mode is not SandboxMode.OFF:
            self._prepare_files()
            self._filter_calls()
        if self._mode is not SandboxMode.OFF and not self._apart:
            self._missing.append(f"no namespaces: {self._namespaces.missing or 'there are too many of them'}")
        limits.limit_early(fork_is_refused=self._filtered)

    def close(
        self,
        *,
        input_paths: tuple[str, ...],
        open_inputs: int,
        run_dir: str,
        memory_mb: int,
        cpu_seconds: int | None,
    ) -> None:
        """The rest, for one order: its paths, how many of them are open at a time, its limits. After this nothing
        can be had back.

        Raises:
            SandboxError: a layer that was prepared cannot be closed.
        """
        limits.limit_late(memory_mb=memory_mb, cpu_seconds=cpu_seconds, open_inputs=open_inputs)
        try:
            if self._ruleset is not None:
                self._ruleset.allow_reading(input_paths)
                self._ruleset.allow_writing(run_dir)
                # Landlock binds the calling thread alone: a second one would stay outside.
                _require_one_thread()
                self._ruleset.enforce()
            if self._filtered and self._machine is not None:
                seccomp.install(seccomp.closing_filter(self._machine))
        except OSError as error:
            raise SandboxError(
                f"the sandbox could not be closed around the step: {error}",
                hint="Look at the service's log; SANDBOX=best-effort does not help here.",
            ) from error

    def _prepare_files(self) -> None:
        try:
            self._ruleset = landlock.Ruleset()
        except OSError as error:
            self._do_without(
                "Landlock",
                "Use Linux 5.13 or newer with `landlock` in its `lsm=` list, on x86-64 or aarch64",
                error,
            )
            return
        self._ruleset.allow_reading(self._readable)
        for device in _DEVICES:
            self._ruleset.allow_device(device)
        self._allow_own_process(self._ruleset)
        if self.scratch is not None:
            self._ruleset.allow_writing(self.scratch)

    def _allow_own_process(self, ruleset: landlock.Ruleset) -> None:
        # A rule on /proc lasts as long as its entry is cached: the open descriptors keep it there.
        folder = os.open("/proc/self", os.O_PATH | os.O_CLOEXEC)
        self._own_process.append(folder)
        if self._apart:
            ruleset.allow_reading((f"/proc/self/fd/{folder}",))
            return
        ruleset.allow_listing(f"/proc/self/fd/{folder}")
        for name in _OWN_PROCESS:
            with suppress(OSError):
                self._own_process.append(os.open(name, os.O_PATH | os.O_CLOEXEC, dir_fd=folder))
        ruleset.allow_reading(f"/proc/self/fd/{entry}" for entry in self._own_process[1:])

    def _filter_calls(self) -> None:
        try:
            if self._machine is None:
                raise OSError(38, "no system-call table for this machine")
            seccomp.install(seccomp.step_filter(self._machine, pid=os.getpid()))
            self._filtered = True
        except OSError as error:
            self._do_without("seccomp", "Use a kernel with CONFIG_SECCOMP_FILTER, on x86-64 or aarch64", error)

    def _do_without(self, layer: str, remedy: str, error: OSError) -> None:
        reason = error.strerror or str(error)
        if error.errno == errno.EPERM:
            # The kernel has it: it is a filter around the service that refuses, as of an old container runtime.
            remedy = f"Let the seccomp profile of the container allow the system calls of {layer}"
        if self._mode is SandboxMode.STRICT:
            raise SandboxError(
                f"SANDBOX=strict needs {layer}, which cannot be had here: {reason}",
                hint=f"{remedy}; or set SANDBOX=best-effort to run scripts with the protection there is.",
            )
        self._missing.append(f"no {layer}: {reason}")


def _require_one_thread() -> None:
    threads = len(os.listdir("/proc/self/task"))  # noqa: PTH208 - names are all that is needed
    if threads != 1:
        raise OSError(16, f"{threads} threads run in the child, one was expected")
