"""Findings that are not well."""

from runner.core.health import Finding, Health


def problem(subject: str, message: str, hint: str = "") -> Finding:
    """A finding that keeps the service from its work."""
    return Finding(subject=subject, health=Health.PROBLEM, message=message, hint=hint)


def warning(subject: str, message: str, hint: str = "") -> Finding:
    """A finding that people should know of."""
    return Finding(subject=subject, health=Health.WARNING, message=message, hint=hint)
