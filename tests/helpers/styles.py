"""Ways to write a right answer: each style takes a solution's function and returns it written otherwise."""

import functools
import sys
import warnings

import numpy as np

__all__ = ["STYLES"]


def each(value, change):
    """A value, or all values of a tuple, list or dictionary, changed."""
    if isinstance(value, dict):
        return {name: each(item, change) for name, item in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(each(item, change) for item in value)
    return change(value)


def differentiable(result):
    return isinstance(result, tuple) and len(result) == 2 and callable(result[1])


def values(change):
    """The style that changes what is returned, and leaves the way back."""

    def style(f):
        def g(*args):
            result = f(*args)
            return (each(result[0], change), result[1]) if differentiable(result) else each(result, change)

        return g

    return style


def gradients(change):
    """The style that changes what the way back returns."""

    def style(f):
        def g(*args):
            result = f(*args)
            return (result[0], lambda up: change(result[1](up))) if differentiable(result) else result

        return g

    return style


def floats(change):
    return lambda x: change(x) if np.asarray(x).dtype.kind == "f" else x


def whole(x):
    x = np.asarray(x)
    return x.astype(int) if x.dtype.kind == "f" and (x == np.round(x)).all() and x.ndim else x


class Object:
    def __init__(self, f):
        self.f = f

    def __call__(self, *args):
        result = self.f(*args)
        if not differentiable(result):
            return result
        self.out, self.way = result
        return self.out, self.back

    def back(self, up):
        return self.way(up)


def fresh_object(f):
    return lambda *args: Object(f)(*args)


def pair_as_list(f):
    def g(*args):
        result = f(*args)
        return list(result) if differentiable(result) else result

    return g


def with_defaults(f):
    def g(*args, verbose=False, dtype=float):
        return f(*args)

    return g


def talking(f):
    def g(*args):
        sys.stdout.write("here\n")
        warnings.warn("careful", stacklevel=1)
        return f(*args)

    return g


def read_only(x):
    x = np.array(x)
    x.flags.writeable = False
    return x


def columns(x):
    return np.asfortranarray(x) if np.ndim(x) else x


def spread(x):
    return np.repeat(np.asarray(x), 2, axis=0)[::2] if np.ndim(x) else x


def one_or_many(change):
    return lambda grads: each(grads, change)


STYLES = {
    "lists": values(lambda x: np.asarray(x).tolist()),
    "tuples": values(lambda x: tuple(map(tuple, x)) if np.ndim(x) == 2 else tuple(x) if np.ndim(x) else x),
    "rows": values(lambda x: list(x) if np.ndim(x) else x),
    "single precision": values(floats(lambda x: np.asarray(x, dtype=np.float32))),
    "arrays of no dimension": values(np.asarray),
    "numbers of NumPy": values(lambda x: np.asarray(x)[()]),
    "numbers of Python": values(lambda x: np.asarray(x).item() if np.ndim(x) == 0 else x),
    "whole numbers": values(whole),
    "column by column": values(columns),
    "not side by side": values(spread),
    "read-only": values(read_only),
    "[out, back]": pair_as_list,
    "gradients in a list": gradients(lambda g: list(g) if isinstance(g, tuple) else g),
    "gradients as lists": gradients(one_or_many(lambda x: np.asarray(x).tolist())),
    "gradients in single precision": gradients(one_or_many(lambda x: np.asarray(x, dtype=np.float32))),
    "gradients column by column": gradients(one_or_many(columns)),
    "an object": fresh_object,
    "a partial function": lambda f: functools.partial(f),
    "more arguments": with_defaults,
    "other names": lambda f: lambda *args: f(*args),
    "talking": talking,
}
