"""The version, in one place: read by the build, the package and the collections on disk."""

__version__ = "0.1.0"
