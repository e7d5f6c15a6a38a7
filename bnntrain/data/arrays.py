"""What arrays of images and labels may be: one rule for .npz, .npy and arrays in Python.

Pixels are uint8, 0 to 255; nothing else is converted, because the range of other types would have
to be guessed. Channels come last. An array [n, a, height, width] with few planes ``a`` and many
columns is how other programs put channels first, and is refused: read as it stands it would be
images of very many channels, and turning it round unasked would spoil whatever is really of that
shape. (Signals of many channels can always be told apart as [n, length, 1, channels].)

Classes are numbered from 0 without gaps, so that no output of a network stands for nothing.
"""

from __future__ import annotations

import numpy as np

from bnntrain.data.source import LARGEST_CLASSES, LEAST_CLASSES, Shape

MOST_PLANES = 4
"""Channels that a picture has at most: red, green, blue and transparency."""

RENUMBER = "number the classes that occur, y = numpy.searchsorted(numpy.unique(y_train), y)"
"""Works for both parts, and for names."""

_FLOATS = (
    "save pixels as 0 to 255, (x * 255).round().astype('uint8') if they are 0 to 1, "
    "x.round().astype('uint8') if they are 0 to 255 already"
)
_INTEGERS = (
    "convert with x.astype('uint8') if all are 0 to 255, scale them first if not, 16 bits with "
    "(x // 256).astype('uint8')"
)
_INT8 = (
    "convert with (x.astype('int16') + 128).astype('uint8') if they are -128 to 127, "
    "x.astype('uint8') if none is negative"
)
_BOOLEANS = "convert with x.astype('uint8') * 255"


class ArrayFaultError(ValueError):
    """What is wrong with an array and what to do, without the name of a file."""


def check_plain_type(dtype: np.dtype) -> None:
    """Check that an array holds plain numbers or texts.

    Raises
    ------
    ArrayFaultError
        If it holds Python objects, which are never unpickled, or records.
    """
    if dtype.kind in "OV":
        kind = "object" if dtype.kind == "O" else "record"
        raise ArrayFaultError(
            f"array of type {kind} is refused, expected plain numbers "
            "(Python objects are never unpickled): save a plain array, pixels as uint8"
        )


def check_pixel_type(dtype: np.dtype) -> None:
    """Check that pixels are uint8.

    Raises
    ------
    ArrayFaultError
        If they are not; the remedy is the right one for their type.
    """
    if dtype == np.uint8:
        return
    if dtype == np.int8:
        remedy = _INT8
    else:
        remedy = {"b": _BOOLEANS, "i": _INTEGERS, "u": _INTEGERS, "f": _FLOATS}.get(
            dtype.kind, "save pixels as 0 to 255"
        )
    raise ArrayFaultError(f"images of type {dtype}, expected uint8: {remedy}")


def has_channels_first(shape: tuple[int, ...]) -> bool:
    """Whether the sizes of one image look like channels, height, width."""
    return len(shape) == 3 and shape[0] <= MOST_PLANES < shape[2]


def image_shape(shape: tuple[int, ...]) -> Shape:
    """Return height, width and channels of the images of an array.

    Parameters
    ----------
    shape : tuple of int
        Of the array: [n, height, width], [n, height, width, channels] or [n, features].

    Raises
    ------
    ArrayFaultError
        If it is none of them, or has its channels first.
    """
    if len(shape) not in (2, 3, 4):
        raise ArrayFaultError(
            f"images of shape {shape}, expected (N, height, width), (N, height, width, channels) "
            "or (N, features)"
        )
    if has_channels_first(shape[1:]):
        raise _channels_first(shape)
    # Features without a picture are one row of one channel.
    return {2: (1, *shape[1:], 1), 3: (*shape[1:], 1), 4: shape[1:]}[len(shape)]


def as_samples(images: np.ndarray, shape: Shape) -> np.ndarray:
    """Return images as a network takes them.

    Parameters
    ----------
    images : ndarray of uint8
        [n, height, width, channels], [n, height, width] where there is one channel, or
        [n, height * width * channels].
    shape : tuple of int
        Height, width, channels of the network.

    Returns
    -------
    ndarray of uint8 [n, height, width, channels]

    Raises
    ------
    ArrayFaultError
        If they are of another type or shape.
    """
    check_pixel_type(images.dtype)
    height, width, channels = shape
    taken = [shape, (height * width * channels,)]
    if channels == 1:
        taken.append(shape[:2])
    if images.shape[1:] in taken:
        return images.reshape(len(images), *shape)
    if images.shape[1:] == (channels, height, width):
        raise _channels_first(images.shape)
    size = "x".join(map(str, shape))
    raise ArrayFaultError(f"images of shape {images.shape}, but the network takes [n, {size}]")


def image_stack(images: np.ndarray, shape: Shape) -> np.ndarray:
    """Return images of any size, one or many, grey or in colour, as one kind of stack.

    Parameters
    ----------
    images : ndarray of uint8
        [height, width], [height, width, channels], [n, height, width] or
        [n, height, width, channels].
    shape : tuple of int
        Height, width, channels of the network: what three sizes mean is decided by it where it can
        be, else by which of them may be channels.

    Returns
    -------
    ndarray of uint8 [n, height, width, channels]
        Channels are 1, 3 or the network's.

    Raises
    ------
    ArrayFaultError
        If they are of another type or shape, or their channels come first: three planes for a
        network in colour are refused, whether they are one picture or three grey ones.
    """
    check_pixel_type(images.dtype)
    given = images.shape
    if len(given) == 2 or (len(given) == 3 and _is_one(given, shape)):
        images = images[np.newaxis]
    elif len(given) == 3 and given[0] == shape[2] == 3:
        raise ArrayFaultError(
            f"images of shape {given} are one picture with channels first or three grey ones: save "
            "the one with numpy.moveaxis(x, 0, -1), the three as x[..., None]"
        )
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim == 4 and images.size and images.shape[3] in (1, 3, shape[2]):
        return images
    if images.ndim == 4 and has_channels_first(images.shape[1:]):
        raise _channels_first(given)
    size = ", ".join(map(str, shape))
    raise ArrayFaultError(f"images of shape {given}, expected one picture or a stack, [n, {size}]")


def _is_one(given: tuple[int, ...], shape: Shape) -> bool:
    """Whether three sizes are those of one image with channels, not of a grey stack."""
    return given == shape or (given[1:] != shape[:2] and given[2] in (1, 3))


def check_label_type(shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Check that labels are integers, one for each image.

    Raises
    ------
    ArrayFaultError
        If they are not.
    """
    if len(shape) == 2 and shape[1] > 1:
        raise ArrayFaultError(
            f"labels of shape {shape}, expected (N,): turn one-hot rows into numbers, y.argmax(1)"
        )
    if len(shape) not in (1, 2) or shape[1:] not in ((), (1,)):
        raise ArrayFaultError(f"labels of shape {shape}, expected (N,)")
    if dtype.kind not in "iu":
        remedy = f"number the classes from 0 to {LARGEST_CLASSES - 1}"
        if dtype.kind in "bf":
            remedy = "convert with y.astype('int64')"
        elif dtype.kind in "SU":
            remedy = RENUMBER
        raise ArrayFaultError(f"labels of type {dtype}, expected integers: {remedy}")


def check_every_class(counts: np.ndarray, classes: list[str] | None) -> None:
    """Check that every class has an image to train on.

    Parameters
    ----------
    counts : ndarray of int, (at least as many as there are classes,)
        Training images by label, at least one in all.
    classes : list of str or None
        Names of the classes, None where the labels alone say which there are.

    Raises
    ------
    ArrayFaultError
        If a class has none, or there is one class only.
    """
    present = np.flatnonzero(counts)
    lowest, highest = int(present[0]), int(present[-1])
    absent = np.flatnonzero(counts[: len(classes) if classes else highest + 1] == 0)
    if not absent.size:
        if len(present) < LEAST_CLASSES:
            raise ArrayFaultError(
                f"all images are of class {classes[lowest] if classes else lowest}, and a data "
                f"set needs {LEAST_CLASSES} classes at least: add images of others"
            )
        return
    if classes:
        names = _some([classes[label] for label in absent])
        raise ArrayFaultError(f"no image of class {names}: add some, or leave the name out")
    if len(present) == highest - lowest + 1:
        raise ArrayFaultError(
            f"labels are {lowest} to {highest}, expected to count from 0: subtract {lowest} in "
            "both parts"
        )
    raise ArrayFaultError(
        f"no image has label {_some(list(map(str, absent)))}, but labels go up to {highest}: add "
        f"some, or {RENUMBER}"
    )


def _channels_first(shape: tuple[int, ...]) -> ArrayFaultError:
    return ArrayFaultError(
        f"images of shape {shape} have their channels first, expected (N, height, width, "
        "channels): save numpy.moveaxis(x, 1, -1)"
    )


def _some(names: list[str]) -> str:
    """Name the first few."""
    text = ", ".join(names[:5])
    return text if len(names) <= 5 else f"{text}, ... ({len(names)})"
