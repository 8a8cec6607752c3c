"""One connection in explicit transactions; threads that want to write at the same time share one."""

import logging
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, StaticPool, create_engine, event

from runner.errors import StoreError
from runner.opened import mark_database, unmark_database
from runner.store.faults import identity, moved_away, storage_errors

_T = TypeVar("_T")

_GATHER_SECONDS = 0.0002
# In bytes. What mails wait in comes to this where a server is away; less is soon taken again by others.
_MUCH_FREE = 128 << 20
# A second's work.
_SOON_COPIED = 64 << 20

logger = logging.getLogger(__name__)


class Database:
    """One connection, used by one thread at a time. Safe to ask from several.

    Args:
        begin: the statement that opens a transaction: `BEGIN IMMEDIATE` to write, `BEGIN` to read.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, *, begin: str) -> None:
        self.path = path
        # What SQLite writes to, and which file each was when it was opened.
        self._files = {path: identity(path)}
        real = os.path.realpath(path)
        self._marked = [real, f"{real}-wal", f"{real}-shm"]
        mark_database(self._marked)
        self._lock = threading.Lock()
        self._raw = connection
        self._begin = begin
        # The parameters of a failed statement are mails and script output: not for a log.
        self._engine = create_engine(
            "sqlite://", creator=lambda: connection, poolclass=StaticPool, hide_parameters=True
        )
        event.listen(self._engine, "begin", lambda started: started.exec_driver_sql(begin))
        self._connection = self._engine.connect()
        self._gate = threading.Lock()
        self._waiting: list[_Turn[Any]] = []
        self._led = False
        self._expected = 1
        self._gathering: threading.Lock | None = None

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All or nothing: committed at the end of the block, rolled back where it raises.

        Raises:
            StoreError: the database could not do it.
        """
        with self._lock, storage_errors(self.path), self._connection.begin():
            yield self._connection

    def version(self) -> int:
        """Another number than before whenever another connection has committed.

        Raises:
            StoreError: the database cannot be read.
        """
        with self._lock, storage_errors(self.path):
            (number,) = self._raw.execute("PRAGMA data_version").fetchone()
        return int(number)

    def write(self, work: Callable[[sqlite3.Connection], _T]) -> _T:
        """Do some work in a transaction, and return its answer once it is on the disk.

        While one thread commits, the work of others gathers; the next of them does it all, in one transaction and
        with one sync of the disk. Each work stands alone in it: one that raises is undone, and its error is its
        caller's. Where the transaction itself fails, every work in it is undone and every caller gets the error.

        Args:
            work: executes statements, and nothing else; another thread may call it.

        Raises:
            StoreError: the database could not do it; nothing of this work is stored.
            Exception: what `work` raised; nothing of it is stored.
        """
        turn = _Turn(work)
        with self._gate:
            self._waiting.append(turn)
            # Kept, as the turn may be appointed from here on: that is told by its lock alone.
            leads = turn.leads = not self._led
            self._led = True
            if self._gathering is not None and len(self._waiting) >= self._expected:
                self._gathering.release()
                self._gathering = None
        try:
            if not leads:
                turn.woken.acquire()
            if not turn.done:
                self._lead()
        except BaseException:
            self._withdraw(turn)
            raise
        return turn.outcome()

    def compact(self) -> int:
        """Give the disk back what the file holds for nothing, where that is much, the rest is copied soon, and the
        disk has room for the copy: how many bytes. Writing waits meanwhile.

        Raises:
            StoreError: the database could not do it, or another connection writes; nothing has changed.
        """
        with self._lock:
            self._check_file()
            with storage_errors(self.path):
                size, free = (self._pages(name) for name in ("page_count", "freelist_count"))
                if free < _MUCH_FREE or size - free > _SOON_COPIED or not self._has_room(2 * (size - free)):
                    return 0
                # The copy is small, and a container may have no folder for temporary files.
                self._raw.execute("PRAGMA temp_store = MEMORY")
                self._raw.execute("VACUUM")
                # Until then the file itself is as long as it was.
                self._raw.execute("PRAGMA wal_checkpoint").fetchone()
                return size - self._pages("page_count")

    def _has_room(self, needed: int) -> bool:
        """Whether the disk has so many bytes to spare. Where it fills up meanwhile, the log stays as long as it
        became: then there would be even less room."""
        try:
            return shutil.disk_usage(os.path.realpath(self.path)).free >= needed
        except OSError:
            return False

    def _pages(self, name: str) -> int:
        """What a pragma counts in pages, in bytes."""
        (count,), (size,) = (self._raw.execute(f"PRAGMA {one}").fetchone() for one in (name, "page_size"))
        return int(count) * int(size)

    def use_write_ahead_log(self) -> None:
        """Let others read while this connection writes. Stays set in the file.

        Raises:
            StoreError: the mode cannot be changed.
        """
        with self._lock, storage_errors(self.path):
            (mode,) = self._raw.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            logger.warning("%s lies on a file system without shared memory: reading waits for writing", self.path)
            return
        with self.transaction():
            # The first one makes the log where there is none.
            pass
        for suffix in ("-wal", "-shm"):
            # Beside the file that links lead to.
            log = Path(os.path.realpath(self.path) + suffix)
            self._files[log] = identity(log)

    def close(self) -> None:
        """Close the connection; a second call does nothing."""
        with self._lock:
            self._connection.close()
            self._engine.dispose()
            unmark_database(self._marked)
            self._marked = []

    def _lead(self) -> None:
        """Do all the work that waits; then wake those who wait for it, and the next to lead."""
        group: list[_Turn[Any]] = []
        try:
            self._gather()
            with self._gate:
                group, self._waiting = self._waiting, []
            self._commit(group)
        finally:
            for turn in group:
                turn.done = True
                turn.woken.release()
            with self._gate:
                self._expected = len(group) + len(self._waiting)
                self._appoint()

    def _gather(self) -> None:
        """Let those who were there the last time come too, for less time than a sync of the disk takes.

        Without it two threads take turns: each begins a transaction of its own while the other still wakes up.
        A thread that writes alone never waits.
        """
        with self._gate:
            if len(self._waiting) >= self._expected:
                return
            self._gathering = everybody = threading.Lock()
            everybody.acquire()
        everybody.acquire(timeout=_GATHER_SECONDS)
        with self._gate:
            self._gathering = None

    def _appoint(self) -> None:
        """The first who waits leads from now on."""
        self._led = bool(self._waiting)
        if self._waiting:
            self._waiting[0].leads = True
            self._waiting[0].woken.release()

    def _withdraw(self, turn: "_Turn[Any]") -> None:
        """This thread was interrupted while it waited, as by Ctrl-C: its work is not done, if it was not begun."""
        with self._gate:
            if turn in self._waiting:
                self._waiting.remove(turn)
                if turn.leads:
                    self._appoint()

    def _commit(self, group: "list[_Turn[Any]]") -> None:
        with self._lock:
            try:
                self._check_file()
                with storage_errors(self.path):
                    self._raw.execute(self._begin)
                    for turn in group:
                        self._take(turn, company=len(group) > 1)
                    self._raw.execute("COMMIT")
                for turn in group:
                    turn.stored = turn.error is None
            except BaseException as error:
                with suppress(sqlite3.Error):
                    if self._raw.in_transaction:
                        self._raw.execute("ROLLBACK")
                for turn in group:
                    turn.error = turn.error or _own(error, company=len(group) > 1)
                if not isinstance(error, Exception):
                    raise

    def _check_file(self) -> None:
        """SQLite goes on writing to a file that was removed or replaced, and to a log that was: nobody would ever
        see that again.

        Raises:
            StoreError: what is at a path is not the file that was opened.
        """
        for path, file in self._files.items():
            if file is not None and identity(path) != file:
                raise moved_away(path)

    def _take(self, turn: "_Turn[Any]", *, company: bool) -> None:
        """Work in company has a savepoint of its own; the error of a work that is alone ends its transaction."""
        if not company:
            turn.result = turn.work(self._raw)
            return
        self._raw.execute("SAVEPOINT work")
        try:
            with storage_errors(self.path):
                turn.result = turn.work(self._raw)
        except Exception as error:
            turn.error = error
            if not self._raw.in_transaction:
                # SQLite has rolled back everything, the work of the others too.
                raise
            self._raw.execute("ROLLBACK TO work")
        self._raw.execute("RELEASE work")


class _Turn(Generic[_T]):
    """One work that waits for its transaction, and what became of it."""

    __slots__ = ("done", "error", "leads", "result", "stored", "woken", "work")

    def __init__(self, work: Callable[[sqlite3.Connection], _T]) -> None:
        self.work = work
        self.result: _T
        self.error: Exception | None = None
        self.leads = False
        self.done = False
        self.stored = False
        self.woken = threading.Lock()
        self.woken.acquire()

    def outcome(self) -> _T:
        if self.error is not None:
            raise self.error
        if not self.stored:
            raise _interrupted()
        return self.result


def _own(error: BaseException, *, company: bool) -> Exception:
    """An exception of its own for each who meets the same fault: raising one adds to its traceback."""
    if isinstance(error, Exception) and not company:
        return error
    copy = StoreError(error.message, hint=error.hint) if isinstance(error, StoreError) else _interrupted()
    copy.__cause__ = error
    return copy


def _interrupted() -> StoreError:
    return StoreError("The transaction was interrupted", hint="Nothing of it was stored; try again.")
