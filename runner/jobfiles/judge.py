"""JobFiles → verdicts, many at a time: what `inspect_file` finds, sooner where there is nothing to find.

A good file in the common form needs neither a parser nor places. All files of a batch go through one step of the
check, then all through the next: measured, that takes two thirds of the time of one file after the other, for the
code of a step stays in the processor's cache.
"""

import warnings
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from runner.core.names import NamePlace
from runner.jobfiles.check import AFTER, JOB_NAME, Inspected, digest_of, inspect_file
from runner.jobfiles.common_form import place_of_value, places_of_items, read_common_form
from runner.jobfiles.document import Document
from runner.jobfiles.files import FileSource
from runner.jobfiles.inspection import CheckContext, Inspection
from runner.jobfiles.lint.checks import CHECKS
from runner.jobfiles.lint.policy import resolved
from runner.jobfiles.lint.source_file import looked_at
from runner.jobfiles.read import JobFile
from runner.jobfiles.schema import JOB_SCHEMA
from runner.jobfiles.verdict import Verdict

# Files that are checked together: few enough for the processor's cache.
BATCH = 32


class _Candidate(NamedTuple):
    """A file that may be good: in the common form, and of the schema."""

    job_file: JobFile
    data: Mapping[str, Any]
    inspection: Inspection


def judge_files(files: Sequence[tuple[JobFile, CheckContext]]) -> list[Verdict]:
    """The verdicts on files, in the order given; raises as `inspect_file`."""
    return [inspected.verdict for inspected in inspect_files(files)]


def inspect_files(files: Sequence[tuple[JobFile, CheckContext]]) -> list[Inspected]:
    """As `inspect_file` for each, in the order given; the documents of good files may be without places."""
    read = [read_common_form(job_file.text) for job_file, _ in files]
    candidates = {
        place: _Candidate(job_file, data, _inspection(job_file, data, context))
        for place, ((job_file, context), data) in enumerate(zip(files, read, strict=True))
        if data is not None and not context.layers.diagnostics and JOB_SCHEMA.fits(data)
    }
    _look_ahead([candidate.inspection for candidate in candidates.values()])
    good = _without_findings(candidates)
    return [_good_file(good[place]) if place in good else inspect_file(*file) for place, file in enumerate(files)]


def _inspection(job_file: JobFile, data: Mapping[str, Any], context: CheckContext) -> Inspection:
    return Inspection(path=job_file.path, document=Document(text=job_file.text, data=data), context=context)


def _look_ahead(inspections: Iterable[Inspection]) -> None:
    """Look at the data files of a batch at once: one after the other takes as long as all the checks."""
    asked: dict[FileSource, list[Inspection]] = defaultdict(list)
    for inspection in inspections:
        asked[inspection.context.files].append(inspection)
    for files, some in asked.items():
        files.look_ahead(
            chain.from_iterable(map(looked_at, some)), resolved=chain.from_iterable(map(resolved, some))
        )


def _without_findings(candidates: Mapping[int, _Candidate]) -> dict[int, _Candidate]:
    """Those that no check has anything against. One that a check fails on is left to the full check, to tell."""
    left = dict(candidates)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the compiler, about scripts: off once for the batch
        for check in CHECKS:
            for place, candidate in list(left.items()):
                try:
                    check(candidate.inspection)
                except Exception:  # noqa: BLE001 - it comes again in the full check, and is told there
                    del left[place]
    return {place: candidate for place, candidate in left.items() if not candidate.inspection.findings}


def _good_file(candidate: _Candidate) -> Inspected:
    job_file, data, inspection = candidate
    line, column = place_of_value(job_file.text, JOB_NAME[0])
    verdict = Verdict(
        path=job_file.path,
        digest=digest_of(job_file, inspection.step_file),
        job_name=data[JOB_NAME[0]],
        line=line,
        column=column,
        dependencies=tuple(inspection.dependencies),
        **inspection.links(_after(job_file, data.get(AFTER[0], ()))),
    )
    return Inspected(verdict=verdict, document=inspection.document, step_file=inspection.step_file)


def _after(job_file: JobFile, names: Sequence[str]) -> list[NamePlace]:
    if not names:
        return []
    places = places_of_items(job_file.text, AFTER[0], len(names))
    return [NamePlace(name, job_file.path, *place) for name, place in zip(names, places, strict=True)]
