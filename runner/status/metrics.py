"""The snapshot in the Prometheus text format, version 0.0.4."""

from collections import Counter
from collections.abc import Iterable, Iterator

from runner.core.catalog import SyncState
from runner.core.run import RunState
from runner.status.snapshot import JobStatus, StatusSnapshot

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

Sample = tuple[dict[str, str], float]


def render_metrics(snapshot: StatusSnapshot, version: str) -> str:
    """One family after the other, each with its help and type."""
    return "".join((*_of_service(snapshot, version), *_of_each_job(snapshot)))


def _of_service(snapshot: StatusSnapshot, version: str) -> Iterator[str]:
    syncs = Counter(status.entry.sync for status in snapshot.jobs)
    yield _family("runner_info", "gauge", "The version of the runner.", [({"version": version}, 1)])
    yield _family("runner_ready", "gauge", "1 when the service is ready, else 0.", [({}, float(snapshot.ready))])
    yield _family(
        "runner_catalog_generation",
        "gauge",
        "How often the jobs in force have changed.",
        [({}, snapshot.generation)],
    )
    yield _family(
        "runner_jobs",
        "gauge",
        "Job files by sync state.",
        [({"sync": str(sync)}, syncs[sync]) for sync in SyncState],
    )
    yield _family(
        "runner_jobs_suspended", "gauge", "Jobs that are suspended.", [({}, sum(map(_suspended, snapshot.jobs)))]
    )
    yield _family(
        "runner_jobs_running",
        "gauge",
        "Jobs that have a run at work.",
        [({}, sum(status.running for status in snapshot.jobs))],
    )
    finished = dict(snapshot.finished)
    yield _family(
        "runner_runs_total",
        "counter",
        "Runs finished since the service started, by state.",
        [({"state": str(state)}, finished.get(str(state), 0)) for state in RunState if state.finished],
    )


def _of_each_job(snapshot: StatusSnapshot) -> Iterator[str]:
    jobs = [(status.entry.job_name, status) for status in snapshot.jobs if status.entry.job is not None]
    named = [(name, status) for name, status in jobs if name is not None]
    last = [(name, status.last_run) for name, status in named if status.last_run is not None]
    yield _family(
        "runner_job_next_fire_timestamp_seconds",
        "gauge",
        "When the job fires next.",
        [({"job_name": name}, status.next_fire.timestamp()) for name, status in named if status.next_fire],
    )
    yield _family(
        "runner_job_last_run_state",
        "gauge",
        "1 for the state of the job's newest run.",
        [({"job_name": name, "state": str(run.state)}, 1) for name, run in last],
    )
    yield _family(
        "runner_job_last_run_timestamp_seconds",
        "gauge",
        "When the job's newest run was due.",
        [({"job_name": name}, run.scheduled_time.timestamp()) for name, run in last],
    )
    yield _family(
        "runner_job_last_run_duration_seconds",
        "gauge",
        "How long the job's newest run took.",
        [({"job_name": name}, run.duration_seconds) for name, run in last if run.duration_seconds is not None],
    )


def _suspended(status: JobStatus) -> bool:
    return status.entry.job is not None and status.entry.job.suspend


def _family(name: str, kind: str, help_text: str, samples: Iterable[Sample]) -> str:
    lines = [f"# HELP {name} {help_text}\n", f"# TYPE {name} {kind}\n"]
    for labels, value in samples:
        pairs = ",".join(f'{key}="{text.translate(_ESCAPES)}"' for key, text in labels.items())
        lines.append(f"{name}{{{pairs}}} {value:.15g}\n" if pairs else f"{name} {value:.15g}\n")
    return "".join(lines)
