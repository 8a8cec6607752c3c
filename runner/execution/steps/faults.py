"""How a step says that it failed."""

from runner.core.run import FailureKind, RunFailure


class StepError(Exception):
    """A step cannot go on: the failure is its argument. Raised inside a child only."""

    def __init__(self, kind: FailureKind, message: str, *, hint: str = "", traceback: str = "") -> None:
        super().__init__(message)
        self.failure = RunFailure(kind=kind, message=message, hint=hint, traceback=traceback)


def memory_error() -> StepError:
    """The step asked for more memory than it may have."""
    return StepError(
        FailureKind.MEMORY,
        "the step needs more memory than it may have",
        hint="Raise `resources.memory_mb` in the job file, or let the step read or keep less.",
    )
