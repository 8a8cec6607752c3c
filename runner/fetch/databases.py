"""Database sources: one query in a read-only session, its rows as a Parquet file in the run's folder."""

import os
import re
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from runner.core.report import size_words
from runner.core.source import DataSource, FileType
from runner.errors import FetchError
from runner.fetch.answering import wait_for_answer
from runner.fetch.context import FetchContext, Fetched
from runner.fetch.places import FileRules, resolve_location, source_key
from runner.fetch.query_binding import bind_query
from runner.fetch.references import References
from runner.fetch.words import shown_words
from runner.fetch.worker import run_worker
from runner.fetch.worker_orders import DatabaseOrder, FaultKind, WorkerFault, WorkerOrder, WorkerOutcome

_SQLITE = "sqlite"
_DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
_EXTRAS = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}
_MODULES_OF_EXTRAS = frozenset({"psycopg", "pymysql"})
_WRITTEN_PASSWORD = re.compile(r"://[^:/]*:([^@]*)@")
# An @ of its own ends a password: the rest of it would be taken for the host, and a message would name that.
_TORN_PASSWORD = re.compile(r"://[^:/]*:[^@]*@(?:[^?]*|[^=]*)@")
_ODBC_PASSWORD = re.compile(r"(?i)(?:pwd|password)=([^;]+)")
_SECRET_OPTION = re.compile(r"(?i)pass|pwd|secret|token|key|credential|odbc_connect")
# Options by which a URL names another server than its host; and those that take it from elsewhere.
_HOST_OPTIONS = frozenset({"host", "hostaddr", "server", "unix_socket"})
_ELSEWHERE = frozenset({"service", "servicefile", "read_default_file", "odbc_connect", "dsn"})
# What a URL of these may say besides, each by its whole name. A driver takes every argument of its own from there:
# files that a server may ask for (`local_infile`), a file that it writes (`sslkeylogfile`), credentials of other
# files, several statements at once, no transaction at all.
_PLAIN_OPTIONS = {
    "postgresql": re.compile(
        r"host|hostaddr|port|user|password|application_name|connect_timeout|client_encoding|options|"
        r"ssl(mode|negotiation|compression|cert|key|certmode|password|rootcert|crl|crldir|sni)|"
        r"ssl_(min|max)_protocol_version|channel_binding|gssencmode|krbsrvname|gsslib|require_auth|"
        r"keepalives(_idle|_interval|_count)?|tcp_user_timeout|target_session_attrs|load_balance_hosts|"
        r"(min|max)_protocol_version"
    ),
    "mysql": re.compile(
        r"host|port|user|password|charset|collation|use_unicode|sql_mode|program_name|unix_socket|bind_address|"
        r"connect_timeout|read_timeout|write_timeout|max_allowed_packet|ssl|"
        r"ssl_(ca|capath|cert|key|key_password|cipher|crl|crlpath|check_hostname|disabled|mode)|"
        r"ssl_verify_(cert|identity)"
    ),
}
_PLAIN_OPTIONS["mariadb"] = _PLAIN_OPTIONS["mysql"]
_LOCAL = "localhost"
# How SQLite says that a file is none of its own, or not as it has left it.
_DAMAGED = frozenset({"file is not a database", "database disk image is malformed"})
_DAMAGED_HINT = "Look at the file: it is no SQLite database, or a damaged one, of which a copy may be whole."
# How a query makes texts of bytes, and what it compares with a mark that is one. SQLite has UNHEX since 3.41.
_MARK = "${run:cursor}"
_HEXADECIMAL = {
    "postgresql": ("encode(the_column, 'hex')", f"the column itself with decode({_MARK}, 'hex')"),
    _SQLITE: ("HEX(the_column)", f"HEX(the_column) with {_MARK}"),
}
_HEX = ("HEX(the_column)", f"the column itself with UNHEX({_MARK})")
_SLOW = "The query may be slow, or have many rows: ask for less in `query`, or raise API_FETCH_TIMEOUT."
# What drivers look for outside of Python's packages.
_DRIVER_VARIABLES = (
    "LD_LIBRARY_PATH",
    "ODBCINI",
    "ODBCINSTINI",
    "ODBCSYSINI",
    "ORACLE_HOME",
    "TNS_ADMIN",
    "NLS_LANG",
)


def fetch_database(source: DataSource, context: FetchContext, references: References) -> Fetched:
    """The rows of `query`, as `input-{name}.parquet` in the run's folder.

    `timeout_seconds` bounds it all. `max_bytes` counts the columns before they are compressed. What of the session
    is read-only is said where it is made so: `runner.fetch.database_reading`.

    Raises:
        FetchError: no database, no rows, or too many. Not masked yet.
    """
    url = _parse(source, context, references)
    dialect = url.get_backend_name()
    query = bind_query(
        source.query,
        dialect=dialect,
        facts=context.facts,
        cursor=context.cursor,
        key=source_key(source, "query"),
    )
    _check_options(url, source)
    _check_hosts(url, source, context)
    address = (
        _sqlite_file(url, source, context) if dialect == _SQLITE else url.render_as_string(hide_password=False)
    )
    shown = Path(address).name if dialect == _SQLITE else f"{dialect} at {url.host or _LOCAL}"
    order = DatabaseOrder(
        dialect=dialect,
        url=address,
        query=query.text,
        parameters=dict(query.parameters),
        path=str(context.run_dir / f"input-{source.name}.parquet"),
        max_bytes=source.max_bytes,
        timeout_seconds=context.timeout_seconds,
        cursor_column=context.cursor_column,
    )
    outcome = run_worker(
        WorkerOrder(database=order),
        environ={name: context.environ[name] for name in _DRIVER_VARIABLES if context.environ.get(name)},
        what=f"the database ({shown})",
        seconds=context.timeout_seconds,
        cancelled=context.cancelled,
        hint=_SLOW if dialect == _SQLITE else f"Does a database answer at host and port of `location`? {_SLOW}",
    )
    if outcome.fault is not None:
        raise _fault(outcome.fault, shown, url, source, references)
    return _fetched(outcome, shown, references)


def _fetched(outcome: WorkerOutcome, shown: str, references: References) -> Fetched:
    return Fetched(
        paths=tuple(map(Path, outcome.paths)),
        format=FileType.PARQUET,
        bytes=outcome.bytes,
        secrets=references.secrets,
        description=references.mask(f"{outcome.rows:,} rows of {shown}, {size_words(outcome.bytes)}"),
    )


def _parse(source: DataSource, context: FetchContext, references: References) -> URL:
    """The URL with the driver that an extra installs; all that is secret in it is masked from now on."""
    location = resolve_location(source, context, references).strip()
    try:
        if _TORN_PASSWORD.search(location):
            raise ArgumentError("which @ ends the password?")
        url = make_url(location)
    except (ArgumentError, ValueError):
        raise FetchError(
            f"{source_key(source, 'location')} is no URL of a database",
            hint="It is dialect://user:password@host:port/name; in a password, write %40 for @, %2F for /.",
        ) from None
    secrets = [
        value for name, values in url.normalized_query.items() if _SECRET_OPTION.search(name) for value in values
    ]
    secrets += [found for secret in secrets for found in _ODBC_PASSWORD.findall(secret)]
    if url.password is not None:
        written = _WRITTEN_PASSWORD.search(location)
        secrets += [str(url.password), *([written[1]] if written else [])]
    for secret in secrets:
        for form in (secret, repr(secret)[1:-1], secret.replace("\\", "\\\\").replace("'", "\\'")):
            references.add_secret(form)
    if secrets:
        references.add_secret(location)
        references.add_secret(url.render_as_string(hide_password=False))
    return url.set(drivername=_DRIVERS.get(url.drivername, url.drivername))


def _check_options(url: URL, source: DataSource) -> None:
    """Refuse options that are more than how a server is spoken to."""
    plain = _PLAIN_OPTIONS.get(url.get_backend_name())
    for name in url.normalized_query:
        if name == "autocommit" if plain is None else not plain.fullmatch(name):
            raise FetchError(
                f"{source_key(source, 'location')} has the option {name}, which no source may have",
                hint="Remove it from the URL: options of TLS, of time-outs, of the character set are allowed.",
            )


def _check_hosts(url: URL, source: DataSource, context: FetchContext) -> None:
    """Hold every server that a URL may lead to against `allowed_hosts`. They may be private.

    A URL without a server may be that of a file of this machine: with data roots it is refused too.
    """
    bounds = context.bounds
    if (bounds.allowed_hosts is None and bounds.data_roots is None) or url.get_backend_name() == _SQLITE:
        return
    options = url.normalized_query
    named = [url.host or "", *(value for name in _HOST_OPTIONS for value in options.get(name, ()))]
    hosts = {_LOCAL if host.startswith("/") else _bare(host) for part in named for host in part.split(",") if host}
    if not hosts and url.get_backend_name() in _EXTRAS:
        hosts = {_LOCAL}
    if not hosts or _ELSEWHERE.intersection(options):
        raise FetchError(
            f"{source_key(source, 'location')} does not name its host, and the policy bounds what may be read",
            hint="Write the host into the URL: dialect://user:password@host/name.",
        )
    for host in sorted(hosts):
        if not context.bounds.allows_host(host):
            raise FetchError(
                f"the policy does not allow the host {host}",
                hint="Have it added to `allowed_hosts` or `private_hosts` in _policy.yaml.",
            )


def _bare(host: str) -> str:
    """`host:5432` and `[::1]:5432` without the port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host if host.count(":") > 1 else host.partition(":")[0]


def _sqlite_file(url: URL, source: DataSource, context: FetchContext) -> str:
    """The path of an SQLite database, once it is known that this run may read it."""
    if url.drivername not in {_SQLITE, "sqlite+pysqlite"} or url.query or url.host:
        raise FetchError(
            f"{source_key(source, 'location')} is no plain URL of an SQLite file",
            hint="Write sqlite:///data/shop.db, or sqlite:////srv/shop.db for an absolute path, without options.",
        )
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise FetchError(
            f"{source_key(source, 'location')} names no SQLite file",
            hint="Write sqlite:///data/shop.db, or sqlite:////srv/shop.db for an absolute path.",
        )
    path = Path(os.path.normpath(context.project_dir / url.database))
    rules = FileRules(context)
    file = wait_for_answer(path, lambda _: rules.check(path), cancelled=context.cancelled)
    return str(file.path)


def _fault(fault: WorkerFault, shown: str, url: URL, source: DataSource, references: References) -> FetchError:
    words = shown_words(fault.message, references)
    match fault.kind:
        case FaultKind.DRIVER:
            return missing_driver(url.get_backend_name(), fault.message)
        case FaultKind.CONNECT:
            return FetchError(
                f"no connection to the database ({shown}): {words}",
                hint="Check the URL in `location`, user and password, and that this machine may reach the server.",
            )
        case FaultKind.QUERY:
            damaged = url.get_backend_name() == _SQLITE and words in _DAMAGED
            return FetchError(
                f"the database ({shown}) says: {words}",
                hint=_DAMAGED_HINT if damaged else "Check `query`, and the user's rights.",
            )
        case FaultKind.TABLE:
            return FetchError(f"{source_key(source, 'query')}: {words}", hint="Mend `query`.")
        case FaultKind.NO_TYPE:
            return FetchError(
                f"{source_key(source, 'query')}: {words}",
                hint="In `query`, write NULLIF(the_column, 'the value') for a gap in its place, or "
                "CAST(the_column AS text) for texts; of numbers, CAST(the_column AS double precision) for floats.",
            )
        case FaultKind.CURSOR:
            to_text, compared = _HEXADECIMAL.get(url.get_backend_name(), _HEX)
            return FetchError(
                f"{source_key(source, 'query')}: {words}",
                hint="The mark of a load is a text, and bytes are in another order than the text of them. In "
                f"`query`, select {to_text} AS the_column, and compare {compared}.",
            )
        case FaultKind.SIZE:
            return FetchError(
                f"the rows of the database ({shown}) are more than the {size_words(source.max_bytes)} that "
                "`max_bytes` allows",
                hint="Ask for less in `query`, or raise `max_bytes`.",
            )
        case FaultKind.MEMORY:
            return FetchError(
                f"the database ({shown}) could not be read: {words}",
                hint="Leave large values out of `query`, or ask for a part: substr(the_column, 1, 1000).",
            )
        case FaultKind.DISK:
            return FetchError(
                f"the rows cannot be kept: {words}", hint="Is there room in the folder of the state?"
            )
        case _:
            return FetchError(f"the database ({shown}) could not be read: {words}")


def missing_driver(dialect: str, module: str) -> FetchError:
    """A driver that is not installed, and how it comes."""
    extra = _EXTRAS.get(dialect)
    if extra is None:
        return FetchError(
            f"the driver for {dialect} databases is not installed: {module}",
            hint="Install the SQLAlchemy dialect and driver of this database beside the runner.",
        )
    install = f"pip install 'gitops-runner[{extra}]'"
    is_ours = module.partition(".")[0] in _MODULES_OF_EXTRAS
    # `postgresql+psycopg2://` names a driver that no extra brings.
    named = f"Begin the URL with {dialect}:// alone, for the driver of: {install}"
    return FetchError(
        f"the driver for {dialect} databases is not installed: {module}",
        hint=f"Install it with: {install}" if is_ours else named,
    )
