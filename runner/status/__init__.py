"""The read-only HTTP endpoint."""
