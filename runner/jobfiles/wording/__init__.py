"""Faults of the schema in plain words: no schema talk, the nearest valid key or value in the hint."""
