"""What a fetch worker raises inside itself."""

from runner.fetch.worker_orders import FaultKind


class WorkerError(Exception):
    """There is no data: `kind` and a text, which may be a library's own."""

    def __init__(self, kind: FaultKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
