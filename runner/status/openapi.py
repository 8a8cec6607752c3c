"""The OpenAPI 3.1 document: the paths of the endpoint. The tests hold it against what is really answered."""

from runner.status.openapi_schemas import TEXT, Schema, component_schemas

_ABOUT = """Read-only state of the runner: its jobs, when they fire, how their runs went.

**Everything is changed through git, nothing through HTTP**: a job is created by adding a YAML file to the jobs
folder and committing it, changed by editing that file, removed by removing it. Methods other than GET and HEAD are
answered with 405 and say so.
"""
_TAG: Schema = {"ETag": {"description": "Send it as If-None-Match.", "schema": TEXT}}
_UNCHANGED: Schema = {"description": "Nothing has changed"}
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
        "paths": _job_paths() | _run_paths() | _service_paths(),
        "components": {"schemas": component_schemas()},
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


def _job_paths() -> Schema:
    name = _parameter("job_name", "path", "The job's name.", TEXT, example="daily_report")
    limit = _parameter("limit", "query", "How many at most.", _SHOWN_RUNS)
    before = _parameter("before", "query", "Only runs made before the run of this id: the next page.", TEXT)
    no_job = _answer("No job of that name; the hint names the nearest", "Error")
    jobs = _answer("All jobs", "JobList") | {"headers": _TAG}
    return {
        "/jobs": _get("jobs", "List all jobs", {"200": jobs, "304": _UNCHANGED}),
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
    }


def _run_paths() -> Schema:
    run_id = _parameter("run_id", "path", "The run's id.", TEXT)
    return {
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
                "200": {"description": "The chart", "headers": _TAG, "content": {"image/png": {}}},
                "304": _UNCHANGED,
                "404": _answer("No run of that id, or it has no chart", "Error"),
            },
            run_id,
        ),
    }


def _service_paths() -> Schema:
    return {
        "/healthz": _get("service", "The process answers", {"200": _answer("It does", "Health")}),
        "/readyz": _get(
            "service",
            "The service does its work",
            {"200": _answer("It does", "Ready"), "503": _answer("It does not; the reasons say why", "Ready")},
        ),
        "/metrics": _get(
            "service",
            "Metrics for Prometheus",
            {"200": {"description": "Text format 0.0.4", "content": {"text/plain": {"schema": TEXT}}}},
        ),
        "/version": _get("service", "What runs here", {"200": _answer("The version", "Version")}),
    }


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
