"""Headers of .npy files: what NumPy writes is read, and text of any kind is at worst an error."""

import contextlib
import io
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from bnntrain.data.npy import Header, read_header


def header(text, version=1):
    form = "<H" if version == 1 else "<I"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack(form, len(text)) + text


@given(
    array=arrays.arrays(
        arrays.scalar_dtypes() | arrays.unicode_string_dtypes() | arrays.byte_string_dtypes(),
        arrays.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=3),
    ),
    version=st.sampled_from([(1, 0), (2, 0), (3, 0)]), fortran=st.booleans(),
)  # fmt: skip
def test_what_numpy_writes(array, version, fortran):
    array = np.asarray(array, order="F" if fortran else "C")
    file = io.BytesIO()
    np.lib.format.write_array(file, array, version)
    size = len(file.getvalue())
    file.seek(0)
    order = array.flags.f_contiguous and not array.flags.c_contiguous
    found = read_header(file)
    assert found == Header(array.shape, array.dtype, order)
    assert found.nbytes == array.nbytes == size - file.tell()


@pytest.mark.parametrize(
    "text",
    [
        b"{'descr': '|u1', 'fortran_order': False, 'shape': (60000L, 28L), }",
        b"{'shape':(60000,28),'fortran_order':False,'descr':'|u1'}\n",
        b"  {u'descr': u'u1', u'shape': (60000, 28,), u'fortran_order': False}",
    ],
)
def test_what_other_programs_write(text):
    assert read_header(io.BytesIO(header(text))) == Header((60000, 28), np.dtype("u1"), False)


GOOD = b"{'descr': '<u2', 'fortran_order': False, 'shape': (600, 28, 28), }   \n"


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "cut off"),
        (b"P6 100 100", "it does not begin with"),
        (header(GOOD)[:40], "cut off"),
        (header(GOOD, 9), "version 9.0, expected 1.0, 2.0 or 3.0"),
        (header(b" " * 10_001), "of 10001 bytes, expected at most 10000"),
        (b"\x93NUMPY\2\0" + b"\xff" * 4, "of 4294967295 bytes"),
        (header(b"(" * 9000), "no Python literal"),
        (header(b"-" * 9000 + b"1"), "no Python literal"),
        (header(b"{'descr': ("), "no Python literal"),
        (header(b"open('harmed', 'w')"), "no Python literal"),
        (header(b"{'\\d': 1}"), "expected the keys"),
        (header(GOOD.replace(b"28, 28", b"-28, 28")), "shape (600, -28, 28)"),
        (header(GOOD.replace(b"28, 28", b"True")), "shape (600, True)"),
        (header(GOOD.replace(b"28, 28", b"9" * 4000)), "shape (600, 999"),
        (header(GOOD.replace(b"28, 28", b"1, " * 40)), "41 dimensions"),
        (header(GOOD.replace(b"False", b"0")), "fortran_order 0"),
        (header(GOOD.replace(b"<u2", b"<u999")), "type '<u999'"),
        (header(GOOD.replace(b"<u2", b"u1,u1")), "type 'u1,u1'"),
        (header(GOOD.replace(b"<u2", b"M8[ages]")), "type 'M8[ages]'"),
    ],
)
@pytest.mark.filterwarnings("error")
def test_faults(contents, message):
    with pytest.raises(ValueError) as caught:  # noqa: PT011
        read_header(io.BytesIO(contents))
    assert message in str(caught.value)


@settings(max_examples=300)
@given(data=st.data())
@pytest.mark.filterwarnings("error")
def test_damage_is_an_error_or_harmless(data):
    contents = bytearray(header(GOOD))
    bytes_ = st.integers(0, 255) | st.sampled_from(list(b"()[]{}'\",:019<>|-+*uifOUSVL\\\n "))
    places = st.tuples(st.integers(0, len(contents) - 1), bytes_)
    for place, byte in data.draw(st.lists(places, max_size=4)):
        contents[place] = byte
    with contextlib.suppress(ValueError):
        assert all(size >= 0 for size in read_header(io.BytesIO(bytes(contents))).shape)
