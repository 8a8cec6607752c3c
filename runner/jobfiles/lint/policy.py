"""What `_policy.yaml` bounds: hosts, recipients, data roots, time, memory, owner."""

import re
from collections.abc import Iterator
from typing import Any

from runner.jobfiles.document import Path
from runner.jobfiles.inspection import Inspection
from runner.jobfiles.lint.people import CONSUMERS, MOST_LISTED
from runner.jobfiles.lint.source_address import names_of_host
from runner.jobfiles.lint.source_database import database_file
from runner.jobfiles.lint.source_file import fixed_part, is_store_address
from runner.jobfiles.lint.source_host import source_host
from runner.jobfiles.lint.source_names import sources_of

# Dates, names and numbers: no fact of a run holds a slash.
_RUN_REFERENCE = re.compile(r"\$\{run:[^{}]*\}")


def check_policy(inspection: Inspection) -> None:
    """Rules `host-not-allowed`, `outside-data-roots`, `recipient-not-allowed`, `over-policy-limit` and
    `owner-required`. Nothing is said where there is no policy."""
    layer = inspection.context.layers.policy_layer
    if layer is None:
        return
    for check in (_check_host, _check_data_roots, _check_recipients, _check_limits, _check_owner):
        check(inspection, layer.path)


def _check_host(inspection: Inspection, policy_path: str) -> None:
    policy = inspection.context.layers.policy
    if policy.allowed_hosts is None:
        return
    for path, source in sources_of(inspection.document.data):
        place = (*path, "location")
        location = inspection.text(*place)
        host = source_host(source, location) if location else ""
        if host is None and source.get("source_type") == "api":
            inspection.report(
                place,
                "host-not-allowed",
                "the host of this address is known at run time only, and the policy bounds hosts",
                "Write the host out; references may follow it, and auth takes user and password. allowed_hosts"
                f" stands in {policy_path}.",
            )
        elif host and not any(policy.allows_host(name) for name in (host, *names_of_host(host))):
            inspection.report(
                place,
                "host-not-allowed",
                f"{host} is no host that sources may be fetched from",
                f"Use one of allowed_hosts in {policy_path}, or add {host} there.",
            )


def resolved(inspection: Inspection) -> list[str]:
    """The paths of which `check_policy` asks where they lead."""
    files = [file for _, file in _bounded_paths(inspection) if "${" not in file]
    return [*files, *(inspection.context.layers.policy.data_roots or ())] if files else []


def _check_data_roots(inspection: Inspection, policy_path: str) -> None:
    for place, file in _bounded_paths(inspection):
        _check_path(inspection, place, file, policy_path)


def _bounded_paths(inspection: Inspection) -> Iterator[tuple[Path, str]]:
    """The paths that data roots bound, and where they stand; none where there are no data roots."""
    if inspection.context.layers.policy.data_roots is None:
        return
    for path, source in sources_of(inspection.document.data):
        place = (*path, "location")
        location = inspection.text(*place)
        file = _path_of(source, location) if location else None
        if file is not None and "\0" not in file:
            yield place, file


def _path_of(source: dict[str, Any], location: str) -> str | None:
    """The path that a source reads, or where all paths of its pattern are; None where it reads no file of here."""
    match source.get("source_type"):
        case "file":
            return None if is_store_address(location) else fixed_part(_RUN_REFERENCE.sub("run", location))
        case "database":
            return database_file(_RUN_REFERENCE.sub("run", location))
    return None


def _check_path(inspection: Inspection, place: Path, file: str, policy_path: str) -> None:
    if "${" in file:
        inspection.report(
            place,
            "outside-data-roots",
            "this path is known at run time only, and the policy bounds paths",
            f"Write the path out. data_roots stands in {policy_path}.",
        )
        return
    files = inspection.context.files
    roots = inspection.context.layers.policy.data_roots or ()
    real, real_roots = files.real_path(file), {root: files.real_path(root) for root in roots}
    if real is not None and any(_is_inside(real, root) for root in real_roots.values() if root is not None):
        return
    silent = [file] if real is None else [root for root, found in real_roots.items() if found is None]
    if silent:
        # A run looks at it again, and refuses what it may not read.
        inspection.tell_silence(place, silent[0])
    else:
        inspection.report(
            place,
            "outside-data-roots",
            f"{inspection.text(*place)!r} is in none of the folders that sources may be in",
            f"Use one of data_roots in {policy_path}: {', '.join(roots) or 'there is none'}.",
        )


def _is_inside(path: str, root: str) -> bool:
    """Both as `FileSource.real_path` gives them."""
    steps_up = root.split("/")
    if set(steps_up) <= {".", ".."}:
        # The project's own folder, or one that it is in.
        return path.split("/").count("..") <= steps_up.count("..")
    return path == root or path.startswith(f"{root}/")


def _check_recipients(inspection: Inspection, policy_path: str) -> None:
    policy = inspection.context.layers.policy
    listed = inspection.document.value((CONSUMERS,))
    places: list[Path] = [("owner",)]
    if isinstance(listed, list):
        places.extend((CONSUMERS, index) for index in range(min(len(listed), MOST_LISTED)))
    for place in places:
        address = inspection.effective(*place)
        if isinstance(address, str) and "@" in address and not policy.allows_recipient(address):
            domain = address.rpartition("@")[2]
            inspection.report(
                place,
                "recipient-not-allowed",
                f"mail may not go to {domain}",
                f"Use one of recipient_domains in {policy_path}, or add {domain} there.",
            )


def _check_limits(inspection: Inspection, policy_path: str) -> None:
    policy = inspection.context.layers.policy
    limits: tuple[tuple[Path, str, float | None], ...] = (
        (("timeout_seconds",), "max_timeout_seconds", policy.max_timeout_seconds),
        (("resources", "memory_mb"), "max_memory_mb", policy.max_memory_mb),
    )
    for path, key, most in limits:
        value = inspection.effective(*path)
        if most is None or isinstance(value, bool) or not isinstance(value, (int, float)) or value <= most:
            continue
        inspection.report(
            path,
            "over-policy-limit",
            f"{path[-1]} is {value:g}, and the policy allows {most:g}",
            f"Lower it, or raise {key} in {policy_path}.",
        )


def _check_owner(inspection: Inspection, policy_path: str) -> None:
    if inspection.context.layers.policy.require_owner and inspection.effective("owner") is None:
        inspection.report(
            ("job_name",),
            "owner-required",
            "the job has no owner",
            f"Add owner: with an address, here or in a _defaults.yaml; {policy_path} asks for one.",
        )
