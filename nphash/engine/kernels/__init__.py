"""Kernels of a training step."""
