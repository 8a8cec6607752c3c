"""The demo: a temporary project with the shipped jobs, a small API of its own, and a service that runs them."""

import json
import logging
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email import message_from_bytes, policy
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self
from urllib.parse import parse_qs, urlsplit

from runner.core.run import Run
from runner.errors import RunnerError, StatusError
from runner.jobfiles.git.repository import clean_environment
from runner.service.loop import Service
from runner.settings import Settings, SmtpSettings, load_settings
from runner.shipped import shipped_path

log = logging.getLogger(__name__)

API_JOB = "sales_by_category"
PATIENCE_SECONDS = 120.0


class _SalesHandler(BaseHTTPRequestHandler):
    """`GET /sales?date=…` answers a day's sales."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        found = address.path == "/sales"
        date = parse_qs(address.query).get("date", ["today"])[0]
        body = json.dumps(_sales(date) if found else {"error": "there is only /sales"}).encode()
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        log.debug("The demo's API: " + format, *args)  # noqa: G003 - the base class's own format


def _sales(date: str) -> Mapping[str, object]:
    categories = ("Books", "Garden", "Kitchen", "Lighting", "Toys")
    rows = [
        {
            "sale_id": 5001 + number,
            "sold_on": date,
            "category": categories[number * 7 % 5],
            "quantity": 1 + number * 3 % 4,
            "amount": round(9.5 + number * 37 % 180 * 1.15, 2),
        }
        for number in range(60)
    ]
    return {"date": date, "sales": rows}


class SalesApi:
    """A small HTTP API on a free loopback port; a context manager."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _SalesHandler)
        self._thread = threading.Thread(
            target=partial(self._server.serve_forever, 0.05), name="demo-api", daemon=True
        )

    @property
    def url(self) -> str:
        """Where the sales are."""
        return f"http://127.0.0.1:{self._server.server_port}/sales"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptMail:
    """One mail file: its path, and what stands in it."""

    path: Path
    subject: str
    recipients: str
    attachments: tuple[str, ...]


def build_project(folder: Path, api_url: str) -> None:
    """Copy the shipped jobs into `folder`, point the API job at `api_url`, and commit them where git is there.

    Raises:
        RunnerError: the folder cannot be written.
    """
    try:
        shutil.copytree(shipped_path("jobs.d"), folder / "jobs.d")
        (folder / "schemas").mkdir()
        shutil.copy(shipped_path("schemas/job.schema.json"), folder / "schemas")
        shutil.copy(Path(__file__).parent / "scaffold" / "files" / "gitignore", folder / ".gitignore")
        path = folder / "jobs.d" / f"{API_JOB}.yaml"
        text = re.sub(r"(?m)^suspend: true\n", "", path.read_text())
        text = re.sub(r"(?m)^(\s+location:).*$", lambda match: f"{match[1]} {api_url}", text, count=1)
        path.write_text(text)
        host = urlsplit(api_url).hostname or ""
        policy_path = folder / "jobs.d" / "_policy.yaml"
        policy_path.write_text(f"# The demo's API is on this machine.\nprivate_hosts: [{host}]\n")
    except OSError as error:
        raise RunnerError(
            f"the demo's files cannot be written to {folder}: {error}",
            hint="Name another folder, or free some space.",
        ) from error
    if shutil.which("git"):
        _commit(folder)


def _commit(folder: Path) -> None:
    """Make a repository of the folder. It serves to show revisions: where git fails the demo goes on without."""
    # Neither the repository that GIT_DIR names, as in a hook, nor settings and hooks of the user take part.
    nowhere = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    environ = {**clean_environment(os.environ), **nowhere}
    settings = ("core.hooksPath=/dev/null", "user.name=runner demo", "user.email=demo@example.com")
    options = [part for setting in settings for part in ("-c", setting)]
    try:
        for arguments in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "The demo's jobs")):
            subprocess.run(
                ["git", *options, *arguments],
                cwd=folder,
                env=environ,
                check=True,
                timeout=30,
                capture_output=True,
                text=True,
                errors="replace",
            )
    except (OSError, subprocess.SubprocessError) as error:
        words = (getattr(error, "stderr", None) or str(error)).strip()
        log.warning("The demo goes on without git: %s", words)
        shutil.rmtree(folder / ".git", ignore_errors=True)


def demo_settings(folder: Path, settings: Settings) -> Settings:
    """The settings of the demo: state in `folder`, mails kept as files; sandbox and page as they are set."""
    own = load_settings({}, folder=folder)
    return replace(
        own,
        sandbox=settings.sandbox,
        status=settings.status,
        max_concurrent_runs=settings.max_concurrent_runs,
        smtp=SmtpSettings(from_email="runner@example.com"),
    )


class Demo:
    """A service over the demo's project.

    Args:
        folder: an empty folder.
        settings: of the caller; only page, sandbox and parallelism are taken from them.
    """

    def __init__(self, folder: Path, settings: Settings, api_url: str) -> None:
        build_project(folder, api_url)
        self._settings = demo_settings(folder, settings)
        self.service = self._start()

    def _start(self) -> Service:
        try:
            service = Service(self._settings, {})
            service.start()
        except StatusError:
            # Another program listens there: for a demo any free port will do.
            self._settings = replace(self._settings, status=replace(self._settings.status, port=0))
            service = Service(self._settings, {})
            service.start()
        return service

    def run_each_job(self) -> tuple[Run, ...]:
        """Run every job once and wait until its mails are kept. Runs are in the order of the jobs' names.

        Raises:
            RunnerError: they do not end in two minutes.
        """
        run_ids = [self.service.trigger(name) for name in sorted(self.service.job_names())]
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            runs = [self.service.find_run(run_id) for run_id in run_ids]
            ended = [
                run
                for run in runs
                if run and run.state.finished and not any(mail.state.open for mail in run.deliveries)
            ]
            if len(ended) == len(run_ids):
                return tuple(ended)
            time.sleep(0.05)
        raise RunnerError("the demo's jobs did not end", hint="The log lines above tell how far they came.")

    def mails(self) -> tuple[KeptMail, ...]:
        """Every mail that was kept, in order of time."""
        return tuple(_read_mail(path) for path in sorted(self._settings.mail_dir.glob("*.eml")))


def _read_mail(path: Path) -> KeptMail:
    message = message_from_bytes(path.read_bytes(), policy=policy.default)
    return KeptMail(
        path=path,
        subject=str(message["Subject"]),
        recipients=str(message["To"]),
        attachments=tuple(part.get_filename() or "" for part in message.iter_attachments()),
    )
