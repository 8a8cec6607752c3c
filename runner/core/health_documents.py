"""The stable JSON documents of what `doctor` and `status` find, beside those of `runner.core.documents`."""

from collections.abc import Iterable

from runner.core.documents import Document, run_document, utc_text
from runner.core.health import Finding, Health, Standing


def doctor_document(findings: Iterable[Finding]) -> Document:
    """The answer of `doctor --json`."""
    found = tuple(findings)
    return {
        "problems": sum(one.health is Health.PROBLEM for one in found),
        "warnings": sum(one.health is Health.WARNING for one in found),
        "findings": [
            {
                "subject": one.subject,
                "health": str(one.health),
                "message": one.message,
                "hint": one.hint or None,
            }
            for one in found
        ],
    }


def standing_document(standing: Standing) -> Document:
    """The answer of `status --json`."""
    service, disk = standing.service, standing.disk
    return {
        "at": utc_text(standing.at),
        "needs_attention": standing.needs_attention,
        "service": {
            "running": service.running,
            "holder": service.holder or None,
            "address": service.address or None,
            "ready": service.ready,
            "reasons": list(service.reasons),
        },
        "jobs": {
            "in_force": standing.in_force,
            "suspended": standing.suspended,
            "invalid": list(standing.invalid),
            "kept": standing.kept,
            "error": standing.folder_error or None,
        },
        "running": [run_document(run) for run in standing.running],
        "queued": [run_document(run) for run in standing.queued],
        "failing": [
            {"job_name": one.job_name, "failures": one.failures, "last_run": run_document(one.run)}
            for one in standing.failing
        ],
        "deliveries": {str(state): count for state, count in standing.deliveries},
        "mails_waiting_since": utc_text(standing.waiting_since) if standing.waiting_since else None,
        "next_fires": [
            {
                "job_name": fire.job_name,
                "timezone": fire.timezone,
                "scheduled_time": utc_text(fire.scheduled_time),
            }
            for fire in standing.next_fires
        ],
        "disk": {"path": disk.path, "free_bytes": disk.free_bytes, "total_bytes": disk.total_bytes}
        if disk
        else None,
    }
