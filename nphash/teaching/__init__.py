"""Lessons, exercises and their grading, the study of gradient estimators."""
