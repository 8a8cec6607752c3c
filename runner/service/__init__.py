"""The composition root and the loop: wires the packages together and decides nothing."""
