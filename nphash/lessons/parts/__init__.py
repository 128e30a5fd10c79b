"""References and typical mistakes of the exercises, two or three exercises a file."""
