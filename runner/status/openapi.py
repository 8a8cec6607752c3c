"""The OpenAPI 3.1 document. The tests hold it against what is really answered."""

from collections.abc import Mapping
from typing import Any

from runner.core.catalog import SyncState
from runner.core.delivery import DeliveryState, MailKind
from runner.core.diagnostic import Severity
from runner.core.run import FailureKind, RunState, Trigger
from runner.core.source import FileType, SourceType

Schema = dict[str, Any]

_ABOUT = """Read-only state of the runner: its jobs, when they fire, how their runs went.

**Everything is changed through git, nothing through HTTP**: a job is created by adding a YAML file to the jobs
folder and committing it, changed by editing that file, removed by removing it. Methods other than GET and HEAD are
answered with 405 and say so.
"""
_TEXT: Schema = {"type": "string"}
_WHOLE: Schema = {"type": "integer"}
_FLAG: Schema = {"type": "boolean"}
_TIME: Schema = {"type": "string", "format": "date-time", "examples": ["2025-11-09T13:00:00Z"]}
_SHOWN_RUNS = {"type": "integer", "minimum": 1, "maximum": 1000, "default": 50}


def openapi_document(version: str, *, secured: bool) -> Schema:
    """The description of the endpoint. `secured`: requests must bring the token."""
    document: Schema = {
        "openapi": "3.1.0",
        "info": {
            "title": "runner",
            "version": version,
            "description": _ABOUT,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "tags": [
            {"name": "jobs", "description": "What is in force, and how it compares with the files."},
            {"name": "runs", "description": "What was run, and what became of its mails."},
            {"name": "service", "description": "The state of the service itself."},
        ],
        "paths": _paths(),
        "components": {"schemas": _schemas()},
    }
    if secured:
        document["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer", "description": "The value of STATUS_TOKEN."},
            "basic": {"type": "http", "scheme": "basic", "description": "Any user; the password is STATUS_TOKEN."},
        }
        document["security"] = [{"bearer": []}, {"basic": []}]
        for path in ("/healthz", "/readyz"):
            document["paths"][path]["get"]["security"] = []
        for path in document["paths"].keys() - {"/healthz", "/readyz"}:
            document["paths"][path]["get"]["responses"]["401"] = _answer("The token is missing or wrong", "Error")
    return document


def _paths() -> Schema:
    name = _parameter("job_name", "path", "The job's name.", _TEXT, example="daily_report")
    run_id = _parameter("run_id", "path", "The run's id.", _TEXT)
    limit = _parameter("limit", "query", "How many at most.", _SHOWN_RUNS)
    before = _parameter("before", "query", "Only runs made before the run of this id: the next page.", _TEXT)
    no_job = _answer("No job of that name; the hint names the nearest", "Error")
    jobs = _answer("All jobs", "JobList")
    tag = {"ETag": {"description": "Send it as If-None-Match.", "schema": _TEXT}}
    jobs["headers"] = tag
    return {
        "/jobs": _get("jobs", "List all jobs", {"200": jobs, "304": {"description": "Nothing has changed"}}),
        "/jobs/{job_name}": _get(
            "jobs",
            "One job with its source and step",
            {"200": _answer("The job", "JobDetails"), "404": no_job},
            name,
        ),
        "/jobs/{job_name}/runs": _get(
            "runs",
            "The runs of one job, newest first",
            {
                "200": _answer("The runs", "RunList"),
                "400": _answer("A parameter cannot be used", "Error"),
                "404": no_job,
            },
            name,
            limit,
            before,
        ),
        "/runs/{run_id}": _get(
            "runs",
            "One run with its checks, output and traceback",
            {"200": _answer("The run", "RunDetails"), "404": _answer("No run of that id", "Error")},
            run_id,
        ),
        "/runs/{run_id}/chart.png": _get(
            "runs",
            "The chart of one run",
            {
                "200": {"description": "The chart", "headers": tag, "content": {"image/png": {}}},
                "304": {"description": "Nothing has changed"},
                "404": _answer("No run of that id, or it has no chart", "Error"),
            },
            run_id,
        ),
        "/healthz": _get("service", "The process answers", {"200": _answer("It does", "Health")}),
        "/readyz": _get(
            "service",
            "The service does its work",
            {"200": _answer("It does", "Ready"), "503": _answer("It does not; the reasons say why", "Ready")},
        ),
        "/metrics": _get(
            "service",
            "Metrics for Prometheus",
            {"200": {"description": "Text format 0.0.4", "content": {"text/plain": {"schema": _TEXT}}}},
        ),
        "/version": _get("service", "What runs here", {"200": _answer("The version", "Version")}),
    }


def _schemas() -> Schema:
    diagnostic = dict.fromkeys(("path", "rule", "message", "hint"), _TEXT) | {
        key: {"type": "integer", "minimum": 1} for key in ("line", "column", "end_line", "end_column")
    }
    return {
        "JobList": _object({"jobs": _list("Job")}),
        "RunList": _object({"runs": _list("Run")}),
        "Job": _object(_job()),
        "JobDetails": _object(_job() | _job_details(), optional=tuple(_job_details())),
        "Source": _object(
            {
                "name": _TEXT,
                "source_type": _one_of(SourceType),
                "location": _TEXT | {"description": "As written: references unresolved, credentials masked"},
                "format": _one_of(FileType),
            }
        ),
        "Run": _object(_run()),
        "RunDetails": _object(_run() | _run_details()),
        "CheckResult": _object(_check_result()),
        "Attempt": _object(
            {
                "attempt": _WHOLE,
                "state": _one_of(RunState),
                "started_at": _or_null(_TIME),
                "finished_at": _TIME,
                "error": _TEXT,
                "error_kind": _one_of(FailureKind),
            }
        ),
        "Delivery": _object(
            {
                "delivery_id": _WHOLE,
                "recipient": _TEXT,
                "kind": _one_of(MailKind),
                "state": _one_of(DeliveryState),
                "message_id": _TEXT,
                "attempts": _WHOLE,
                "next_attempt_at": _or_null(_TIME),
                "sent_at": _or_null(_TIME),
                "error": _or_null(_TEXT),
            }
        ),
        "Diagnostic": _object(diagnostic | {"severity": _one_of(Severity)}),
        "Error": _object(
            {"error": _TEXT | {"description": "What is wrong"}, "hint": _TEXT | {"description": "What to do"}}
        ),
        "Health": _object({"status": {"const": "ok"}}),
        "Ready": _object(
            {
                "ready": {"type": "boolean"},
                "reasons": {"type": "array", "items": _TEXT},
                "sandbox": _or_null(_TEXT) | {"description": "The level that was achieved"},
                "jobs": _WHOLE,
                "generation": _WHOLE,
            }
        ),
        "Version": _object({"version": _TEXT, "revision": _or_null(_TEXT)}),
    }


def _job() -> Schema:
    return {
        "job_name": _or_null(_TEXT) | {"description": "null where a broken file does not tell it"},
        "path": _TEXT,
        "description": _or_null(_TEXT),
        "owner": _or_null(_TEXT),
        "tags": {"type": "array", "items": _TEXT},
        "schedule_time": _or_null(_TEXT) | {"description": "null for a job that comes after others"},
        "after": {"type": "array", "items": _TEXT, "description": "The jobs whose runs it follows"},
        "timezone": _or_null(_TEXT),
        "suspended": {"type": "boolean"},
        "sync": _one_of(SyncState) | {"description": "How what runs compares with the file"},
        "next_fire": _or_null(_TIME),
        "last_run": {"anyOf": [{"$ref": "#/components/schemas/Run"}, {"type": "null"}]},
        "consumer_emails": {"type": "array", "items": _TEXT},
        "digest": _or_null(_TEXT) | {"description": "SHA-256 of the file in force"},
        "file_digest": _TEXT | {"description": "SHA-256 of the file as it is now"},
        "revision": _or_null(_TEXT) | {"description": "The git commit of the file in force"},
        "diagnostics": _list("Diagnostic"),
    }


def _job_details() -> Schema:
    return {
        "data_source": {"$ref": "#/components/schemas/Source", "description": "The first of them"},
        "data_sources": _list("Source"),
        "step": _object({"kind": _TEXT, "text": _TEXT}),
        "checks": {"type": "array", "items": _object({"check": _TEXT, "blocking": _FLAG})},
        "chart": _or_null(
            _object({"kind": _TEXT, "x": _TEXT, "y": {"type": "array", "items": _TEXT}, "title": _or_null(_TEXT)})
        ),
        "incremental": _or_null(
            _object(
                {
                    "cursor": _TEXT | {"description": "The column that only grows"},
                    "initial_value": {"type": ["string", "number"]},
                    "value": _cursor("How far what was delivered has got"),
                }
            )
        ),
        "timeout_seconds": {"type": "number"},
        "memory_mb": _WHOLE,
        "on_missed": _TEXT,
        "concurrency_policy": _TEXT,
        "retry": _object(
            {
                "limit": _WHOLE,
                "backoff_seconds": {"type": "number"},
                "max_delay_seconds": {"type": "number"},
            }
        ),
    }


def _run() -> Schema:
    return {
        "run_id": _TEXT,
        "job_name": _TEXT,
        "trigger": _one_of(Trigger),
        "scheduled_time": _TIME,
        "state": _one_of(RunState),
        "attempt": _WHOLE,
        "next_attempt_at": _or_null(_TIME) | {"description": "When a queued run is tried again"},
        "attempts": _list("Attempt"),
        "queued_at": _TIME,
        "started_at": _or_null(_TIME),
        "finished_at": _or_null(_TIME),
        "duration_seconds": _or_null({"type": "number"}),
        "rows_in": _or_null(_WHOLE),
        "rows_out": _or_null(_WHOLE),
        "error": _or_null(_TEXT),
        "error_kind": {"enum": [*map(str, FailureKind), None]},
        "note": _or_null(_TEXT),
        "revision": _or_null(_TEXT),
        "digest": _or_null(_TEXT),
        "sandbox": _or_null(_TEXT),
        "deliveries": _list("Delivery"),
    }


def _run_details() -> Schema:
    texts = {key: _or_null(_TEXT) for key in ("hint", "traceback", "output")}
    return texts | {
        "checks": _list("CheckResult"),
        "chart": {"type": "boolean", "description": "Whether /runs/{run_id}/chart.png shows one"},
        "cursor": _cursor("How far an incremental load has got with this run"),
    }


def _check_result() -> Schema:
    return {
        "check": _TEXT | {"description": "What is expected, in words"},
        "blocking": _FLAG | {"description": "Whether the consumers get nothing where it fails"},
        "passed": _FLAG,
        "found": _or_null(_TEXT) | {"description": "What was found instead"},
        "failed_rows": _WHOLE | {"description": "How many rows break it"},
        "columns": {"type": "array", "items": _TEXT},
        "rows": {
            "type": "array",
            "items": {"type": "array", "items": _TEXT},
            "description": "The first rows that break it, as text",
        },
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


def _parameter(name: str, place: str, description: str, schema: Schema, *, example: str | None = None) -> Schema:
    parameter = {
        "name": name,
        "in": place,
        "required": place == "path",
        "description": description,
        "schema": schema,
    }
    return parameter if example is None else parameter | {"example": example}


def _answer(description: str, schema: str) -> Schema:
    return {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }


def _get(tag: str, summary: str, responses: Schema, *parameters: Schema) -> Schema:
    operation: Schema = {"tags": [tag], "summary": summary, "responses": responses}
    if parameters:
        operation["parameters"] = list(parameters)
    return {"get": operation}
