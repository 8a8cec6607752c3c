"""A DataSource → a file in the run's folder."""
