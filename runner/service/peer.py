"""The service that runs on a state folder, as another process sees it: by its lock, and by its endpoint."""

import http.client
import json
import re
import socket
from typing import Any
from urllib.parse import urlsplit

from runner.core.health import ServiceStanding
from runner.settings import Settings, StatusSettings
from runner.store import service_running
from runner.store.locks import announced_address, lock_folder, lock_holder

_TIMEOUT_SECONDS = 2.0
_LARGEST_ANSWER = 1 << 20
# As the service writes it: no user, no path.
_ADDRESS = re.compile(r"http://(?:\[[0-9A-Fa-f:.]+(?:%\w+)?\]|[\w.-]+):[0-9]{1,5}")


def ask_service(settings: Settings) -> ServiceStanding:
    """Whether a service runs, and whether it is ready. Never raises; takes two seconds at most."""
    if not service_running(settings.storage_path):
        return ServiceStanding(running=False)
    folder = lock_folder(settings.storage_path)
    holder = lock_holder(folder)
    address = _address(announced_address(folder)) or _expected_address(settings.status)
    if not address:
        return ServiceStanding(running=True, holder=holder)
    answer = _readiness(address, settings.status)
    if answer is None:
        return ServiceStanding(running=True, holder=holder, address=address)
    reasons = answer.get("reasons")
    return ServiceStanding(
        running=True,
        holder=holder,
        address=address,
        ready=answer["ready"] is True,
        reasons=tuple(map(str, reasons)) if isinstance(reasons, list) else (),
    )


def _address(told: str) -> str:
    """What a service has told of its address; empty where that is none of this machine, as where the state folder
    came here from another one: nobody else is asked, with the token of this one."""
    if not _ADDRESS.fullmatch(told):
        return ""
    parts = urlsplit(told)
    try:
        family, kind, _, _, place = socket.getaddrinfo(parts.hostname, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.bind(place)
        return told if parts.port else ""
    except (OSError, ValueError):
        return ""


def _expected_address(status: StatusSettings) -> str:
    """Where a service with these settings listens; empty where it takes any free port."""
    return status.url_at(status.port) if status.port else ""


def port_is_taken(status: StatusSettings) -> str:
    """Why the status port could not be listened on; empty where it could. It is free again at once."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            status.host, status.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            # As the server does: a connection that has just been closed is no hindrance.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _readiness(address: str, status: StatusSettings) -> dict[str, Any] | None:
    """What `/readyz` answers at an address; None where a service does not answer there."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=_TIMEOUT_SECONDS)
    # As bytes: a token may hold letters that Latin-1, in which texts go out, does not know.
    headers = {"Authorization": f"Bearer {status.token.reveal()}".encode()} if status.token else {}
    try:
        connection.request("GET", "/readyz", headers=headers)
        answer = json.loads(connection.getresponse().read(_LARGEST_ANSWER))
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return answer if isinstance(answer, dict) and "ready" in answer else None
