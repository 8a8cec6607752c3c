"""What only a look at all files of a tree shows: names and paths that clash, and what is wrong with `after`."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime

import msgspec

from runner.core.diagnostic import Diagnostic, sort_diagnostics
from runner.core.names import claimed_name, name_clash
from runner.jobfiles.verdict import Verdict


def with_clashes(verdicts: Iterable[Verdict]) -> tuple[Verdict, ...]:
    """The verdicts of one tree, with what only a look at all files shows: names of jobs that two good files have,
    and paths that differ only in case."""
    verdicts = tuple(verdicts)
    names: dict[str, list[Verdict]] = defaultdict(list)
    paths: dict[str, list[Verdict]] = defaultdict(list)
    for verdict in verdicts:
        if verdict.good and verdict.job_name is not None:
            names[verdict.job_name].append(verdict)
        paths[verdict.path.casefold()].append(verdict)
    findings: dict[str, list[Diagnostic]] = defaultdict(list)
    for groups, finding in ((names, _same_name), (paths, _same_path)):
        for group in groups.values():
            for verdict in group if len(group) > 1 else ():
                other = next(one for one in group if one is not verdict)
                findings[verdict.path].append(finding(verdict, other))
    return tuple(_with_more(verdict, findings.get(verdict.path, [])) for verdict in verdicts)


def with_links(verdicts: Iterable[Verdict], rest: Iterable[Verdict], now: datetime) -> tuple[Verdict, ...]:
    """Some verdicts of one tree, with what is wrong with the jobs that they come after; `rest` are those on the
    other files of the tree."""
    from runner.core.dependencies import find_after_faults  # where jobs come after others

    verdicts = tuple(verdicts)
    every = (*verdicts, *rest)
    jobs = {verdict.job_name: verdict.linked for verdict in reversed(every) if verdict.good}
    names = {claimed_name(verdict.job_name, verdict.path) for verdict in every}
    found = find_after_faults(jobs.values(), known=names, now=now)
    return tuple(_with_more(verdict, found.get(verdict.path, ())) for verdict in verdicts)


def _with_more(verdict: Verdict, findings: Sequence[Diagnostic]) -> Verdict:
    if not findings:
        return verdict
    diagnostics = sort_diagnostics((*verdict.diagnostics, *findings))
    return msgspec.structs.replace(verdict, diagnostics=diagnostics)


def _same_name(verdict: Verdict, other: Verdict) -> Diagnostic:
    return name_clash(verdict.place, other.place)


def _same_path(verdict: Verdict, other: Verdict) -> Diagnostic:
    return Diagnostic(
        path=verdict.path,
        rule="same-but-for-case",
        message=f"the path differs from {other.path} only in the case of its letters",
        hint="Rename one of the two: a checkout on macOS or Windows keeps only one of them.",
    )
