"""Tables on terminals of every width: nothing is left out, and no short word is broken."""

import io
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console

from runner.cli.fitting import FittingTable
from runner.cli.render import run_table
from runner.core.delivery import Delivery, DeliveryState, MailKind
from runner.core.run import FailureKind, Run, RunFailure, RunState, Trigger

AT = datetime(2026, 1, 5, 9, 30, 15, tzinfo=UTC)
ID = "01m8kszhzvbq3a7chfdkpy1a3x"


def lines(table, width):
    stream = io.StringIO()
    Console(file=stream, color_system=None, width=width, highlight=False).print(table)
    return [line.rstrip() for line in stream.getvalue().splitlines()]


def failed_run():
    delivery = Delivery(
        delivery_id=1,
        run_id=ID,
        job_name="broken_on_purpose",
        kind=MailKind.FAILURE,
        recipient="a@example.com",
        message_id="<m>",
        state=DeliveryState.SENT,
        created_at=AT,
    )
    return Run(
        run_id=ID,
        job_name="broken_on_purpose",
        state=RunState.TIMED_OUT,
        trigger=Trigger.SCHEDULE,
        scheduled_time=AT,
        queued_at=AT,
        started_at=AT,
        finished_at=AT,
        rows_out=12_000,
        deliveries=(delivery, replace(delivery, state=DeliveryState.DEAD)),
        failure=RunFailure(kind=FailureKind.TIMEOUT, message="the step took longer than 1 s, and was ended"),
    )


@pytest.mark.parametrize("width", range(40, 161, 3))
def test_every_width_shows_all_of_a_run(width):
    shown = lines(run_table([failed_run()], "UTC"), width)
    assert max(map(len, shown)) <= width
    words = " ".join(shown).split()
    told = (
        f"broken_on_purpose {ID} 2026-01-05 09:30:15 UTC timed out 12,000 1 sent, dead the step took longer than"
    )
    assert set(told.split()) <= set(words)


def test_where_it_does_not_fit_each_cell_stands_behind_the_name_of_its_column():
    one = [
        " broken_on_purpose",
        f" {ID}",
        "   scheduled 2026-01-05 09:30:15 UTC · state timed out · took 0 ms · rows",
        "   12,000 · mails 1 sent, 1 dead · error the step took longer than 1 s, and was",
        "   ended",
    ]
    assert lines(run_table([failed_run(), failed_run()], "UTC"), 80) == [*one, *one]


def test_where_it_fits_it_is_a_table():
    shown = lines(run_table([failed_run()], "UTC"), 160)
    assert shown[1].split() == ["job", "scheduled", "state", "took", "rows", "mails", "error"]


def test_a_cell_of_many_lines_has_them_to_itself():
    table = FittingTable()
    for name in ("key", "value", "unit", "from"):
        table.add_column(name, no_wrap=True)
    table.add_row("script", "a = 1\nb = 2\n\nresult = b", "", "jobs.d/a.yaml:3")
    assert lines(table, 30) == [
        " script",
        "   value",
        "   a = 1",
        "   b = 2",
        "",
        "   result = b",
        "   from jobs.d/a.yaml:3",
    ]


def test_a_table_without_rows_is_no_fault():
    table = FittingTable()
    table.add_column("a name that is wide", no_wrap=True)
    assert lines(table, 10) == []
    assert lines(table, 40)[1] == " a name that is wide"
