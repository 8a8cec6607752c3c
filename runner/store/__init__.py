"""Run history, schedule cursors and outbox: the one database."""
