"""Run history, schedule cursors and outbox: the one database."""

from runner.store.cursor import Cursor
from runner.store.reader import StoreReader
from runner.store.store import Store, service_running

__all__ = ["Cursor", "Store", "StoreReader", "service_running"]
