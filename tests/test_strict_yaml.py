"""The strict YAML: what is text and what is not, refusals, and its writer as its inverse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnntrain.config.strict_yaml import dump_yaml, parse_yaml
from bnntrain.errors import ConfigError

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
    | st.from_regex(r"\A[-+]?[0-9.eE_:x+-]{1,6}\Z"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(values=st.dictionaries(st.text(), PLAIN, max_size=4))
def test_yaml_writer_and_reader_are_inverse(values):
    again = parse_yaml(dump_yaml(values), "file")
    assert again == values
    assert repr(again) == repr(values)  # 1, 1.0 and True are equal, and not the same


@given(number=st.floats(-1e300, 1e300), digits=st.integers(0, 17))
def test_every_notation_of_a_float_is_a_float(number, digits):
    for text in (repr(number), f"{number:.{digits}e}", f"{number:+.{digits}E}"):
        value = parse_yaml(text, "file")
        assert isinstance(value, float) or "." not in text
        assert value == float(text)


@given(number=st.integers(0, 10**9), zeros=st.integers(1, 3), sign=st.sampled_from(["", "-", "+"]))
def test_leading_zeros_are_refused_and_the_plain_number_named(number, zeros, sign):
    with pytest.raises(ConfigError, match="leading zero") as caught:
        parse_yaml(f"a: {sign}{'0' * zeros}{number}", "file")
    assert f"Write {sign}{number}, or" in str(caught.value)


@given(
    keys=st.lists(st.from_regex(r"\A[a-z]{1,5}\Z"), min_size=1, max_size=5, unique=True),
    data=st.data(),
)
def test_duplicate_keys_are_refused_at_any_depth(keys, data):
    twice = data.draw(st.sampled_from(keys))
    depth = data.draw(st.integers(0, 3))
    lines = [f"'{key}': 1" for key in [*keys, twice]]
    for level in range(depth):
        lines = [f"level{level}:", *("  " + line for line in lines)]
    with pytest.raises(ConfigError) as caught:
        parse_yaml("\n".join(lines), "file")
    assert str(caught.value).startswith(f"file:{len(lines)}: ")
    assert f"first given in line {depth + 1 + keys.index(twice)}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3), ("-1.5E+2", -150.0), (".5", 0.5), ("1.", 1.0), ("0", 0), ("-0.5", -0.5),
        ("true", True), ("True", "True"), ("yes", "yes"), ("off", "off"), ("null", None),
        ("", None),
        ("1_000", "1_000"), ("0x1f", "0x1f"), ("1:30", "1:30"), ("2020-01-01", "2020-01-01"),
        ("'012'", "012"), (".inf", ".inf"), ("=", "="),
        ("{a: &x {b: 1}, c: *x}", {"a": {"b": 1}, "c": {"b": 1}}),
        ("{a: &x {b: 1, d: 2}, c: {<<: *x, b: 3}}", {"a": {"b": 1, "d": 2}, "c": {"b": 3, "d": 2}}),
    ],
)  # fmt: skip
def test_scalars_are_read_as_documented(text, value):
    assert repr(parse_yaml(text, "file")) == repr(value)
