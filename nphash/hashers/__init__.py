"""The systems: one file each, all with the contract of `Hasher`."""

from nphash.hashers.base import Hasher
from nphash.hashers.heads import Labels
from nphash.hashers.methods import METHODS, create, describe, find, method_of
from nphash.hashers.persistence import load, save
from nphash.hashers.settings import Similarity
from nphash.hashers.training import Progress, Training

__all__ = [
    "METHODS",
    "Hasher",
    "Labels",
    "Progress",
    "Similarity",
    "Training",
    "create",
    "describe",
    "find",
    "load",
    "method_of",
    "save",
]
