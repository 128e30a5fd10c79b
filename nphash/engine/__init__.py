"""The compiled training engine, and the NumPy one that defines it."""
