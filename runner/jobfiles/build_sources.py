"""The data of a checked file → its DataSources."""

import json
from collections.abc import Mapping
from typing import Any

from runner.core.source import (
    THE_SOURCE,
    Auth,
    AuthType,
    DataSource,
    FileType,
    OnUnchanged,
    Pagination,
    PaginationKind,
    SourceType,
    TableOptions,
)

DEFAULT_MAX_BYTES = 1 << 30
_TAB = r"\t"


def build_sources(data: Mapping[str, Any]) -> list[DataSource]:
    """The sources of a job in the order of its file; the one of `data_source` is called `data`."""
    named: Mapping[str, Any] = data.get("data_sources") or {THE_SOURCE: data["data_source"]}
    return [_source(name, source) for name, source in named.items()]


def _source(name: str, data: Mapping[str, Any]) -> DataSource:
    source_type = SourceType(data["source_type"])
    body = data.get("body")
    return DataSource(
        name=name,
        source_type=source_type,
        location=data["location"],
        format=_format(source_type, data),
        method=data.get("method", "GET"),
        headers=_pairs(data.get("headers", {})),
        params=_pairs(data.get("params", {})),
        body=None if body is None else json.dumps(body, ensure_ascii=False),
        auth=_auth(data.get("auth")),
        pagination=_pagination(data.get("pagination")),
        retries=int(data.get("retries", 3)),
        on_unchanged=OnUnchanged(data.get("on_unchanged", OnUnchanged.RUN)),
        records_path=data.get("records_path"),
        table=_table(data),
        query=data.get("query", ""),
        max_bytes=int(data.get("max_bytes", DEFAULT_MAX_BYTES)),
    )


def _format(source_type: SourceType, data: Mapping[str, Any]) -> FileType:
    match source_type:
        case SourceType.API:
            return FileType(data.get("response_format", FileType.JSON))
        case SourceType.FILE:
            return FileType(data["file_type"])
        case SourceType.DATABASE:
            return FileType.PARQUET


def _pairs(data: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """Names and values as text, in order; a list repeats its name."""
    return tuple(
        (name, _text(item))
        for name, value in data.items()
        for item in (value if isinstance(value, list) else [value])
    )


def _text(value: str | float | bool) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _auth(data: Mapping[str, Any] | None) -> Auth | None:
    if data is None:
        return None
    return Auth(
        type=AuthType(data["type"]),
        token=data.get("token", ""),
        username=data.get("username", ""),
        password=data.get("password", ""),
        header=data.get("header", ""),
    )


def _pagination(data: Mapping[str, Any] | None) -> Pagination | None:
    if data is None:
        return None
    kind, size = PaginationKind(data["type"]), data.get("size")
    return Pagination(
        kind=kind,
        param=data.get("param", ""),
        in_body=data.get("in") == "body",
        size_param=data.get("size_param", ""),
        size=None if size is None else int(size),
        # People count pages from one, and records that come before from none.
        start=int(data.get("start", 1 if kind is PaginationKind.PAGE else 0)),
        cursor_path=data.get("cursor_path", ""),
        link_path=data.get("link_path", ""),
        max_pages=int(data.get("max_pages", Pagination(kind=kind).max_pages)),
    )


def _table(data: Mapping[str, Any]) -> TableOptions:
    default = TableOptions()
    delimiter = data.get("delimiter", default.delimiter)
    return TableOptions(
        delimiter="\t" if delimiter == _TAB else delimiter,
        encoding=data.get("encoding", default.encoding),
        decimal=data.get("decimal", default.decimal),
        columns=tuple(data.get("columns", ())),
        dtypes=tuple(data.get("dtypes", {}).items()),
        parse_dates=tuple(data.get("parse_dates", ())),
        sheet=data.get("sheet", default.sheet),
    )
