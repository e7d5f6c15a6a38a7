"""Pickled plain data, read without running anything and without keeping a large array.

Python's own ``Unpickler``, restricted by ``find_class`` to NumPy's names, would be a tenth of this
code. It is not used, because it builds all that it reads before anybody can look at it. Of
CIFAR-100's training batch, whose pixels are 147 MiB, the process grows at its peak by

=====================================  ===================  =========
written by                             with ``Unpickler``   with this
=====================================  ===================  =========
Python 2, protocol 2 (as published)    298 MiB              8 MiB
Python 3, protocol 2                   372 MiB              9 MiB
Python 3, protocols 4 and 5            152 MiB              9 MiB
=====================================  ===================  =========

which a board of 512 MiB may not have. And what it must be allowed to call does as it is told: 28
bytes that call ``bytes`` with a number are a GiB. Here bytes and text that are longer than a name
are left where they are: only their place and form are kept, so that pixels can be read from there,
piece by piece; of everything else steps and bytes are counted.

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
