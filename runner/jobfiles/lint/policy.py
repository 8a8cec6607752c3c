"""What `_policy.yaml` bounds: hosts, recipients, data roots, time, memory, owner."""

import re

from runner.jobfiles.document import Path
from runner.jobfiles.inspection import Inspection
from runner.jobfiles.lint.people import CONSUMERS, MOST_LISTED
from runner.jobfiles.lint.source_address import host_of, names_of_host

LOCATION = ("data_source", "location")
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
    location = inspection.text(*LOCATION)
    if policy.allowed_hosts is None or not location or _source_type(inspection) != "api":
        return
    host = host_of(location)
    if host is None:
        inspection.report(
            LOCATION,
            "host-not-allowed",
            "the host of this address is known at run time only, and the policy bounds hosts",
            f"Write the host out; references may follow it, and auth takes user and password. allowed_hosts stands"
            f" in {policy_path}.",
        )
    elif host and not any(policy.allows_host(name) for name in (host, *names_of_host(host))):
        inspection.report(
            LOCATION,
            "host-not-allowed",
            f"{host} is no host that sources may be fetched from",
            f"Use one of allowed_hosts in {policy_path}, or add {host} there.",
        )


def _check_data_roots(inspection: Inspection, policy_path: str) -> None:
    roots = inspection.context.layers.policy.data_roots
    location = inspection.text(*LOCATION)
    if roots is None or not location or _source_type(inspection) != "file" or "\0" in location:
        return
    location = _RUN_REFERENCE.sub("run", location)
    if "${" in location:
        inspection.report(
            LOCATION,
            "outside-data-roots",
            "this path is known at run time only, and the policy bounds paths",
            f"Write the path out. data_roots stands in {policy_path}.",
        )
        return
    files = inspection.context.files
    real = files.real_path(location)
    if not any(_is_inside(real, files.real_path(root)) for root in roots):
        inspection.report(
            LOCATION,
            "outside-data-roots",
            f"{location!r} is in none of the folders that sources may be in",
            f"Use one of data_roots in {policy_path}: {', '.join(roots) or 'there is none'}.",
        )


def _is_inside(path: str, root: str) -> bool:
    if root == ".":
        return path != ".." and not path.startswith(("../", "/"))
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


def _source_type(inspection: Inspection) -> object:
    return inspection.document.value(("data_source", "source_type"))
