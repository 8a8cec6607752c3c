"""What git knows of job files: the only place that runs git."""
