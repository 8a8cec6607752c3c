"""What a step leaves: where its files lie, and what is known of its result once that is written."""

import os
from dataclasses import dataclass

from runner.execution.orders import StepOrder
from runner.execution.results import ATTACHMENT_FILES, CHART_FILE, RESULT_FILE
from runner.execution.steps.content import Content


@dataclass(frozen=True, kw_only=True, slots=True)
class Written:
    """What a step wrote: how many rows, which columns are numbers, and the table for other forms than CSV."""

    rows_out: int
    numeric: tuple[bool, ...]
    content: Content


def result_path(order: StepOrder) -> str:
    """Where the result of a step lies."""
    return os.path.join(order.run_dir, RESULT_FILE)  # noqa: PTH118 - text in, text out


def chart_path(order: StepOrder) -> str:
    """Where the chart of a step lies."""
    return os.path.join(order.run_dir, CHART_FILE)  # noqa: PTH118 - text in, text out


def attachment_path(order: StepOrder) -> str | None:
    """Where the result lies in the form that is attached; None where that is made of the CSV."""
    name = ATTACHMENT_FILES.get(order.attachment)
    return None if name is None else os.path.join(order.run_dir, name)  # noqa: PTH118
