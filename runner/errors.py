"""The exception tree. Only what stops a whole command or service is raised; everything else is a value.

`runner.cli` maps this tree to exit codes in one place.
"""


class RunnerError(Exception):
    """Something stopped the command: what happened, and what to do now.

    Args:
        message: what is wrong and where, one sentence.
        hint: what to do now, one sentence; shown under the message.
    """

    exit_code = 3

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class SettingsError(RunnerError):
    """A setting in the environment or in `.env` cannot be used."""


class UsageError(RunnerError):
    """The command was asked for something that does not exist, such as a job of an unknown name."""

    exit_code = 2


class StoppedError(RunnerError):
    """The person who had asked for it has ended the command: what becomes of the runs it had asked for."""

    # As a shell reports a program that SIGINT has ended.
    exit_code = 130


class StoreError(RunnerError):
    """The run history cannot be opened, read or written."""


class StoreBusyError(StoreError):
    """Another service holds the state directory."""


class RunStateError(StoreError):
    """A run is not in the state that a change asks for: another process has changed it, or it is gone."""


class SandboxError(RunnerError):
    """The sandbox that `SANDBOX` asks for cannot be had on this machine."""


class ExecutionError(RunnerError):
    """The zygote could not be started or does not answer."""


class ThreadError(RunnerError):
    """The system gives this process no other thread."""

    def __init__(self) -> None:
        super().__init__(
            "no other thread can be started",
            hint="Let this user have more processes and threads (ulimit -u; in a container pids.max), and the "
            "service more address space where that is bounded (ulimit -v).",
        )


class StatusError(RunnerError):
    """The HTTP endpoint could not be opened."""


class FetchError(RunnerError):
    """The data of a run could not be had: the source, a reference in it, or the time ran out. Masked."""
