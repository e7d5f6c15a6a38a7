"""Buffers of residual networks' steps that do not fit are refused by name."""

from __future__ import annotations

import numpy as np
import pytest
from harness import make_config
from residual_kit import METHODS, half, layers_of, program_of, same

from bnntrain import kernels


def bound(method, kind, **cells):
    """Return the keyword arguments that the program binds steps of a kind with."""
    found, real = [], getattr(kernels, kind)

    def recording(**arguments):
        found.append(arguments)
        return real(**arguments)

    layers = layers_of({"channels": 5}, same(5), half(66), same(66), relu=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, kind, recording)
        program_of(make_config(layers, method, 4, **cells), (6, 8, 3))
    return real, found


def refused(make, arguments, name, damaged, pattern):
    """Assert that a step with one buffer replaced is refused, with its name in front."""
    arrays = arguments["arrays"] | {name: damaged}
    with pytest.raises(ValueError, match=f"^{name}: {pattern}"):
        make(**arguments | {"arrays": arrays})


def arrays_of(arguments, *starts):
    """List the buffers that a step has, of names that begin in some way."""
    return [
        (name, array) for name, array in arguments["arrays"].items()
        if array is not None and name.startswith(starts)
    ]  # fmt: skip


KINDS = {"RealConv": ("",), "Head": ("",), "Conv": ("stream_", "dX_scale")}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_buffers_of_another_type_or_shape(kind, method):
    make, steps = bound(method, kind)
    for arguments in steps:
        arrays = arrays_of(arguments, *KINDS[kind])
        assert arrays
        for name, array in arrays:
            refused(make, arguments, name, array.astype(np.complex64), "expected .*complex64")
            refused(make, arguments, name, array[:-1].copy(), "expected .*got")
            wider = np.zeros((*array.shape[:-1], array.shape[-1] + 1), array.dtype)
            refused(make, arguments, name, wider, "expected .*got")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_buffers_that_are_missing(kind, method):
    make, steps = bound(method, kind)
    for arguments in steps:
        for name, _ in arrays_of(arguments, *KINDS[kind]):
            if "gamma" not in name:  # the published norm has none
                refused(make, arguments, name, None, "missing")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("kind", KINDS)
def test_scratch_that_is_too_small(kind, method):
    make, steps = bound(method, kind)
    for arguments in steps:
        with pytest.raises(ValueError, match=r"^scratch: expected \d+ bytes a thread, got 64"):
            make(**arguments | {"scratch": arguments["scratch"][:, :64].copy()})


def test_an_int16_stream_is_added_to_in_place():
    make, steps = bound("efficient", "Conv")
    other = steps[0]["arrays"]["stream_addend"].copy()
    refused(make, steps[0], "stream_addend", other, "an int16 stream is added to in place")
