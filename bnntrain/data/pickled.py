"""Pickled plain data, read without running anything and without keeping a large array.

Python's own ``Unpickler`` with its lookups restricted would run nothing either, but it builds what
it reads: the 147 MiB of CIFAR-100's pixels, and of protocols without bytes the text that stands for
them, several times that. Here bytes and text that are longer than a name are left where they are:
only their place and form are kept, so that pixels can be read from there, piece by piece.

::

    protocol             how the elements of an array are stored
    0, by Python 2       a line of text with quotes and escapes
    0, by Python 3       a line of text, a character for each byte, some of them escaped
    1 and 2, by Python 2 bytes
    1 and 2, by Python 3 text in UTF-8, a character for each byte
    3, 4, 5              bytes

Source: operations as documented in Python's module ``pickletools``, protocols 0 to 5.
"""

from __future__ import annotations

import io

from bnntrain.data.pickle_bytes import Content, Decoded, Input
from bnntrain.data.pickle_machine import FAULTS, Machine, RefusedError
from bnntrain.data.stream import Section, Stream


def read_pickle(stream: Stream) -> object:
    """Read one pickled value.

    Parameters
    ----------
    stream : Stream
        At its beginning; afterwards somewhere behind the value.

    Returns
    -------
    object
        None, bool, int, float, bytes, str, list, tuple and dict, `Array` and `Blob`.

    Raises
    ------
    DataError
        If the data are no pickle, cut off, or ask for anything but plain data.
    """
    source = Input(stream)
    try:
        return Machine(source).run()
    except RefusedError as error:
        raise stream.error(f"{error}, expected plain data and NumPy arrays") from None
    except FAULTS as error:
        message = str(error) or type(error).__name__
        raise stream.error(f"no valid pickle (byte {source.offset}: {message})") from None


def open_content(stream: Stream, content: Content) -> Stream:
    """Return the bytes of a content as a stream.

    Parameters
    ----------
    stream : Stream
        What the content was found in, at its beginning again.
    content : bytes or Blob
        From what `read_pickle` has returned.

    Raises
    ------
    DataError
        If `stream` ends before the content begins.
    """
    if isinstance(content, bytes):
        return Stream(stream.path, io.BytesIO(content), stream.part, stream.remedy)
    stream.skip(content.offset)
    file = Section(stream, content.nbytes)
    if content.form:
        file = Decoded(file, content.form)
    return Stream(stream.path, file, stream.part, stream.remedy, (ValueError,))
