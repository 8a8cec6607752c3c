"""A comparison as the comment of a pull request: GitHub's markdown, at most 65,536 characters.

What comes from files and names stands in code alone: in fences longer than any run of backticks in them, or as
`<code>` with every sign written as an entity. Nothing in it is markup, a link or a mention.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

from runner.core.plan import Comparison, InvalidFile, InvalidState, Plan, RecipientChange
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

# By which a bot finds the comment that it is to update.
MARKER = "<!-- runner plan -->"
LIMIT = 65_536
_RESERVED = 600
_TABLE_LIMIT = 20_000
_BLOCK_LINES = 250
_BLOCK_LIMIT = 12_000
_LONGEST_LINE = 500
_LONGEST_CODE = 200
_LISTED = 20

_HARMLESS = re.compile(r"[A-Za-z0-9_./:@+,=()-](?:[A-Za-z0-9_./:@+,=() -]*[A-Za-z0-9_./:@+,=()-])?")
_SIGN = re.compile(r"[^A-Za-z0-9\s.,;-]")
_BACKTICKS = re.compile(r"`+")


def markdown_of(comparison: Comparison) -> str:
    """The comment: what changed as a table, then the details folded; what does not fit is counted."""
    plan = comparison.plan
    entries = [
        *(_Entry.of_invalid(files) for files in group_invalid(plan.invalid)),
        *(_Entry.of_group(group) for group in group_jobs(plan.jobs)),
    ]
    parts = [*_head(comparison), *_table(entries), *_people(plan), *_warnings(plan)]
    size = sum(len(part) + 1 for part in parts)
    left_out = 0
    for entry in entries:
        block = entry.details()
        if size + len(block) + 1 > LIMIT - _RESERVED:
            left_out += 1
        elif block:
            parts.append(block)
            size += len(block) + 1
    if left_out:
        parts.append(
            f"The details of {left_out:,} of {len(entries):,} entries do not fit in a comment:"
            f" `runner plan` with `--format text` shows them all.\n"
        )
    return "\n".join(parts)


class _Entry:
    """One row of the table, and its details."""

    def __init__(self, cells: tuple[str, str, str, str], title: str, lines: Iterable[Line]) -> None:
        self.cells = cells
        self._title = title
        self._lines = list(lines)

    @classmethod
    def of_group(cls, group: JobGroup) -> "_Entry":
        """Jobs that are changed alike."""
        change = group.first
        words = action_words(change)
        if len(group.changes) > 1:
            who = counted(len(group.changes), "job")
            by = " and ".join(code(one) for one in group.causes[:3])
            title = f"{words}: {who}"
            return cls((group.mark, who, f"{words} by {by}", ""), title, group_lines(group))
        keys = [one.key for one in change.keys] if group.mark == "~" else []
        what = words + (f": {', '.join(code(key) for key in keys[:6])}" if keys else "")
        if len(keys) > 6:
            what += f" and {len(keys) - 6} more"
        was = was_words(change)
        name = change.job.job_name
        where = code(change.job.path) + (f" ({_prose(was)})" if was else "")
        return cls((group.mark, code(name), what, where), f"{words}: {_entities(name)}", group_lines(group))

    @classmethod
    def of_invalid(cls, files: tuple[InvalidFile, ...]) -> "_Entry":
        """Files that are invalid alike."""
        first = files[0]
        words = STATE_WORDS[first.state]
        mark = "-" if first.state is InvalidState.GONE else "!"
        faults = () if first.state is InvalidState.GONE else first.diagnostics
        lines = [line for found in faults for line in finding_lines(found)]
        if len(files) > 1:
            who = counted(len(files), "file")
            names = names_words([file.path for file in files])
            return cls((mark, who, words, code(names)), f"{words}: {who}", (*lines, Line(" ", f"files: {names}")))
        kept = kept_words(first)
        name = code(first.job_name) if first.job_name else ""
        what = f"**{words}**" + (f": {_prose(kept)}" if kept else "")
        return cls((mark, name, what, code(first.path)), f"{words}: {_entities(first.path)}", lines)

    def row(self) -> str:
        """Its row."""
        return f"| {' | '.join(self.cells)} |"

    def details(self) -> str:
        """Its details, folded; empty where there are none."""
        if not self._lines:
            return ""
        fenced = _fence("diff", (line.shown.expandtabs(4) for line in self._lines))
        return f"<details><summary>{self._title}</summary>\n\n{fenced}\n\n</details>\n"


def _head(comparison: Comparison) -> Iterator[str]:
    (base, of_base), (head, of_head) = side_words(comparison.base), side_words(comparison.head)
    yield MARKER
    yield f"### Plan: {summary(comparison.plan)}\n"
    yield f"{code(base)} ({code(of_base)}) → {code(head)} ({code(of_head)})\n"
    yield from (f"> {_prose(note)}\n" for note in comparison.notes)
    if not comparison.plan.changed:
        yield f"{_prose(nothing_words(comparison))}\n"


def _table(entries: Sequence[_Entry]) -> Iterator[str]:
    if not entries:
        return
    yield "| | job | what | file |\n|---|---|---|---|"
    size = 0
    for place, entry in enumerate(entries):
        row = entry.row()
        size += len(row) + 1
        if size > _TABLE_LIMIT:
            yield f"| | and {len(entries) - place:,} more | | |"
            break
        yield row
    yield ""


def _people(plan: Plan) -> Iterator[str]:
    for title, changes in (("gained", plan.recipients_gained), ("lost", plan.recipients_lost)):
        if changes:
            yield f"**Recipients {title}**\n"
            yield from (_person(one) for one in changes[:_LISTED])
            if len(changes) > _LISTED:
                yield f"- and {len(changes) - _LISTED:,} more"
            yield ""


def _person(change: RecipientChange) -> str:
    return f"- {code(change.address)} ({_prose(recipient_words(change))})"


def _warnings(plan: Plan) -> Iterator[str]:
    if plan.warnings:
        yield f"**New warnings**: {len(plan.warnings):,}\n"
        lines = (line.text for found in plan.warnings[:_LISTED] for line in finding_lines(found))
        yield _fence("text", lines) + "\n"
        if len(plan.warnings) > _LISTED:
            yield f"and {len(plan.warnings) - _LISTED:,} more\n"


def code(text: str) -> str:
    """Foreign text as code on one line, in a cell of a table too."""
    shown = _cut(clean(text), _LONGEST_CODE)
    return f"`{shown}`" if _HARMLESS.fullmatch(shown) else _entities(shown)


def _entities(text: str) -> str:
    shown = _cut(clean(text), _LONGEST_CODE)
    return f"<code>{_SIGN.sub(lambda match: f'&#{ord(match[0])};', shown)}</code>"


def _prose(text: str) -> str:
    """A sentence with foreign names in it: signs as entities, and what GitHub makes links of broken up."""
    shown = _cut(clean(text), 2 * _LONGEST_CODE)
    return _SIGN.sub(lambda match: f"&#{ord(match[0])};" + ("&#8203;" if match[0] in "@#:" else ""), shown)


def _fence(info: str, lines: Iterable[str]) -> str:
    """Lines in a fence that none of them can close, cut where they are too many."""
    shown: list[str] = []
    size = left_out = 0
    for line in lines:
        kept = _cut(clean(line), _LONGEST_LINE)
        size += len(kept) + 1
        if len(shown) < _BLOCK_LINES and size <= _BLOCK_LIMIT:
            shown.append(kept)
        else:
            left_out += 1
    if left_out:
        shown.append(f"  … {counted(left_out, 'more line')}")
    longest = max((len(run) for line in shown for run in _BACKTICKS.findall(line)), default=0)
    fence = "`" * max(3, longest + 1)
    return "\n".join((fence + info, *shown, fence))


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
