"""All checks in their order."""

import time
from collections.abc import Iterator
from pathlib import Path

from runner.core.health import Finding
from runner.service.clock import utc_now
from runner.service.doctor.clock import check_clock
from runner.service.doctor.machine import check_resources, check_sandbox, check_spreadsheets, check_zones
from runner.service.doctor.mail import check_mail
from runner.service.doctor.project import check_git, check_jobs, read_jobs
from runner.service.doctor.settings import read_settings
from runner.service.doctor.state import check_database, check_service, check_state


def diagnose(folder: Path) -> Iterator[Finding]:
    """Try everything the service needs, with the settings of a folder; each finding as soon as it is there.

    Never raises for what is wrong with a part. Settings that cannot be read are the only finding: all else
    depends on them.
    """
    wall, steady = utc_now(), time.monotonic()
    settings, finding = read_settings(folder)
    yield finding
    if settings is None:
        return
    catalog, unreadable, answers = read_jobs(settings)
    jobs = tuple(catalog.jobs.values())
    yield unreadable or check_jobs(settings, catalog)
    yield check_git(settings, answers=answers)
    yield check_state(settings)
    yield check_database(settings)
    yield check_service(settings)
    yield check_mail(settings)
    yield check_zones(settings, jobs, now=wall)
    yield check_sandbox(settings)
    yield check_resources(settings, jobs)
    yield check_spreadsheets(jobs)
    yield check_clock(wall, steady)
