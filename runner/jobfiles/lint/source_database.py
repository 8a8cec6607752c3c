"""The URL of a database source and what in it a policy bounds, its host or its file; and its query."""

import re
from urllib.parse import unquote

from runner.core.references import ReferenceSyntaxError
from runner.core.source_query import SourceQueryError, parse_source_query
from runner.jobfiles.document import Path
from runner.jobfiles.inspection import Inspection
from runner.jobfiles.lint.source_file import check_file_of_data
from runner.jobfiles.lint.step import report_in_job_file
from runner.jobfiles.lint.step_fault import fault_between

# https://docs.sqlalchemy.org/en/20/core/engines.html#database-urls
_URL = re.compile(
    r"(?P<dialect>[A-Za-z][A-Za-z0-9_]*)(?:\+[A-Za-z0-9_]+)?://(?P<authority>[^/?#]*)(?:/(?P<database>[^?#]*))?"
)
_REFERENCE = re.compile(r"\$\{[^{}]*\}")
_HOST_IN_QUERY = re.compile(r"(?i)[?&](?:host|hostaddr|server|odbc_connect|unix_sock(?:et)?)=")
_SQLITE = ("sqlite:", "sqlite+")
# Databases that are a file.
_OF_FILES = frozenset({"sqlite", "duckdb"})
# Where no host is named, their drivers take this machine.
_HERE_WITHOUT_HOST = frozenset({"postgresql", "postgres", "mysql", "mariadb"})


def check_database_url(inspection: Inspection, path: Path, location: str) -> None:
    """Rules `bad-location` and, a warning, `missing-file` of SQLite."""
    if not location.startswith("${") and not _URL.match(_REFERENCE.sub("1", location)):
        inspection.report(
            path,
            "bad-location",
            "this is no URL of a database",
            "Write a variable that holds one, such as ${env:SALES_DB_URL}; for a file sqlite:///data/sales.db.",
        )
        return
    file = database_file(location)
    if file is None or "${" in file or not location.lower().startswith(_SQLITE):
        return
    if file == ":memory:" or file.startswith("file:"):
        hint = "Write sqlite:///data/shop.db, or sqlite:////srv/shop.db for an absolute path."
        inspection.report(path, "bad-location", "this names no SQLite file", hint)
    else:
        check_file_of_data(inspection, path, file)


def check_database_query(inspection: Inspection, path: Path, query: str, *, location: str) -> None:
    """Rule `source-query`. What only one database would refuse is left to the run, where none is named."""
    named = None if location.startswith("${") else _URL.match(_REFERENCE.sub("1", location))
    try:
        parse_source_query(query, dialect=named["dialect"].lower() if named else "")
    except SourceQueryError as error:
        message = f"{path[-1]} {error}"
        fault = fault_between(query, error.start, error.end, rule="source-query", message=message, hint=error.hint)
        report_in_job_file(inspection, path, fault)
    except ReferenceSyntaxError:
        pass  # told by another rule


def database_host(location: str) -> str | None:
    """The host of a database, in small letters; empty where it has none, None where only the run knows it."""
    if location.startswith("${"):
        return None
    match = _URL.match(_REFERENCE.sub("\0", location))
    if match is None:
        return ""
    if match["dialect"].lower() in _OF_FILES:
        return ""
    authority = match["authority"]
    host = authority.rpartition("@")[2]
    if "\0" in host or "," in host or _HOST_IN_QUERY.search(location):
        return None
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    if not name and match["dialect"].lower() in _HERE_WITHOUT_HOST:
        return "localhost"
    return unquote(name).lower()


def database_file(location: str) -> str | None:
    """The path of a database that is a file, as far as it is written out; None of every other one."""
    match = None if location.startswith("${") else _URL.match(location)
    if match is None or match["dialect"].lower() not in _OF_FILES or match["authority"]:
        return None
    return unquote(match["database"] or "") or None
