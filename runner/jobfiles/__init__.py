"""Text → Job: read, parse, check against the schema, lint, load a folder, watch it."""
