"""Which of several inputs a failure is about, and which of their files.

Who reads an input, or one file of it, knows that; who finds what is wrong there need not.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from runner.core.run import FailureKind, RunFailure
from runner.execution.orders import StepOrder
from runner.execution.steps.faults import StepError

T = TypeVar("T")


@contextmanager
def of_input(source: str = "", *, path: str = "") -> Iterator[None]:
    """What fails inside is about the input of this name, or this file, unless that is known more closely."""
    try:
        yield
    except StepError as error:
        error.source = error.source or source
        error.path = error.path or path
        raise


def each_file(paths: Sequence[str], read: Callable[[str], T]) -> list[T]:
    """What is read of each file.

    Raises:
        StepError: the one of `read`, which has the path then.
    """
    found = []
    for path in paths:
        with of_input(path=path):
            found.append(read(path))
    return found


def placed(error: StepError, order: StepOrder) -> RunFailure:
    """The failure of a step. One that is about the data says where that is, if there are several files."""
    failure = error.failure
    if failure.kind is not FailureKind.FETCH or sum(len(source.paths) for source in order.inputs) < 2:
        return failure
    place = ", ".join(_places(error, order))
    return replace(failure, message=f"{place}: {failure.message}") if place else failure


def _places(error: StepError, order: StepOrder) -> Iterator[str]:
    if len(order.inputs) > 1 and error.source:
        yield f"source '{error.source}'"
    folder, name = os.path.split(error.path)
    # What was fetched has a name that says no more than the source, unless there are several.
    is_only = any(source.paths == (error.path,) for source in order.inputs)
    if name and name not in error.failure.message and not (is_only and folder == order.run_dir):
        yield name
