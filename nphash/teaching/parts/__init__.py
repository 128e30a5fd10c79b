"""References and typical mistakes of the exercises, one to three exercises a file."""
