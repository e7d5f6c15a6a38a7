"""Nothing that a run calls itself can become markup."""

from __future__ import annotations

from html.parser import HTMLParser
from xml.etree import ElementTree

from hypothesis import example, given
from hypothesis import strategies as st

from bnntrain.page.markup import Markup, coordinate, escape, join, tag

TEXT = st.text(st.characters(codec=None))


@given(TEXT, TEXT)
@example("a\r\nb", "\r\n")
def test_any_text_comes_out_as_text(content, title):
    written = tag("p", content, title=title)
    element = ElementTree.fromstring(written.encode("utf-8").decode("utf-8"))
    assert len(element) == 0

    class Reader(HTMLParser):
        words = ""

        def handle_data(self, data):
            self.words += data

    reader = Reader()
    reader.feed(written)
    reader.close()
    for seen, given_ in ((reader.words, content), (element.attrib["title"], title)):
        assert len(seen) == len(given_)
        for a, b in zip(seen, given_, strict=True):
            # What XML does not allow is replaced; XML folds white space in attributes.
            assert a in (b, "\ufffd") or (a.isspace() and b.isspace())


def test_markup_is_not_escaped_twice():
    inner = tag("b", "a & b")
    assert tag("p", inner, " < c") == "<p><b>a &amp; b</b> &lt; c</p>"
    assert escape(inner) is inner
    assert isinstance(join([inner, "x"]), Markup)


def test_attributes():
    assert tag("g", class_="a", stroke_width=1.0, x=None) == '<g class="a" stroke-width="1"></g>'
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'


@given(st.floats(-1e6, 1e6))
def test_coordinates_are_short_and_near(value):
    text = coordinate(value)
    assert abs(float(text) - value) <= 0.00501
    assert text != "-0"
    assert "e" not in text
