"""What the JSON answers of the endpoint look like, as schemas of its OpenAPI document."""

from collections.abc import Mapping
from typing import Any

from runner.core.catalog import SyncState
from runner.core.delivery import DeliveryState, MailKind
from runner.core.diagnostic import Severity
from runner.core.run import FailureKind, RunState, Trigger
from runner.core.source import FileType, SourceType

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer"}
_NUMBER: Schema = {"type": "number"}
_FLAG: Schema = {"type": "boolean"}
_TEXTS: Schema = {"type": "array", "items": TEXT}
_TIME: Schema = {"type": "string", "format": "date-time", "examples": ["2025-11-09T13:00:00Z"]}


def component_schemas() -> dict[str, Schema]:
    """The schemas by the names under which they are referred to."""
    return {
        "JobList": _object({"jobs": _list("Job")}),
        "RunList": _object({"runs": _list("Run")}),
        "Job": _object(_job()),
        "JobDetails": _object(_job() | _job_details(), optional=tuple(_job_details())),
        "Source": _object(_source()),
        "Run": _object(_run()),
        "RunDetails": _object(_run() | _run_details()),
        "CheckResult": _object(_check_result()),
        "Attempt": _object(_attempt()),
        "Delivery": _object(_delivery()),
        "Diagnostic": _object(_diagnostic()),
        "Error": _object(
            {"error": TEXT | {"description": "What is wrong"}, "hint": TEXT | {"description": "What to do"}}
        ),
        "Health": _object({"status": {"const": "ok"}}),
        "Ready": _object(_ready()),
        "Version": _object({"version": TEXT, "revision": _or_null(TEXT)}),
    }


def _job() -> Schema:
    return {
        "job_name": _or_null(TEXT) | {"description": "null where a broken file does not tell it"},
        "path": TEXT,
        "description": _or_null(TEXT),
        "owner": _or_null(TEXT),
        "tags": _TEXTS,
        "schedule_time": _or_null(TEXT) | {"description": "null for a job that comes after others"},
        "after": _TEXTS | {"description": "The jobs whose runs it follows"},
        "timezone": _or_null(TEXT),
        "suspended": _FLAG,
        "sync": _one_of(SyncState) | {"description": "How what runs compares with the file"},
        "next_fire": _or_null(_TIME),
        "last_run": {"anyOf": [{"$ref": "#/components/schemas/Run"}, {"type": "null"}]},
        "consumer_emails": _TEXTS,
        "digest": _or_null(TEXT) | {"description": "SHA-256 of the file in force"},
        "file_digest": TEXT | {"description": "SHA-256 of the file as it is now"},
        "revision": _or_null(TEXT) | {"description": "The git commit of the file in force"},
        "diagnostics": _list("Diagnostic"),
    }


def _job_details() -> Schema:
    return {
        "data_source": {"$ref": "#/components/schemas/Source", "description": "The first of them"},
        "data_sources": _list("Source"),
        "step": _object({"kind": TEXT, "text": TEXT}),
        "checks": {"type": "array", "items": _object({"check": TEXT, "blocking": _FLAG})},
        "chart": _or_null(_object({"kind": TEXT, "x": TEXT, "y": _TEXTS, "title": _or_null(TEXT)})),
        "incremental": _or_null(
            _object(
                {
                    "cursor": TEXT | {"description": "The column that only grows"},
                    "initial_value": {"type": ["string", "number"]},
                    "value": _cursor("How far what was delivered has got"),
                }
            )
        ),
        "timeout_seconds": _NUMBER,
        "memory_mb": _WHOLE,
        "on_missed": TEXT,
        "concurrency_policy": TEXT,
        "retry": _object(
            {
                "limit": _WHOLE,
                "backoff_seconds": _NUMBER,
                "max_delay_seconds": _NUMBER,
            }
        ),
    }


def _source() -> Schema:
    return {
        "name": TEXT,
        "source_type": _one_of(SourceType),
        "location": TEXT | {"description": "As written: references unresolved, credentials masked"},
        "format": _one_of(FileType),
    }


def _run() -> Schema:
    return {
        "run_id": TEXT,
        "job_name": TEXT,
        "trigger": _one_of(Trigger),
        "scheduled_time": _TIME,
        "state": _one_of(RunState),
        "attempt": _WHOLE,
        "next_attempt_at": _or_null(_TIME) | {"description": "When a queued run is tried again"},
        "attempts": _list("Attempt"),
        "queued_at": _TIME,
        "started_at": _or_null(_TIME),
        "finished_at": _or_null(_TIME),
        "duration_seconds": _or_null(_NUMBER),
        "rows_in": _or_null(_WHOLE),
        "rows_out": _or_null(_WHOLE),
        "error": _or_null(TEXT),
        "error_kind": {"enum": [*map(str, FailureKind), None]},
        "note": _or_null(TEXT),
        "revision": _or_null(TEXT),
        "digest": _or_null(TEXT),
        "sandbox": _or_null(TEXT),
        "deliveries": _list("Delivery"),
    }


def _run_details() -> Schema:
    texts = {key: _or_null(TEXT) for key in ("hint", "traceback", "output")}
    return texts | {
        "checks": _list("CheckResult"),
        "chart": _FLAG | {"description": "Whether /runs/{run_id}/chart.png shows one"},
        "cursor": _cursor("How far an incremental load has got with this run"),
    }


def _check_result() -> Schema:
    return {
        "check": TEXT | {"description": "What is expected, in words"},
        "blocking": _FLAG | {"description": "Whether the consumers get nothing where it fails"},
        "passed": _FLAG,
        "found": _or_null(TEXT) | {"description": "What was found instead"},
        "failed_rows": _WHOLE | {"description": "How many rows break it"},
        "columns": _TEXTS,
        "rows": {
            "type": "array",
            "items": _TEXTS,
            "description": "The first rows that break it, as text",
        },
    }


def _attempt() -> Schema:
    return {
        "attempt": _WHOLE,
        "state": _one_of(RunState),
        "started_at": _or_null(_TIME),
        "finished_at": _TIME,
        "error": TEXT,
        "error_kind": _one_of(FailureKind),
    }


def _delivery() -> Schema:
    return {
        "delivery_id": _WHOLE,
        "recipient": TEXT,
        "kind": _one_of(MailKind),
        "state": _one_of(DeliveryState),
        "message_id": TEXT,
        "attempts": _WHOLE,
        "next_attempt_at": _or_null(_TIME),
        "sent_at": _or_null(_TIME),
        "error": _or_null(TEXT),
        "kept_as": _or_null(TEXT)
        | {"description": "The file that was written in place of a mail, as no server was set"},
    }


def _diagnostic() -> Schema:
    texts = dict.fromkeys(("path", "rule", "message", "hint"), TEXT)
    place = {key: {"type": "integer", "minimum": 1} for key in ("line", "column", "end_line", "end_column")}
    return texts | place | {"severity": _one_of(Severity)}


def _ready() -> Schema:
    return {
        "ready": _FLAG,
        "reasons": _TEXTS,
        "sandbox": _or_null(TEXT) | {"description": "The level that was achieved"},
        "jobs": _WHOLE,
        "generation": _WHOLE,
    }


def _cursor(description: str) -> Schema:
    return {"type": ["string", "number", "null"], "description": description}


def _object(properties: Mapping[str, Schema], *, optional: tuple[str, ...] = ()) -> Schema:
    required = [key for key in properties if key not in optional]
    return {"type": "object", "properties": dict(properties), "required": required}


def _list(name: str) -> Schema:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


def _one_of(values: Any) -> Schema:
    return {"type": "string", "enum": [str(value) for value in values]}


def _or_null(schema: Schema) -> Schema:
    return schema | {"type": [schema["type"], "null"]}
