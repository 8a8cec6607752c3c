"""The fetch worker: reads one order, fetches, tells the outcome, ends. Started by `runner.fetch.worker`."""

import os
import resource
import signal
import sys
import threading
from contextlib import suppress

from runner.fetch.worker_faults import WorkerError
from runner.fetch.worker_orders import FaultKind, WorkerFault, WorkerOrder, WorkerOutcome, decode, encode
from runner.interpreter import stay_out_of_cores

_LONGEST_MESSAGE = 16 << 10
# A value of a database comes as a whole, however large: the machine must not pay for it. It is address space, of
# which the libraries alone reserve 1.5 GiB.
_MEMORY_BYTES = 4 << 30


def main() -> None:
    """Carry out the order on standard input. Never returns."""
    # The memory of this process holds secrets: it is never written to a file.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    stay_out_of_cores()
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    bound = _MEMORY_BYTES if most == resource.RLIM_INFINITY else min(most, _MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_AS, (bound, most))
    # Standard output is for the outcome alone: whatever a driver prints goes to standard error.
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)
        line = sys.stdin.buffer.readline()
        threading.Thread(target=_end_with_service, daemon=True).start()
        answer.write(encode(_carry_out(decode(line, WorkerOrder))))
    # Threads and connections of libraries are not waited for.
    os._exit(0)


def _carry_out(order: WorkerOrder) -> WorkerOutcome:
    try:
        # Imported for the order at hand: each costs a part of a second.
        if order.database is not None:
            from runner.fetch.database_reading import read_database

            return read_database(order.database)
        if order.store is not None:
            from runner.fetch.store_reading import download

            return download(order.store)
        raise WorkerError(FaultKind.INTERNAL, "the order is empty")
    except WorkerError as error:
        return _failed(error.kind, str(error))
    except MemoryError:
        return _failed(FaultKind.MEMORY, f"it takes more than {_MEMORY_BYTES >> 30} GiB of memory at a time")
    except OSError as error:
        # Nothing but the disk is left: drivers and stores have their own faults.
        return _failed(FaultKind.DISK, error.strerror or str(error))
    except Exception as error:  # noqa: BLE001 - whatever a driver raises is told
        return _failed(FaultKind.INTERNAL, f"{type(error).__name__}: {error}")


def _failed(kind: FaultKind, message: str) -> WorkerOutcome:
    return WorkerOutcome(fault=WorkerFault(kind=kind, message=message[:_LONGEST_MESSAGE]))


def _end_with_service() -> None:
    """Nothing more comes over standard input: its end is that of the service."""
    # Past the buffer of the stream, whose lock would hold up the end of the interpreter.
    while os.read(0, 1):
        pass
    with suppress(ProcessLookupError):
        os.killpg(0, signal.SIGKILL)
