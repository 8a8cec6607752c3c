"""The host that a source is fetched from, and whether a run may connect to it without the policy's word."""

from typing import Any

from runner.core.addresses import address_fault, literal_address
from runner.core.job_policy import RunBounds
from runner.jobfiles.inspection import Inspection
from runner.jobfiles.layers import POLICY_FILE
from runner.jobfiles.lint.source_address import host_of, names_of_host
from runner.jobfiles.lint.source_database import database_host
from runner.jobfiles.lint.source_file import bucket_of, is_store_address
from runner.jobfiles.lint.source_names import sources_of
from runner.jobfiles.wording.finding import in_yaml


def source_host(source: dict[str, Any], location: str) -> str | None:
    """The host of a source, or the bucket in its place, in small letters; None where only the run knows it, empty
    where it has none."""
    match source.get("source_type"):
        case "api":
            return host_of(location)
        case "database":
            return database_host(location)
        case "file" if is_store_address(location):
            return bucket_of(location)
    return ""


def check_hosts(inspection: Inspection) -> None:
    """Rule `private-address`: an API whose location names an address of this machine or network, or `localhost`.
    What a name leads to is seen when it is fetched. Databases may lie there: they answer to a password alone."""
    layers = inspection.context.layers
    bounds = layers.policy.run_bounds
    if bounds.allowed_hosts is not None:
        return  # whoever is not named there is refused anyway
    policy_path = layers.policy_layer.path if layers.policy_layer else f"jobs.d/{POLICY_FILE}"
    for path, source in sources_of(inspection.document.data):
        place = (*path, "location")
        location = inspection.text(*place)
        host = host_of(location) if location and source.get("source_type") == "api" else None
        fault = _fault(host, bounds) if host else None
        if fault:
            inspection.report(
                place,
                "private-address",
                f"{host} is {fault}, to which nothing is sent unless the policy names it",
                f"If it is meant, add it to private_hosts in {policy_path}: private_hosts: [{in_yaml(host)}].",
            )


def _fault(host: str, bounds: RunBounds) -> str | None:
    """What a host is that no run may connect to."""
    names = (host, *names_of_host(host))
    addresses = [found for name in names if (found := literal_address(name)) is not None]
    # An IPv6 address has many forms; the policy names one.
    short = tuple(map(str, addresses)) if ":" in host else ()
    if any(map(bounds.allows_private, (*names, *short))):
        return None
    return next((fault for address in addresses if (fault := address_fault(address))), None)
