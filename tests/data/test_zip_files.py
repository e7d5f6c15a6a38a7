"""Directories of .zip files, against Python's own reader of them."""

import io
import zipfile

import pytest
from data_makers import raw_zip, unicode_path
from hypothesis import given, settings
from hypothesis import strategies as st

from bnntrain.zip_files import Entry, ZipError, read_directory, read_entry

LIMIT = 1 << 20
NAMES = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), min_size=1)


def contents_of(archive):
    """Return name and contents of all entries, as this package reads them."""
    file = io.BytesIO(archive)
    return [(entry.name, read_entry(file, entry, LIMIT)) for entry in list(read_directory(file))]


def made(files, compression=zipfile.ZIP_STORED, comment=b"", large=False):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.comment = comment
        for name, contents in files:
            with archive.open(name, "w", force_zip64=large) as member:
                member.write(contents)
    return buffer.getvalue()


@settings(max_examples=100)
@given(
    files=st.dictionaries(NAMES, st.binary(max_size=300), max_size=8),
    # Python's reader takes the mark of the end in a comment for the end.
    comment=st.binary().map(lambda text: text.replace(b"P", b"")),
    compression=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]), large=st.booleans(),
    before=st.binary(max_size=40),
)  # fmt: skip
def test_against_zipfile(files, comment, compression, large, before):
    archive = before + made(files.items(), compression, comment, large)
    with zipfile.ZipFile(io.BytesIO(archive)) as reference:
        expected = [(each.orig_filename, reference.read(each)) for each in reference.infolist()]
    assert contents_of(archive) == expected


UNIX, DOS, NTFS, MACOS = 3, 0, 10, 19


@pytest.mark.parametrize(
    ("raw", "extra", "made_on", "name"),
    [
        ("café/1".encode(), b"", UNIX, "café/1"),
        ("café/1".encode(), b"", MACOS, "café/1"),
        ("café/1".encode(), b"", DOS, "café/1"),
        ("日本/é".encode(), b"UT\5\0\3\0\0\0\0", UNIX, "日本/é"),
        ("café".encode("cp437"), b"", DOS, "café"),
        ("café".encode("cp437"), b"", NTFS, "café"),
        ("café".encode("latin-1"), b"", UNIX, "caf\udce9"),
        ("café".encode("cp437"), unicode_path("café".encode("cp437"), "café"), UNIX, "café"),
        (b"caf?", b"UT\1\0x" + unicode_path(b"caf?", "café"), DOS, "café"),
        (b"renamed", unicode_path(b"caf?", "café"), UNIX, "renamed"),
        (b"caf?", unicode_path(b"caf?", "café")[:8], UNIX, "caf?"),
        (b"train\\cat\\1.png", b"", DOS, "train/cat/1.png"),
        (b"train\\cat\\1.png", b"", UNIX, "train\\cat\\1.png"),
        (b"train/a\\b", b"", NTFS, "train/a\\b"),
    ],
)
def test_names_of_archivers_that_do_not_say_what_they_are(raw, extra, made_on, name):
    assert contents_of(raw_zip([(raw, b"x", extra)], made_on)) == [(name, b"x")]


@given(names=st.sets(st.binary(min_size=1, max_size=6).filter(lambda raw: b"\0" not in raw)))
def test_names_of_unix_are_those_that_a_folder_gives(names):
    """Whatever bytes they are, and in the same order."""
    entries = read_directory(io.BytesIO(raw_zip([(raw, b"", b"") for raw in names])))
    packed = sorted(entry.pack() for entry in entries)
    expected = [raw.decode("utf-8", "surrogateescape") for raw in sorted(names)]
    assert [Entry.unpack(each).name for each in packed] == expected


def test_more_entries_than_16_bits_can_count():
    archive = made([(f"{number:05}", b"x") for number in range(66_000)])
    file = io.BytesIO(archive)
    names = [entry.name for entry in read_directory(file)]
    assert names == [f"{number:05}" for number in range(66_000)]


def test_offsets_of_64_bits(monkeypatch):
    """An archive is taken for a large one when its numbers would not fit."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 50)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a", b"1" * 60)
        archive.writestr("b", b"2" * 70)
    monkeypatch.undo()
    assert b"PK\6\6" in buffer.getvalue()
    assert contents_of(buffer.getvalue()) == [("a", b"1" * 60), ("b", b"2" * 70)]


@given(name=NAMES, numbers=st.tuples(st.integers(0, 2**63), *[st.integers(0, 2**16 - 1)] * 5))
def test_packed_entries_come_back(name, numbers):
    entry = Entry(name, *numbers)
    assert Entry.unpack(entry.pack()) == entry


@given(names=st.sets(NAMES, min_size=2))
def test_packed_entries_sort_as_their_names(names):
    packed = sorted(Entry(name, 5, 1, 1, 1, 0, 0).pack() for name in names)
    assert [Entry.unpack(each).name for each in packed] == sorted(names)


@settings(max_examples=200)
@given(data=st.data())
def test_damage_is_an_error_or_harmless(data):
    archive = bytearray(made([("a", b"1" * 60), ("b/c", b"")], zipfile.ZIP_DEFLATED))
    places = st.integers(0, len(archive) - 1)
    for place, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=4)):
        archive[place] = byte
    cut = data.draw(st.integers(0, len(archive)) | st.just(len(archive)))
    try:
        contents = contents_of(bytes(archive[:cut]))
    except ZipError:
        contents = []
    # What has a right checksum is right.
    assert {text for _, text in contents} <= {b"1" * 60, b""}


def test_what_is_refused():
    archive = bytearray(made([("a", b"1" * 60)], zipfile.ZIP_BZIP2))
    with pytest.raises(ZipError, match="compressed by method 12, expected 0 or 8"):
        contents_of(bytes(archive))
    archive = bytearray(made([("a", b"1" * 60)]))
    archive[archive.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(ZipError, match="encrypted"):
        contents_of(bytes(archive))
    bomb = made([("a", bytes(10 * LIMIT))], zipfile.ZIP_DEFLATED)
    assert len(contents_of(bomb)[0][1]) == LIMIT + 1
