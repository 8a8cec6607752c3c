"""The state folder, the database in it, and the service that may work on both."""

import os
import tempfile
import time
from contextlib import closing
from pathlib import Path

from runner.core.health import Finding, Health
from runner.core.report import size_words
from runner.errors import StoreError
from runner.mounts import shared_file_system
from runner.service.doctor.findings import problem, warning
from runner.service.peer import ask_service, port_is_taken
from runner.service.standing import disk_of
from runner.settings import Settings
from runner.store.connection import connect_reader, integrity
from runner.store.database import Database
from runner.store.faults import LOCAL_DISK, shared_words, storage_errors
from runner.store.migrations import NEWEST
from runner.store.reader import schema_of

STATE, DATABASE, SERVICE = "state", "database", "service"
_SLOW_SECONDS = 0.5
_CHECK_SECONDS = 20.0
_ELSEWHERE = "or set JOB_STORAGE_PATH to a file elsewhere"


def check_state(settings: Settings) -> Finding:
    """Whether the folder takes files that stay, and has room."""
    folder = settings.state_dir
    if not folder.is_dir():
        nearest = next((place for place in (folder, *folder.parents) if place.exists()), Path("/"))
        if os.access(nearest, os.W_OK | os.X_OK) and nearest.is_dir():
            return _of_shared(settings, f"{folder} is made when the service starts")
        return problem(
            STATE,
            f"{folder} cannot be made: {nearest} is {'closed to this user' if nearest.is_dir() else 'no folder'}",
            f"Make it and give it to the user of the service, {_ELSEWHERE}.",
        )
    try:
        seconds = _write_through(folder)
    except OSError as error:
        return problem(
            STATE,
            f"{folder} cannot be written: {error.strerror}",
            f"Let the user of the service write there and free some space, {_ELSEWHERE}.",
        )
    disk = disk_of(settings)
    room = f", {size_words(disk.free_bytes)} free" if disk else ""
    if disk is not None and disk.short:
        return problem(
            STATE,
            f"{folder} is writable, but only {size_words(disk.free_bytes)} are free",
            "Free some space; RUN_RETENTION_DAYS and RUN_RETENTION_COUNT bound what is kept.",
        )
    finding = _of_shared(settings, f"{folder} is writable{room}")
    if finding.health is Health.OK and seconds > _SLOW_SECONDS:
        return warning(
            STATE,
            f"{folder} is writable{room}, but writing through to the disk took {seconds:.1f} s",
            "Every run waits for this several times: put the folder on a local disk.",
        )
    return finding


def _of_shared(settings: Settings, message: str) -> Finding:
    """What is well, and whether other machines may work on the same folder."""
    kind = shared_file_system(settings.storage_path)
    if kind:
        return warning(STATE, f"{message}, but {shared_words(kind)}", LOCAL_DISK)
    return Finding(subject=STATE, message=message)


def _write_through(folder: Path) -> float:
    """Seconds that a write and its fsync take; the file has no name, or is gone at once."""
    started = time.monotonic()
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"\0" * 4096)
        file.flush()
        os.fsync(file.fileno())
    return time.monotonic() - started


def check_database(settings: Settings) -> Finding:
    """Whether the database can be read, is whole, and is of this version."""
    path = settings.storage_path
    try:
        if not path.exists() or not path.stat().st_size:
            return Finding(subject=DATABASE, message=f"none yet; {path} is made when the service starts")
        with closing(Database(path, connect_reader(path), begin="BEGIN")) as database:
            number = schema_of(database)
        verdict = _integrity(path)
        size = size_words(path.stat().st_size)
    except StoreError as error:
        return problem(DATABASE, error.message, error.hint)
    except OSError as error:
        return problem(
            DATABASE,
            f"{path} cannot be read: {error.strerror}",
            "Run this as the user of the service, or set JOB_STORAGE_PATH.",
        )
    if verdict not in {"ok", ""}:
        return problem(
            DATABASE,
            f"{path} is damaged: {verdict}",
            "Stop the service, and restore it from a backup, or move it and its -wal and -shm files away.",
        )
    if number < NEWEST:
        return warning(
            DATABASE,
            f"{path} was made by an older runner (schema {number}, this one has {NEWEST})",
            "The next runner start brings it up to date; make a copy first.",
        )
    whole = "whole" if verdict else f"too large to look through in {_CHECK_SECONDS:g} s"
    return Finding(subject=DATABASE, message=f"{path}: {whole}, schema {number}, {size}")


def _integrity(path: Path) -> str:
    """What SQLite's own check says: `ok`, or what is wrong; empty where it takes too long.

    Raises:
        StoreError: the file cannot be read.
    """
    with closing(connect_reader(path)) as connection, storage_errors(path):
        return integrity(connection, _CHECK_SECONDS)


def check_service(settings: Settings) -> Finding:
    """Whether a service runs and is ready; where none does, whether its port is free."""
    host, port = settings.status.host, settings.status.port
    service = ask_service(settings)
    if not service.running:
        reason = port_is_taken(settings.status)
        if reason:
            return problem(
                SERVICE,
                f"none runs, and {host}:{port} cannot be listened on: {reason}",
                "Another program may have the port: set STATUS_HOST or STATUS_PORT to a free one.",
            )
        place = f"{host}:{port} is free" if port else "any free port is taken"
        return Finding(subject=SERVICE, message=f"none runs on {settings.state_dir}; {place} for the status page")
    if service.silent:
        return problem(
            SERVICE,
            f"runs ({service.holder}), but does not answer at {service.address}/readyz",
            "It hangs, is just starting, or has another STATUS_TOKEN: look at its log.",
        )
    if service.ready is None:
        return Finding(subject=SERVICE, message=f"runs ({service.holder}), at a port that its log names")
    if not service.ready:
        return problem(
            SERVICE,
            f"runs ({service.holder}), but is not ready: {'; '.join(service.reasons)}",
            "Its log says more.",
        )
    return Finding(subject=SERVICE, message=f"runs ({service.holder}), ready, page at {service.address}/")
