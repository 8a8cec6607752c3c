"""A DataSource: where a run gets its data, and how that is written."""

import posixpath
import re
from dataclasses import dataclass, field
from enum import StrEnum

THE_SOURCE = "data"
"""The name of the one source of a job; in a script also that of the first of several."""
ENV_FILE = ".env"
"""The settings of the runner, in the folder of the project: secrets stand in it."""
# The environment of a process is among it.
_KERNEL_FOLDERS = ("/proc/", "/sys/")
# Tools have one for each place where a project runs: `.env.production`.
_ENV = re.compile(r"(?:^|/)\.env(?:\.[^/]*)?$")
# git-annex, and so DataLad, keeps there what the links of a repository lead to: files that are committed.
_IN_GIT = re.compile(r"(?:^|/)\.git(?:/(?!annex/objects/)|$)")
CONDITION_HEADERS = frozenset({"if-none-match", "if-modified-since"})
"""With these a job asks by itself whether an API's data has changed. In lower case."""


def is_never_read(path: str) -> bool:
    """Whether a path is none of a job's: no data, no value, no script and no test. That of a `.env`; one into
    `.git`, whose `config` may have the token of a remote; or one of the kernel's own. Who calls follows links."""
    path = posixpath.normpath(path)
    # POSIX leaves two slashes, and two alone, to each system: Linux takes them for one.
    path = path[1:] if path.startswith("//") else path
    in_kernel = f"{path}/".startswith(_KERNEL_FOLDERS)
    return in_kernel or _ENV.search(path) is not None or _IN_GIT.search(path) is not None


class SourceType(StrEnum):
    """Where the data comes from."""

    API = "api"
    FILE = "file"
    DATABASE = "database"


class FileType(StrEnum):
    """How the bytes of a source are written."""

    CSV = "csv"
    JSON = "json"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    XLSX = "xlsx"

    @property
    def names_columns_always(self) -> bool:
        """Whether there are columns where there are no rows: an array of nothing has none."""
        return self not in {FileType.JSON, FileType.NDJSON}


class AuthType(StrEnum):
    """How an API request proves who sends it."""

    BASIC = "basic"
    BEARER = "bearer"
    HEADER = "header"


class PaginationKind(StrEnum):
    """How the next page of an API is asked for."""

    PAGE = "page"
    OFFSET = "offset"
    CURSOR = "cursor"
    LINK_HEADER = "link_header"
    NEXT_LINK = "next_link"


class OnUnchanged(StrEnum):
    """What happens where an API answers that its data is what the last delivered run had."""

    RUN = "run"
    SKIP = "skip"


@dataclass(frozen=True, kw_only=True, slots=True)
class Auth:
    """Credentials of an API source, as written: `${env:…}` references are resolved when the run starts.

    `header` is the name of the header that carries `token`, for the type HEADER.
    """

    type: AuthType
    token: str = ""
    username: str = ""
    password: str = ""
    header: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Pagination:
    """How an API is asked page by page; the answers must be JSON.

    `param` is the query parameter that carries the number of the page, the offset, or the cursor. `size_param`
    carries `size`, the records of a page. With `in_body` both are paths into the body of a POST, the names of keys
    with dots between them. PAGE counts from `start` by one, OFFSET from `start` by `size`; both end
    with a page that has fewer than `size` records, or, with no size, none. `cursor_path` is a JMESPath to the next
    page's cursor in an answer; the last page has none. LINK_HEADER follows `Link: <…>; rel="next"` (RFC 8288),
    NEXT_LINK the address that the JMESPath `link_path` finds in an answer; the last page has none. More than
    `max_pages` fail the run: nothing is cut silently.
    """

    kind: PaginationKind
    param: str = ""
    in_body: bool = False
    size_param: str = ""
    size: int | None = None
    start: int = 0
    cursor_path: str = ""
    link_path: str = ""
    max_pages: int = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class TableOptions:
    """How a table is written in a CSV file or a workbook.

    `columns` names those that are kept, in this order; none: all. `dtypes` are (column, type) with the types
    `string integer number boolean date timestamp`. `parse_dates` are columns of dates or times. `sheet` is that of
    a workbook: its name; empty: the first with rows.
    """

    delimiter: str = ","
    encoding: str = "utf-8"
    decimal: str = "."
    columns: tuple[str, ...] = ()
    dtypes: tuple[tuple[str, str], ...] = ()
    parse_dates: tuple[str, ...] = ()
    sheet: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class DataSource:
    """Where a run gets its data. Every text may hold references; none is resolved here.

    `name` is what a query and a script call it. `location` is the address of an API, the path, pattern or
    `s3://…` address of files, or the URL of a database. `format` is `file_type` of a file and `response_format`
    of an API; a database has PARQUET, as which its rows are kept. `body` is JSON text. Sizes are bytes.
    `retries` counts the requests after the first, for answers and faults that pass.
    """

    name: str = THE_SOURCE
    source_type: SourceType
    location: str
    format: FileType
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    params: tuple[tuple[str, str], ...] = ()
    body: str | None = None
    auth: Auth | None = None
    pagination: Pagination | None = None
    retries: int = 3
    on_unchanged: OnUnchanged = OnUnchanged.RUN
    records_path: str | None = None
    table: TableOptions = field(default_factory=TableOptions)
    query: str = ""
    max_bytes: int = 1 << 30

    @property
    def tells_unchanged(self) -> bool:
        """Whether it is asked if its data is what the last delivered run had: an API whose job wants that, with
        one answer to a GET. The rule `idle-on-unchanged` tells who wants it in vain."""
        return (
            self.source_type is SourceType.API
            and self.on_unchanged is OnUnchanged.SKIP
            and self.method.upper() == "GET"
            and self.pagination is None
            and not any(name.lower() in CONDITION_HEADERS for name, _ in self.headers)
        )
