"""Quick hashers for collections."""

from helpers.collecting import methods_of_tests

__all__ = ["methods_of_tests"]
