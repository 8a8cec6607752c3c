"""The REST service's stored jobs → files in a folder of jobs, each checked as `validate` checks it."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from runner.core.diagnostic import Diagnostic, has_errors
from runner.core.job_defaults import JobDefaults
from runner.errors import RunnerError
from runner.jobfiles.canonical.form import write_data
from runner.jobfiles.paths import check_paths
from runner.jobfiles.predecessor.conversion import Conversion, convert_jobs
from runner.jobfiles.predecessor.keys import Note, NoteKind
from runner.jobfiles.predecessor.stored_jobs import MAX_BYTES, StoredJobsError, read_stored_jobs
from runner.jobfiles.schema import JOB_SCHEMA
from runner.jobfiles.walk import SUFFIXES, shown_path

_MODELINE = "# yaml-language-server: $schema=../schemas/job.schema.json"
_LONGEST_NAME = 200
_UNWRITABLE = Note(
    kind=NoteKind.TO_DO,
    key="",
    message="it holds what no YAML file can, such as half of a character",
    hint="Mend it where it is stored, and import again.",
)


class ImportState(StrEnum):
    """What became of a stored job: a new file; no file because there is one already; no file."""

    WRITTEN = "written"
    KEPT = "kept"
    LEFT_OUT = "left_out"


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportedJob:
    """A stored job, the file it became (shown; empty where there is none), and what is to be known of it.

    `findings` are those of the written file.
    """

    place: str
    old_name: str | None
    job_name: str | None
    state: ImportState
    path: str = ""
    notes: tuple[Note, ...] = ()
    findings: tuple[Diagnostic, ...] = ()

    @property
    def needs_attention(self) -> bool:
        """Whether something is left to do before the job is in force."""
        return (
            self.state is ImportState.KEPT
            or has_errors(self.findings)
            or any(note.kind is NoteKind.TO_DO for note in self.notes)
        )


def import_jobs(
    file: Path, *, output_dir: Path, folder: Path, defaults: JobDefaults, now: datetime
) -> tuple[ImportedJob, ...]:
    """Write one file for each job, in canonical form and named after the job, and check them.

    No file that exists is changed. Paths are shown relative to `folder` where they are in it.

    Raises:
        StoredJobsError: the file of stored jobs cannot be read.
        RunnerError: a job file cannot be written.
    """
    shown = _shown(file, folder)
    conversions = convert_jobs(
        read_stored_jobs(_read(file, shown), shown), known_keys=JOB_SCHEMA.data["properties"]
    )
    schema = output_dir.parent / "schemas" / "job.schema.json"
    header = (_MODELINE,) if schema.is_file() else ()
    jobs = [_write(conversion, output_dir, folder, header) for conversion in conversions]
    return _checked(jobs, output_dir, folder, defaults, now)


def _read(file: Path, shown: str) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise StoredJobsError(
            f"{shown} cannot be read: {error.strerror or error}",
            hint="Give the file that JOB_STORAGE_PATH of the REST service named, ./data/jobs.json by default.",
        ) from error


def _write(conversion: Conversion, output_dir: Path, folder: Path, header: Sequence[str]) -> ImportedJob:
    """Write the file of one job, where one can be made and there is none yet."""
    job = ImportedJob(
        place=conversion.place,
        old_name=conversion.old_name,
        job_name=conversion.job_name,
        state=ImportState.LEFT_OUT,
        notes=conversion.notes,
    )
    if conversion.job_name is None:
        return job
    if conversion.old_name is not None and conversion.old_name != conversion.job_name:
        header = (*header, f"# The REST service called this job {_comment(conversion.old_name)}.")
    text = write_data(conversion.data, JOB_SCHEMA.data, header=header)
    if text is None:
        return replace(job, notes=(*job.notes, _UNWRITABLE))
    path = output_dir / f"{conversion.job_name}.yaml"
    existing = next((found for end in SUFFIXES if os.path.lexists(found := path.with_suffix(end))), None)
    if existing is not None:
        return replace(job, state=ImportState.KEPT, path=_shown(existing, folder))
    shown = _shown(path, folder)
    _create(path, text, shown)
    return replace(job, state=ImportState.WRITTEN, path=shown)


def _create(path: Path, text: str, shown: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("xb") as file:
            try:
                file.write(text.encode())
                file.flush()
            except BaseException:
                path.unlink()
                raise
    except OSError as error:
        raise RunnerError(
            f"{shown} cannot be written: {error.strerror or error}",
            hint="Name a folder that can be written to with --output-dir. The files written so far are complete.",
        ) from error


def _checked(
    jobs: Sequence[ImportedJob], output_dir: Path, folder: Path, defaults: JobDefaults, now: datetime
) -> tuple[ImportedJob, ...]:
    """The jobs with what `validate` finds in the files written.

    The whole folder is looked at, for a name counts once in it.
    """
    if not any(job.state is ImportState.WRITTEN for job in jobs):
        return tuple(jobs)
    validation = check_paths((output_dir,), jobs_dir=output_dir, folder=folder, defaults=defaults, now=now)
    return tuple(
        replace(job, findings=tuple(found for found in validation.diagnostics if found.path == job.path))
        if job.state is ImportState.WRITTEN
        else job
        for job in jobs
    )


def _shown(path: Path, folder: Path) -> str:
    place = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would lose the name of a link
    return shown_path(os.fspath(place.relative_to(folder) if place.is_relative_to(folder) else place))


def _comment(name: str) -> str:
    """A name in quotes that fits a comment: on one line, and nothing invisible in it."""
    return json.dumps(name[:_LONGEST_NAME], ensure_ascii=not name.isprintable())
