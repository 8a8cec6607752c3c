"""The stored jobs of the REST service → job files: what `runner import` does."""
