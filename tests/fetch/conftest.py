import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
from contextlib import closing, contextmanager
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import trustme

from runner.core.job_policy import RunBounds
from runner.core.references import run_facts
from runner.core.source import DataSource, FileType, SourceType
from runner.fetch.fetching import FetchContext, fetch
from runner.fetch.worker_orders import DatabaseOrder

CONTEXT = ("environ", "facts", "timeout_seconds", "cancelled", "bounds", "validator")


JSON_HEADERS = {"Content-Type": "application/json"}


class Server(http.server.ThreadingHTTPServer):
    """A real HTTP server: `routes` maps a path to a function of the handler; `seen` keeps what was asked."""

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        self.routes = {}
        self.seen = []
        self.ending = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)

    def handle_error(self, request, client_address):
        """A client that hung up is what these tests are about."""

    def url(self, path="/", host="127.0.0.1", scheme="http"):
        return f"{scheme}://{host}:{self.server_port}{path}"

    def answer(self, path, body=b"", *, status=200, content_type="application/json", **headers):
        sent = {"Content-Type": content_type, **{name.replace("_", "-"): value for name, value in headers.items()}}
        self.routes[path] = lambda handler: handler.answer(body, sent, status=status)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.server.seen.append((self.command, self.path, dict(self.headers.items()), self.rfile.read(length)))
        self.server.routes[self.path.partition("?")[0]](self)

    do_POST = do_CONNECT = do_HEAD = do_GET

    def answer(self, document, headers=JSON_HEADERS, *, status=200, sized=True):
        """Send bytes as they are, anything else as JSON; where it is not sized, its end is that of the connection."""
        body = document if isinstance(document, bytes) else json.dumps(document).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if sized:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def _serve(server):
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def make_server():
    opened = []

    def make(tls=None):
        server = Server()
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        opened.append((server, _serve(server)))
        return server

    yield make
    for server, thread in opened:
        server.ending.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def server(make_server):
    return make_server()


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture
def tls_context(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.fixture
def make_context(tmp_path):
    def make(**changes):
        from datetime import UTC, datetime

        project, run_dir = tmp_path / "project", tmp_path / "run"
        project.mkdir(exist_ok=True)
        run_dir.mkdir(exist_ok=True)
        facts = run_facts(
            job_name="sales",
            run_id="01k9m",
            attempt=1,
            scheduled_time=datetime(2025, 11, 9, 13, 0, tzinfo=UTC),
            timezone="Europe/Berlin",
        )
        values = {
            "project_dir": project,
            "run_dir": run_dir,
            "environ": {},
            "facts": facts,
            "timeout_seconds": 5.0,
            "cancelled": threading.Event(),
            "bounds": RunBounds(private_hosts=("127.0.0.1", "localhost")),
        }
        return FetchContext(**{**values, **changes})

    return make


@pytest.fixture
def fetch_api(make_context):
    """Fetch an address: settings of the source and of the context by keyword. Nothing is tried again unless asked."""

    def run(location, *, file_type=FileType.JSON, retries=0, **settings):
        context = {name: settings.pop(name) for name in CONTEXT if name in settings}
        source = DataSource(
            source_type=SourceType.API, location=location, format=file_type, retries=retries, **settings
        )
        return fetch(source, make_context(**context))

    return run


@pytest.fixture
def ca_file(authority, tmp_path):
    path: Path = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture(scope="session")
def database_daemon():
    """A real database server until the end of a `with`: its folder, and its port on 127.0.0.1.

    `install` gets the folder and answers with the command that fills it, `serve` the port too.
    """
    # They refuse to run as root.
    who = {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}

    @contextmanager
    def run(*, install, serve):
        # A short path: that of a socket in it may have a hundred characters.
        folder = Path(tempfile.mkdtemp(prefix="db-", dir="/tmp"))
        try:
            with (folder / "log").open("wb") as log:
                streams = {"stdout": log, "stderr": log, "cwd": "/"}
                command = install(folder)
                for path in (folder, *folder.iterdir()) if who else ():
                    shutil.chown(path, who["user"])
                subprocess.run(command, check=True, **streams, **who)
                with closing(socket.socket()) as probe:
                    probe.bind(("127.0.0.1", 0))
                    port = probe.getsockname()[1]
                process = subprocess.Popen(serve(folder, port), **streams, **who)
            try:
                yield folder, port
            finally:
                process.terminate()
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return run


@pytest.fixture
def read_rows(tmp_path):
    """Carry out a query in this process, as the worker does: the table that it writes."""
    from runner.fetch.database_reading import read_database

    def read(dialect, url, query, parameters):
        path = tmp_path / "rows.parquet"
        read_database(
            DatabaseOrder(
                dialect=dialect,
                url=url,
                query=query,
                parameters=parameters,
                path=str(path),
                max_bytes=1 << 30,
                timeout_seconds=20.0,
            )
        )
        return pq.read_table(path)

    return read


@pytest.fixture
def fetch_query(make_context):
    """Fetch a database source, as a run does; `changes` are of its context."""

    def run(url, query, *, max_bytes=1 << 30, **changes):
        source = DataSource(
            name="orders",
            source_type=SourceType.DATABASE,
            location="${env:DB_URL}",
            format=FileType.PARQUET,
            query=query,
            max_bytes=max_bytes,
        )
        return fetch(source, make_context(**{"timeout_seconds": 30.0, "environ": {"DB_URL": url}, **changes}))

    return run
