"""The service that runs on a state folder, as another process sees it: by its lock, and by its endpoint."""

import http.client
import json
import socket
from pathlib import Path
from typing import Any

from runner.core.health import ServiceStanding
from runner.settings import Settings, StatusSettings
from runner.store import service_running
from runner.store.locks import LOCK_NAME, lock_folder

_TIMEOUT_SECONDS = 2.0
_LARGEST_ANSWER = 1 << 20
# Addresses to listen on that nobody can connect to as such.
_ANY = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - listened on by others


def ask_service(settings: Settings) -> ServiceStanding:
    """Whether a service runs, and whether it is ready. Never raises; takes two seconds at most."""
    if not service_running(settings.storage_path):
        return ServiceStanding(running=False)
    holder = lock_holder(lock_folder(settings.storage_path))
    if not settings.status.port:
        return ServiceStanding(running=True, holder=holder)
    address = f"http://{_shown(settings.status.host)}:{settings.status.port}"
    answer = _readiness(settings.status)
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


def lock_holder(folder: Path) -> str:
    """What the process that holds the state folder has written of itself; empty where that cannot be read."""
    try:
        with (folder / LOCK_NAME).open("rb") as file:
            return file.read(80).decode("ascii", "replace").strip()
    except OSError:
        return ""


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


def _readiness(status: StatusSettings) -> dict[str, Any] | None:
    """What `/readyz` answers; None where a service does not answer there."""
    connection = http.client.HTTPConnection(
        _ANY.get(status.host, status.host), status.port, timeout=_TIMEOUT_SECONDS
    )
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


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host
