"""The equations: operations, losses, samples, schedules and Adam, in NumPy and SciPy alone."""
