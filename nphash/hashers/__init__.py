"""The systems: one file each, all with the contract of `Hasher`. Their classes load on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nphash.core.lazy_imports import on_first_use
from nphash.hashers.base import Hasher
from nphash.hashers.methods import METHODS, create, describe, find, method_of
from nphash.hashers.persistence import load, save
from nphash.hashers.training.settings import ClassifierSettings, NeighbourSettings, Training
from nphash.hashers.training.trainer import Progress

if TYPE_CHECKING:
    from nphash.hashers.ammi import AMMI
    from nphash.hashers.doc2hash import Doc2Hash, Doc2HashS
    from nphash.hashers.itq import ITQ
    from nphash.hashers.ksh import KSH
    from nphash.hashers.lsh import LSH
    from nphash.hashers.nash import Nash, NashDN, NashDNS, NashN
    from nphash.hashers.nphash import NpHash
    from nphash.hashers.shttm import SHTTM
    from nphash.hashers.sph import SpectralHashing
    from nphash.hashers.srbm import StackedRBM
    from nphash.hashers.sth import SelfTaughtHashing
    from nphash.hashers.vdsh import Vdsh, VdshS, VdshSP

__all__ = [
    "AMMI", "ITQ", "KSH", "LSH", "METHODS", "SHTTM", "ClassifierSettings", "Doc2Hash", "Doc2HashS",
    "Hasher", "Nash", "NashDN", "NashDNS", "NashN", "NeighbourSettings", "NpHash", "Progress",
    "SelfTaughtHashing", "SpectralHashing", "StackedRBM", "Training", "Vdsh", "VdshS", "VdshSP",
    "create", "describe", "find", "load", "method_of", "save",
]  # fmt: skip

__getattr__ = on_first_use(
    "nphash.hashers", {name: module for module, name in (home.split(":") for home in METHODS.values())}
)


def __dir__() -> list[str]:
    return sorted(__all__)
