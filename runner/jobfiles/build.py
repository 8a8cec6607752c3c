"""Document → Job: the data of a checked file as a frozen value, defaults applied."""

from collections.abc import Mapping
from typing import Any

from runner.core.job import (
    AttachmentFormat,
    Chart,
    ChartKind,
    ConcurrencyPolicy,
    DeliveryOptions,
    Incremental,
    Job,
    NotifyFailures,
    OnAmbiguous,
    OnEmpty,
    OnMissed,
    Resources,
    Retry,
    Step,
    StepKind,
)
from runner.core.job_defaults import JobDefaults
from runner.core.job_policy import JobPolicy
from runner.jobfiles.build_checks import build_checks, one_or_more
from runner.jobfiles.build_sources import build_sources
from runner.jobfiles.document import Document
from runner.jobfiles.layers import Layers
from runner.jobfiles.read import JobFile

_STEPS = (("processing_script", StepKind.SCRIPT), ("processing_query", StepKind.QUERY))


def build_job(
    document: Document,
    layers: Layers,
    *,
    path: str,
    digest: str,
    step_file: JobFile | None,
    defaults: JobDefaults,
) -> Job:
    """The job of a document that has been found free of errors, with the defaults of the folders around it.

    `step_file` is the script or query it names.
    """
    data = layers.merged(document.data)
    sources = build_sources(data)
    return Job(
        job_name=data["job_name"],
        schedule_time=data.get("schedule_time"),
        timezone=data.get("timezone", defaults.timezone),
        data_source=sources[0],
        more_sources=tuple(sources[1:]),
        incremental=_incremental(data.get("incremental")),
        consumer_emails=tuple(data["consumer_emails"]),
        step=_step(document, path, step_file),
        description=data.get("description", "").strip(),
        owner=data.get("owner"),
        tags=tuple(data.get("tags", ())),
        suspend=data.get("suspend", False),
        after=tuple(data.get("after", ())),
        timeout_seconds=_timeout(data, defaults, layers.policy),
        retry=_retry(data.get("retry", {})),
        resources=_resources(data.get("resources", {}), layers.policy),
        on_missed=OnMissed(data.get("on_missed", OnMissed.RUN_ONCE)),
        starting_deadline_seconds=_whole(data.get("starting_deadline_seconds")),
        concurrency_policy=ConcurrencyPolicy(data.get("concurrency_policy", ConcurrencyPolicy.FORBID)),
        checks=build_checks(data.get("checks", ())),
        chart=_chart(data.get("chart")),
        delivery=_delivery(data.get("delivery", {})),
        bounds=layers.policy.run_bounds,
        path=path,
        digest=digest,
    )


def _whole(value: float | None) -> int | None:
    """JSON Schema takes 5.0 for a whole number."""
    return None if value is None else int(value)


def _incremental(data: Mapping[str, Any] | None) -> Incremental | None:
    return None if data is None else Incremental(cursor=data["cursor"], initial_value=data["initial_value"])


def _chart(data: Mapping[str, Any] | None) -> Chart | None:
    if data is None:
        return None
    return Chart(
        kind=ChartKind(data["kind"]), x=data["x"], y=one_or_more(data["y"]), title=data.get("title", "").strip()
    )


def _step(document: Document, path: str, step_file: JobFile | None) -> Step:
    for key, kind in _STEPS:
        if key in document.data:
            return Step(kind=kind, text=document.data[key], path=path, first_line=document.first_line((key,)))
        if f"{key}_file" in document.data and step_file is not None:
            return Step(kind=kind, text=step_file.text, path=step_file.path, first_line=1)
    return Step()


def _timeout(data: Mapping[str, Any], defaults: JobDefaults, policy: JobPolicy) -> float:
    """What the job says; else the setting, as far as the policy lets it."""
    most = policy.max_timeout_seconds
    usual = defaults.timeout_seconds if most is None else min(defaults.timeout_seconds, most)
    return float(data.get("timeout_seconds", usual))


def _retry(data: Mapping[str, Any]) -> Retry:
    default = Retry()
    return Retry(
        limit=int(data.get("limit", default.limit)),
        backoff_seconds=float(data.get("backoff_seconds", default.backoff_seconds)),
        max_delay_seconds=float(data.get("max_delay_seconds", default.max_delay_seconds)),
    )


def _resources(data: Mapping[str, Any], policy: JobPolicy) -> Resources:
    default = Resources()
    most = policy.max_memory_mb
    usual = default.memory_mb if most is None else min(default.memory_mb, most)
    return Resources(memory_mb=int(data.get("memory_mb", usual)), cpu_seconds=_whole(data.get("cpu_seconds")))


def _delivery(data: Mapping[str, Any]) -> DeliveryOptions:
    default = DeliveryOptions()
    return DeliveryOptions(
        on_empty=OnEmpty(data.get("on_empty", default.on_empty)),
        preview_rows=int(data.get("preview_rows", default.preview_rows)),
        attachment=AttachmentFormat(data.get("attachment", default.attachment)),
        defuse_formulas=data.get("defuse_formulas", default.defuse_formulas),
        notify_failures=NotifyFailures(data.get("notify_failures", default.notify_failures)),
        notify_after=int(data.get("notify_after", default.notify_after)),
        on_ambiguous=OnAmbiguous(data.get("on_ambiguous", default.on_ambiguous)),
    )
