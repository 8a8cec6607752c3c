"""A comparison for a terminal."""

import io
from collections.abc import Iterator

from runner.core.plan import Comparison, InvalidFile, InvalidState, Plan
from runner.core.words import counted
from runner.jobfiles.formats.shown import clean
from runner.planning.words import (
    STATE_WORDS,
    JobGroup,
    Line,
    action_words,
    finding_lines,
    group_invalid,
    group_jobs,
    group_lines,
    kept_words,
    names_words,
    nothing_words,
    recipient_words,
    side_words,
    summary,
    was_words,
)

_STYLES = {"+": "green", "-": "red", "~": "yellow", "!": "bold red", "@": "cyan", " ": ""}
_TITLE = "bold"

# Style and text.
_Styled = tuple[str, str]


def text_of(comparison: Comparison, *, colour: bool) -> str:
    """The comparison in lines, each with its mark; without `colour` nothing but text."""
    lines = list(_lines(comparison))
    if not colour:
        return "".join(f"{text}\n" for _, text in lines)
    from rich.console import Console
    from rich.text import Text

    written = io.StringIO()
    # No line is wrapped; a width all the same: with that of COLUMNS=0 there would be no line.
    console = Console(file=written, width=160, force_terminal=True, color_system="standard", highlight=False)
    for style, text in lines:
        console.print(Text(text, style=style), soft_wrap=True)
    return written.getvalue()


def _lines(comparison: Comparison) -> Iterator[_Styled]:
    plan = comparison.plan
    (base, of_base), (head, of_head) = side_words(comparison.base), side_words(comparison.head)
    yield _TITLE, f"Plan: {clean(base)} ({of_base}) → {clean(head)} ({of_head})"
    for note in comparison.notes:
        yield "yellow", f"note: {clean(note)}"
    yield "", ""
    for files in group_invalid(plan.invalid):
        yield from _invalid_lines(files)
    for group in group_jobs(plan.jobs):
        yield from _group_lines(group)
    yield from _closing_lines(plan)
    if not plan.changed:
        yield "", clean(nothing_words(comparison))
    yield _TITLE, f"Plan: {summary(plan)}"


def _group_lines(group: JobGroup) -> Iterator[_Styled]:
    change, style = group.first, f"bold {_STYLES[group.mark]}"
    if len(group.changes) > 1:
        count = counted(len(group.changes), "job")
        yield style, clean(f"{group.mark} {count}  {action_words(change)} by {names_words(group.causes)}")
    else:
        was = was_words(change)
        title = f"{group.mark} {change.job.job_name}  {action_words(change)}  {change.job.path}"
        yield style, clean(f"{title}  ({was})" if was else title)
    yield from (_detail(line) for line in group_lines(group))
    yield "", ""


def _invalid_lines(files: tuple[InvalidFile, ...]) -> Iterator[_Styled]:
    first = files[0]
    mark = "-" if first.state is InvalidState.GONE else "!"
    for file in files[:10]:
        kept = kept_words(file)
        yield _STYLES[mark], clean(f"{mark} {file.path}  {STATE_WORDS[file.state]}{f': {kept}' if kept else ''}")
    if len(files) > 10:
        yield _STYLES[mark], f"{mark} and {counted(len(files) - 10, 'more file')} {STATE_WORDS[first.state]}"
    if first.state is not InvalidState.GONE:
        yield from (_detail(line) for found in first.diagnostics for line in finding_lines(found))
    yield "", ""


def _closing_lines(plan: Plan) -> Iterator[_Styled]:
    for found in plan.warnings:
        yield "yellow", f"  {clean(str(found))}"
        if found.hint:
            yield "", f"    hint: {clean(found.hint)}"
    for title, style, changes in (
        ("Recipients gained:", _STYLES["+"], plan.recipients_gained),
        ("Recipients lost:", _STYLES["-"], plan.recipients_lost),
    ):
        if changes:
            yield _TITLE, title
            mark = "+" if changes is plan.recipients_gained else "-"
            yield from ((style, clean(f"  {mark} {one.address}  ({recipient_words(one)})")) for one in changes)
    if plan.warnings or plan.recipients_gained or plan.recipients_lost:
        yield "", ""


def _detail(line: Line) -> _Styled:
    return _STYLES[line.mark], f"    {clean(line.shown.expandtabs(4))}"
