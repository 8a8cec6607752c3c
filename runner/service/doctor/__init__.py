"""What `runner doctor` tries: every part the service needs, for real. It changes nothing."""

from runner.service.doctor.diagnosis import diagnose

__all__ = ["diagnose"]
