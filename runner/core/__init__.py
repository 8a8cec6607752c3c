"""Pure values and decisions: no files, clock, environment, randomness, threads, logging or network."""
