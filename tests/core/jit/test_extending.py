"""The typed forms of Numba's decorators do what the untyped ones do."""

from numba import types

from nphash.core.jit._extending import intrinsic, overload
from nphash.core.jit._jit import jit


def three():
    return 3


@intrinsic
def emitted_three(typing):
    def emit(context, builder, signature, args):
        return context.get_constant(types.int64, 3)

    return types.int64(), emit


@overload(three)
def compiled_three():
    return lambda: emitted_three()


@jit()
def four():
    return three() + 1


def test_compiled_code_uses_the_overload_and_plain_code_the_function():
    assert four() == 4 and three() == 3
