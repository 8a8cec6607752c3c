"""A job's own tests: what is given to its step, what must come out, and how the two are told apart."""
