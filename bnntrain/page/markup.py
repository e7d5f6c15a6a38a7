"""Writing HTML and SVG: every text is escaped, every element is closed."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

# Not allowed in XML at all, or not in UTF-8; an HTML parser replaces the former as well.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_VOID = {"meta", "br"}


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def escape(text: object) -> Markup:
    """Make a text safe as content and within quotes."""
    if isinstance(text, Markup):
        return text
    # Parsers of both make one line end of \r\n, unless it is written as a reference.
    return Markup(html.escape(_FORBIDDEN.sub("\ufffd", str(text))).replace("\r", "&#13;"))


def join(parts: Iterable[object]) -> Markup:
    """Put parts behind each other; what is not markup is escaped."""
    return Markup("".join(escape(part) for part in parts))


def coordinate(value: float) -> str:
    """Write a number with at most two decimals."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _plain(value: object) -> object:
    return coordinate(value) if isinstance(value, float) else value


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """Write an element.

    Parameters
    ----------
    name : str
        Of the element.
    *children : object
        Content; what is no `Markup` is escaped. None is left out.
    **attributes : object
        ``class_`` becomes ``class``, other underscores hyphens; numbers keep two decimals; None
        leaves one out.
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_plain(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{given}>")
    content = join(child for child in children if child is not None)
    return Markup(f"<{name}{given}>{content}</{name}>")
