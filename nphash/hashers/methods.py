"""The systems by name: a class is imported when it is asked for."""

from __future__ import annotations

from importlib import import_module

from nphash.errors import InputError
from nphash.hashers.base import Hasher

METHODS = {
    "nphash": "nphash.hashers.nphash:NpHash",
    "doc2hash": "nphash.hashers.doc2hash:Doc2Hash",
    "doc2hash-s": "nphash.hashers.doc2hash:Doc2HashS",
    "nash": "nphash.hashers.nash:Nash",
    "nash-n": "nphash.hashers.nash:NashN",
    "nash-dn": "nphash.hashers.nash:NashDN",
    "nash-dn-s": "nphash.hashers.nash:NashDNS",
    "vdsh": "nphash.hashers.vdsh:Vdsh",
    "vdsh-s": "nphash.hashers.vdsh:VdshS",
    "vdsh-sp": "nphash.hashers.vdsh:VdshSP",
    "ammi": "nphash.hashers.ammi:AMMI",
    "itq": "nphash.hashers.itq:ITQ",
    "sth": "nphash.hashers.sth:SelfTaughtHashing",
    "sph": "nphash.hashers.sph:SpectralHashing",
    "s-rbm": "nphash.hashers.srbm:StackedRBM",
    "lsh": "nphash.hashers.lsh:LSH",
    "ksh": "nphash.hashers.ksh:KSH",
    "shttm": "nphash.hashers.shttm:SHTTM",
}


def find(method: str) -> type[Hasher]:
    """Return the class of a method by its name.

    Raises
    ------
    InputError
        For an unknown name; lists those there are.

    Examples
    --------
    >>> find("doc2hash").__name__
    'Doc2Hash'
    """
    if method not in METHODS:
        raise InputError(f"there is no method {method!r}", f"choose one of {', '.join(METHODS)}")
    module, _, name = METHODS[method].partition(":")
    cls: type[Hasher] = getattr(import_module(module), name)
    return cls


def create(method: str, **params: object) -> Hasher:
    """Return a new hasher by its method's name.

    Raises
    ------
    InputError
        For an unknown method or parameter; lists those there are.

    Examples
    --------
    >>> create("doc2hash", n_bits=16, training__epochs=5).training.epochs
    5
    """
    hasher: Hasher = find(method)().set_params(**params)
    return hasher


def method_of(hasher: Hasher) -> str:
    """Return the name under which `find` knows a hasher's class.

    Raises
    ------
    InputError
        If the class is not one of nphash's.
    """
    cls = type(hasher)
    home = f"{cls.__module__}:{cls.__qualname__}"
    for name, known in METHODS.items():
        if known == home:
            return name
    raise InputError(f"{home} is not among nphash's methods", "only those can be saved")


def describe(method: str) -> str:
    """Return a method in one line: the first sentence of its class.

    Examples
    --------
    >>> describe("doc2hash")
    'Unsupervised Doc2hash.'
    """
    return (find(method).__doc__ or "").strip().partition("\n")[0]  # there is none with python -OO
