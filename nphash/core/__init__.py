"""Ground floor: arguments, files, threads, types, compiled functions."""
