"""Job files in canonical form, comments kept: what `runner fmt` writes."""
