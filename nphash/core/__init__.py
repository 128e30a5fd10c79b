"""What every other room stands on: arguments, files, threads, compiled functions."""
