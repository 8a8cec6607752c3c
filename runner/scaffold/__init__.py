"""A new repository of jobs: what `runner init` writes."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from runner.errors import RunnerError
from runner.jobfiles.walk import FolderGoneError, list_job_files
from runner.shipped import shipped_path

_FILES = Path(__file__).resolve().parent / "files"
_IGNORED = ".gitignore"
_STATE = "data/"
# As the `.gitignore` of a repository was written once, and as many write it.
_WHOLE_STATE = re.compile(r"/?data(/(\*\*?)?)?")
_JOBS = "jobs.d"
_EXAMPLE = (f"{_JOBS}/example.yaml", f"{_JOBS}/samples/example.csv")
_SCHEMAS = ("schemas/job.schema.json", "schemas/defaults.schema.json", "schemas/policy.schema.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class Scaffold:
    """What was written, and what stood there already and was left alone: paths relative to the folder.

    `left_out` is the example, where there are jobs already. `unignored` is what a `.gitignore` that was kept does
    not name: secrets and state, which must not be committed. `too_wide` is what it has in place of `state`: it
    leaves out the whole folder, and so the sources that lie there.
    """

    written: tuple[str, ...]
    kept: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    unignored: tuple[str, ...] = ()
    too_wide: str = ""
    state: tuple[str, ...] = ()


def _contents() -> tuple[tuple[str, Path], ...]:
    return (
        *((name, _FILES / Path(name).name) for name in _EXAMPLE),
        (f"{_JOBS}/.gitkeep", _FILES / "gitkeep"),
        *((name, shipped_path(name)) for name in _SCHEMAS),
        (".env.example", shipped_path(".env.example")),
        (_IGNORED, _FILES / "gitignore"),
        (".pre-commit-config.yaml", _FILES / "pre-commit-config.yaml"),
        (".github/workflows/jobs.yaml", _FILES / "workflow.yaml"),
        (".github/runner-problem-matcher.json", _FILES / "problem-matcher.json"),
    )


def create_repository(folder: Path) -> Scaffold:
    """Write the files of a new repository into `folder`. Files that exist are never overwritten, and where there
    are jobs nobody needs an example.

    Raises:
        RunnerError: a file cannot be written.
    """
    written, kept, left_out = [], [], []
    has_jobs = _has_jobs(folder / _JOBS)
    for name, source in _contents():
        target = folder / name
        if os.path.lexists(target):
            kept.append(name)
            continue
        if has_jobs and name in _EXAMPLE:
            left_out.append(name)
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
        except OSError as error:
            raise RunnerError(
                f"{target} cannot be written: {error.strerror}", hint="Name a folder that can be written to."
            ) from error
        written.append(name)
    ignored = _lines(folder / _IGNORED) if _IGNORED in kept else None
    return Scaffold(
        written=tuple(written),
        kept=tuple(kept),
        left_out=tuple(left_out),
        unignored=() if ignored is None else _unignored(ignored),
        too_wide=_too_wide(ignored or ()),
        state=tuple(line for line in _wanted() if line.startswith(_STATE)),
    )


def _has_jobs(folder: Path) -> bool:
    try:
        return bool(list_job_files(folder).files)
    except FolderGoneError:
        return False


def _lines(file: Path) -> tuple[str, ...]:
    try:
        return tuple(line.strip() for line in file.read_text(errors="replace").splitlines())
    except OSError:
        return ()


def _wanted() -> tuple[str, ...]:
    return tuple((_FILES / "gitignore").read_text().split())


def _too_wide(lines: tuple[str, ...]) -> str:
    """The line that leaves out all of `data/`; empty where there is none, or others name what stays of it."""
    if any(line.startswith(("!data/", "!/data/")) for line in lines):
        return ""
    return next(filter(_WHOLE_STATE.fullmatch, lines), "")


def _unignored(lines: tuple[str, ...]) -> tuple[str, ...]:
    """The lines of the `.gitignore` of a new repository that those of another lack, and whose folder they lack
    too."""
    present = {line.strip("/") for line in lines}
    whole = any(map(_WHOLE_STATE.fullmatch, lines))
    return tuple(
        line for line in _wanted() if line.strip("/") not in present and not (whole and line.startswith(_STATE))
    )
