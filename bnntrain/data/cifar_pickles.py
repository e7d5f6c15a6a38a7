"""CIFAR's Python batches: pickled dicts of the pixels and the labels.

Labels are a list of integers, or, in batches that were saved again, an array of them.
"""

from __future__ import annotations

import numpy as np

from bnntrain.data.cifar_files import Store
from bnntrain.data.pickle_arrays import Array
from bnntrain.data.pickle_bytes import Blob, Content
from bnntrain.data.pickled import open_content, read_pickle
from bnntrain.data.source import first_outside


def find_arrays(
    store: Store, name: str, label_key: str, image_bytes: int, classes: int
) -> tuple[Content, np.ndarray]:
    """Find the pixels of a batch, and read its labels.

    Parameters
    ----------
    store : Store
        Where the batch lies.
    name : str
        Its name.
    label_key : str
        Key of the labels.
    image_bytes : int
        Of one image.
    classes : int
        Labels must be in 0..classes-1.

    Returns
    -------
    pixels : bytes or Blob
        For `open_content`; as many images as there are labels.
    labels : ndarray of uint16

    Raises
    ------
    DataError
        If it is damaged, or another thing than a batch.
    """
    with store.open(name) as stream:
        found = _by_text(read_pickle(stream))
    if not {"data", label_key} <= found.keys():
        keys = ", ".join(sorted(map(ascii, found))[:8])[:200] or "none"
        message = f"lacks data or {label_key} (found: {keys}), expected a CIFAR batch"
        raise store.error(name, message)
    pixels = found["data"]
    is_array = isinstance(pixels, Array) and pixels.dtype == "u1" and not pixels.fortran_order
    if not is_array or pixels.shape[1:] != (image_bytes,):
        what = pixels if isinstance(pixels, Array) else "no array"
        raise store.error(name, f"data is {what}, expected uint8 [n, {image_bytes}]")
    count, content = pixels.shape[0], pixels.content
    if count < 1:
        raise store.error(name, f"holds {count} images, expected at least 1")
    nbytes = _size(content)
    if nbytes is not None and nbytes != count * image_bytes:
        raise store.error(name, f"holds {nbytes} bytes of pixels for {count} images")
    return content, _labels(store, name, label_key, found[label_key], count, classes)


def _by_text(contents: object) -> dict[str, object]:
    """Return a dict by its keys as text, as Python 2 wrote them as bytes; empty if it is none."""
    if not isinstance(contents, dict):
        return {}
    return {
        key.decode("latin-1") if isinstance(key, bytes) else str(key): value
        for key, value in contents.items()
    }


def _size(content: Content) -> int | None:
    """Return the bytes of a content, None where text stands for them."""
    if isinstance(content, Blob):
        return None if content.form else content.nbytes
    return len(content)


def _labels(
    store: Store, name: str, key: str, found: object, count: int, classes: int
) -> np.ndarray:
    """Return labels as they are checked."""
    is_whole = isinstance(found, Array) and found.dtype[:1] in ("i", "u")
    if isinstance(found, list):
        is_whole = all(type(label) is int for label in found)
    if not is_whole or (isinstance(found, Array) and len(found.shape) != 1):
        raise store.error(name, f"{key} is no list of integers")
    labelled = found.shape[0] if isinstance(found, Array) else len(found)
    if labelled != count:
        raise store.error(name, f"holds {labelled} labels, expected {count}, one per image")
    if isinstance(found, Array):
        found = _elements(store, name, key, found)
    # Python's integers have any size.
    labels = np.array([label if 0 <= label < classes else -1 for label in found], np.int64)
    wrong = first_outside(labels, classes)
    if wrong is not None:
        raise store.error(name, out_of_range(found[wrong], wrong, classes))
    return labels.astype(np.uint16)


def _elements(store: Store, name: str, key: str, array: Array) -> list[int]:
    """Return the elements of an array of integers."""
    try:
        dtype = np.dtype(array.order + array.dtype)
    except (TypeError, ValueError):
        raise store.error(name, f"{key} is {array}") from None
    count = array.shape[0]
    nbytes = _size(array.content)
    if nbytes is not None and nbytes != count * dtype.itemsize:
        raise store.error(name, f"holds {nbytes} bytes of labels for {count} images")
    elements = np.empty(count, dtype)
    with store.open(name) as stream:
        source = open_content(stream, array.content)
        source.expected = elements.nbytes
        source.read_into(memoryview(elements.view(np.uint8)))
        source.finish()
    return elements.tolist()


def out_of_range(label: int, number: int, classes: int) -> str:
    """Return the message about a label that is no class."""
    return f"label {label} of image {number} is out of range, expected 0 to {classes - 1}"
