"""What a child does with its order: read the input, do the step, write the result. Imported by children alone."""
