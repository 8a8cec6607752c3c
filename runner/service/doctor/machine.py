"""What the machine gives: time zones, a sandbox, memory and cores, the writer of spreadsheets."""

import os
import re
import zoneinfo
from collections.abc import Iterable
from datetime import datetime
from importlib import metadata, util
from pathlib import Path

from runner.core.health import Finding
from runner.core.job import AttachmentFormat, Job
from runner.core.words import counted
from runner.errors import RunnerError
from runner.execution.sandbox import NO_LEVEL
from runner.execution.step_runner import make_step_runner
from runner.service.doctor.findings import problem, warning
from runner.settings import Settings

ZONES, SANDBOX, RESOURCES, SPREADSHEETS = "time zones", "sandbox", "resources", "spreadsheets"
# What strict asks for; namespaces are added to it where they can be had.
_STRICT_LEVEL = "landlock+seccomp"
_NAMESPACES_HINT = (
    "The layers that count hold. Namespaces need root, or user namespaces for everybody (sysctl"
    " user.max_user_namespaces), which many containers forbid, and a folder /dev/shm."
)
_OLD_YEARS = 2
_ZONE_VERSION_FILES = ("tzdata.zi", "+VERSION", "version")
_GROUPS, _GROUP_FOLDER = Path("/proc/self/cgroup"), Path("/sys/fs/cgroup")


def check_zones(settings: Settings, jobs: Iterable[Job], *, now: datetime) -> Finding:
    """Whether the zones of all jobs are there, and how old the rules are."""
    names = sorted({settings.timezone, *(job.timezone for job in jobs)})
    missing = [name for name in names if not _zone_is_there(name)]
    if missing:
        return problem(ZONES, f"not there: {', '.join(missing)}", "pip install tzdata brings all zones.")
    version = _zone_version()
    year = re.match(r"\d{4}", version)
    words = f"{len(names)} in use, rules of {version or 'an unknown version'}"
    if year is not None and int(year[0]) < now.year - _OLD_YEARS:
        return warning(
            ZONES, f"{words}: some clock changes may have been altered since", "Bring tzdata up to date."
        )
    return Finding(subject=ZONES, message=words)


def _zone_is_there(name: str) -> bool:
    try:
        zoneinfo.ZoneInfo.no_cache(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _zone_version() -> str:
    """`2025b`: that of the machine's files, which go first, else that of the package; empty where none tells."""
    for folder in zoneinfo.TZPATH:
        for name in _ZONE_VERSION_FILES:
            try:
                with (Path(folder) / name).open(encoding="ascii") as file:
                    found = re.search(r"\b(\d{4}[a-z]{1,2})\b", file.readline())
            except (OSError, UnicodeDecodeError):
                continue
            if found is not None:
                return found[1]
    try:
        return metadata.version("tzdata")
    except metadata.PackageNotFoundError:
        return ""


def check_sandbox(settings: Settings) -> Finding:
    """What level a step gets here: a zygote is started, as the service does it."""
    zygote = make_step_runner(sandbox_mode=settings.sandbox, waiting=1)
    try:
        zygote.start()
    except RunnerError as error:
        return problem(SANDBOX, error.message, error.hint)
    finally:
        zygote.close()
    words = "; ".join((f"{zygote.level} (SANDBOX={settings.sandbox})", *zygote.missing))
    if zygote.level.startswith(_STRICT_LEVEL):
        return Finding(subject=SANDBOX, message=words, hint=_NAMESPACES_HINT if zygote.missing else "")
    reason = "scripts can do what this user can" if zygote.level == NO_LEVEL else "a layer is missing"
    return warning(
        SANDBOX, f"{words}: {reason}", "Set SANDBOX=strict on Linux 5.13 or newer with Landlock and seccomp."
    )


def check_resources(settings: Settings, jobs: Iterable[Job]) -> Finding:
    """Whether the largest jobs fit in the machine together."""
    cores, memory = _cores(), _memory()
    at_once = settings.max_concurrent_runs
    if memory is None:
        return Finding(
            subject=RESOURCES, message=f"{cores} cores for {at_once} runs at a time; memory cannot be told"
        )
    largest = sorted((job.resources.memory_mb for job in jobs), reverse=True)[:at_once]
    wanted, have = sum(largest), memory >> 20
    words = f"{cores} cores and {have:,} MiB for {counted(at_once, 'run')} at a time"
    if wanted > have:
        return warning(
            RESOURCES,
            f"{words}, which may take {wanted:,} MiB together",
            "Lower MAX_CONCURRENT_RUNS, or resources.memory_mb of the largest jobs.",
        )
    if at_once > 4 * cores:
        return warning(RESOURCES, f"{words}: many for so few cores", "Lower MAX_CONCURRENT_RUNS.")
    return Finding(subject=RESOURCES, message=words)


def check_spreadsheets(jobs: Iterable[Job]) -> Finding:
    """Whether what writes xlsx attachments is installed, and how many jobs need it."""
    using = sum(job.delivery.attachment is AttachmentFormat.XLSX for job in jobs)
    attached = f"{counted(using, 'job')} attach{'' if using != 1 else 'es'} xlsx"
    if util.find_spec("xlsxwriter") is not None:
        return Finding(subject=SPREADSHEETS, message=f"xlsxwriter is installed; {attached}")
    missing = problem if using else warning
    return missing(SPREADSHEETS, f"xlsxwriter is not installed; {attached}", "pip install xlsxwriter")


def _cores() -> int:
    return len(os.sched_getaffinity(0))


def _memory() -> int | None:
    """Bytes of memory of the machine, or of a control group where that is less; None where it cannot be told."""
    try:
        found = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return None
    return min([found, *group_bounds(_GROUPS, _GROUP_FOLDER)])


def group_bounds(groups: Path, folder: Path) -> list[int]:
    """The bounds in bytes on the memory of this process, by its control group and those above that one.

    https://man7.org/linux/man-pages/man7/cgroups.7.html, of both versions.

    Args:
        groups: the file that names the groups of the process.
        folder: where the groups are mounted.
    """
    bounds: list[str] = []
    for line in _text(groups).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        top = folder / "memory" if controllers else folder
        name = "memory.limit_in_bytes" if controllers else "memory.max"
        group = top / path.lstrip("/")
        places = (place for place in (group, *group.parents) if place.is_relative_to(top))
        bounds += [_text(place / name).strip() for place in places]
    return [int(bound) for bound in bounds if bound.isdigit()]


def _text(path: Path) -> str:
    """What a file of the kernel says; nothing where it cannot be read."""
    try:
        return path.read_text(encoding="ascii")
    except OSError:
        return ""
