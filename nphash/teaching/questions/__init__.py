"""Functions that the exercises ask for: references, arguments, typical mistakes and advice."""
