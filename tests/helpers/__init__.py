"""What several test files share; a folder on the path of pytest, not a part of the package."""
