"""CIFAR in all its forms gives the same records; every fault has its own error."""

import gzip
import pickle
import tarfile
from functools import partial

import numpy as np
import pytest
from data_makers import (
    CIFAR,
    SHUFFLED,
    cifar_files,
    cifar_pickle,
    cifar_pickle2,
    cifar_records,
    tar_gz,
    write_files,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from bnntrain.data.catalog import describe, find_datasets, open_dataset
from bnntrain.data.check import check
from bnntrain.data.published import PUBLISHED
from bnntrain.errors import DataError

SHAPE = (32, 32, 3)


def samples(kit, data_set="cifar10", count=23, tests=4):
    """Return random training and test sets, whose last training image has the last class."""
    classes = len(PUBLISHED[data_set].classes)
    train, test = kit.samples(count, SHAPE, classes, 1), kit.samples(tests, SHAPE, classes, 2)
    train[1][-1] = classes - 1
    return train, test


def error_line(name="cifar10"):
    """Open a faulty data set; return its error, which must be one line."""
    with pytest.raises(DataError) as caught:
        open_dataset(name)
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize("within", ["", "{name}"])
@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(("data_set", "form"), CIFAR)
def test_every_form(kit, place, data_set, form, packed, within):
    train, test = samples(kit, data_set)
    files = cifar_files(data_set, form, train, test)
    archive, folder = CIFAR[data_set, form]
    base = place.data / within.format(name=data_set)
    base.mkdir(exist_ok=True)
    if packed:
        names = list(files)
        if data_set == "cifar10":
            names = [names[number - 1] for number in SHUFFLED]
        (base / archive).write_bytes(tar_gz(folder, files, names))
    else:
        write_files(base / folder, files)
    known = describe(data_set)
    dataset = open_dataset(data_set)
    assert dataset.shape == known.shape == SHAPE
    assert dataset.classes == known.classes == PUBLISHED[data_set].classes
    assert (known.train_count, known.test_count) == (23, 4)
    kit.assert_same(dataset.train, train)
    kit.assert_same(dataset.test, test)
    assert describe(data_set) == known
    found = {each.name: each for each in find_datasets()}[data_set]
    assert (found.kind, found.converted, found.missing) == (f"cifar-{form}", True, [])
    assert found.path == str(base / (archive if packed else folder))


@settings(max_examples=25)
@given(count=st.integers(5, 40), form=st.sampled_from(["binary", "python"]), rows=st.integers(1, 9))
def test_chunks_and_counts(kit, count, form, rows):
    """Batches of unequal sizes, and chunks of any size."""
    train, test = samples(kit, count=count, tests=1)
    with kit.workplace() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr("bnntrain.data.source.CHUNK_BYTES", rows * 3073)
        files = cifar_files("cifar10", form, train, test)
        write_files(place.data / CIFAR["cifar10", form][1], files)
        dataset = open_dataset("cifar10")
        kit.assert_same(dataset.train, train)
        kit.assert_same(dataset.test, test)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("protocol", range(6))
def test_batches_saved_again_by_python_3(kit, place, protocol, packed):
    train, test = samples(kit)
    files = cifar_files("cifar10", "python", train, test, partial(cifar_pickle, protocol=protocol))
    archive, folder = CIFAR["cifar10", "python"]
    if packed:
        (place.data / archive).write_bytes(tar_gz(folder, files))
    else:
        write_files(place.data / folder, files)
    kit.assert_same(open_dataset("cifar10").train, train)


def test_the_order_of_forms(kit, place):
    """Archives before folders, binary before Python, what is complete before what is not."""
    sets = {}
    for number, (data_set, form) in enumerate(list(CIFAR)[:2]):
        for packed in (True, False):
            train = kit.samples(10, SHAPE, 10, 10 * number + packed)
            sets[form, packed] = train
            files = cifar_files(data_set, form, train, train)
            archive, folder = CIFAR[data_set, form]
            if packed:
                (place.data / archive).write_bytes(tar_gz(folder, files))
            else:
                write_files(place.data / folder, files)
    kit.assert_same(open_dataset("cifar10").train, sets["binary", True])
    (place.data / "cifar-10-binary.tar.gz").unlink()
    kit.assert_same(open_dataset("cifar10").train, sets["python", True])
    (place.data / "cifar-10-python.tar.gz").unlink()
    kit.assert_same(open_dataset("cifar10").train, sets["binary", False])
    (place.data / "cifar-10-batches-bin" / "data_batch_4.bin").unlink()
    kit.assert_same(open_dataset("cifar10").train, sets["python", False])
    (place.data / "cifar-10-batches-py" / "test_batch").unlink()
    line = error_line()
    assert "cifar-10-batches-bin: data set 'cifar10' not found, data_batch_4.bin missing" in line
    assert "bnntrain data fetch cifar10" in line


def test_an_archive_that_is_not_compressed_any_more(kit, place):
    train, test = samples(kit)
    packed = tar_gz("cifar-10-batches-bin", cifar_files("cifar10", "binary", train, test))
    (place.data / "cifar-10-binary.tar.gz").write_bytes(gzip.decompress(packed))
    kit.assert_same(open_dataset("cifar10").train, train)


def test_describe_knows_the_published_facts(place):
    for name in ("cifar10", "cifar100"):
        known = describe(name)
        assert (known.shape, known.train_count, known.test_count) == (SHAPE, 50000, 10000)
        assert known.classes == sorted(known.classes)
        assert len(set(known.classes)) == int(name.removeprefix("cifar"))
    with pytest.raises(DataError, match=r"cifar10: data set 'cifar10' not found, cifar-10-bin"):
        open_dataset("cifar10")


def test_check_compares_the_archive(kit, place, monkeypatch):
    import hashlib

    train, test = samples(kit)
    packed = tar_gz("cifar-10-batches-bin", cifar_files("cifar10", "binary", train, test))
    path = place.data / "cifar-10-binary.tar.gz"
    path.write_bytes(packed)
    with pytest.raises(DataError, match="not the published cifar10: SHA-256 of the"):
        check("cifar10")
    pin = type(PUBLISHED["cifar10"].contents[path.name])
    content = pin(len(packed), hashlib.sha256(packed).hexdigest(), True)
    monkeypatch.setitem(PUBLISHED["cifar10"].contents, path.name, content)
    report = check("cifar10")
    assert report["files"] == [{"path": str(path), "bytes": len(packed), "sha256": content.sha256}]
    assert report["train"]["labels"] == np.bincount(train[1], minlength=10).tolist()


def test_check_of_another_form_has_no_checksum(kit, place):
    train, test = samples(kit)
    write_files(place.data / "cifar-10-batches-bin", cifar_files("cifar10", "binary", train, test))
    report = check("cifar10")
    assert [file["sha256"] for file in report["files"]] == [None] * 6


@pytest.fixture
def batch(kit, place):
    """A function that writes a set with other contents of one batch."""

    def write(form, name, contents):
        train, test = samples(kit)
        files = cifar_files("cifar10", form, train, test)
        files[name] = contents(files[name]) if callable(contents) else contents
        write_files(place.data / CIFAR["cifar10", form][1], files)
        return place.data / CIFAR["cifar10", form][1] / name

    return write


IMAGES, LABELS = np.zeros((3, *SHAPE), np.uint8), np.array([0, 1, 2])


@pytest.mark.parametrize(
    ("name", "contents", "message"),
    [
        ("data_batch_3.bin", b"", "is empty (0 bytes)"),
        ("data_batch_3.bin", lambda b: b[:-1], "truncated: ends after 15364 bytes, in the middle"),
        ("test_batch.bin", b"label", "truncated: ends after 5 bytes, in the middle of record 0"),
        (
            "data_batch_2.bin", cifar_records(IMAGES, np.array([0, 9, 10])),
            "label 10 of image 2 is out of range, expected 0 to 9",
        ),
        (
            "test_batch.bin", cifar_records(IMAGES, np.array([0, 255, 10])),
            "label 255 of image 1 is out of range",
        ),
    ],
)  # fmt: skip
def test_faulty_binary_batches(place, batch, name, contents, message):
    path = batch("binary", name, contents)
    line = error_line()
    assert line.startswith(f"{path}: ")
    assert message in line
    assert line.endswith("Run 'bnntrain data fetch cifar10' to replace damaged files")


class Evil:
    """What a pickle may do to whoever loads it."""

    def __reduce__(self):
        import os

        return os.system, ("echo harmed > harmed",)


def batch_of(**changes):
    """Return a Python batch with some entries replaced or, where None, taken out."""
    entries = {"data": IMAGES.reshape(3, -1), "labels": [0, 1, 2]} | changes
    return pickle.dumps({k: v for k, v in entries.items() if v is not None}, 4)


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (b"", "truncated: ends after 0 bytes"),
        (lambda b: b[:-1], "truncated: ends after"),
        (lambda b: b[:100], "truncated: ends after 100 bytes. Run"),
        (lambda b: b[:9000], "truncated: ends after 9000 bytes"),
        (b"PNG not a pickle", "needs the pickle operation 0x50"),
        (b"?garbage", "needs the pickle operation 0x3f, expected plain data"),
        (b"garbage", "truncated: ends after 7 bytes"),
        (b"\x80\x02e.", "no valid pickle (byte 3: "),
        (b"\x80\x02K\x01.", "lacks data or labels (found: none), expected a CIFAR batch"),
        (batch_of(labels=None), "lacks data or labels (found: 'data'), expected a CIFAR batch"),
        (batch_of(data=None), "lacks data or labels (found: 'labels')"),
        (batch_of(data=Evil()), "is refused: it asks for 'posix.system', expected plain data"),
        (batch_of(extra={1, 2}), "needs the pickle operation 0x8f"),
        (batch_of(data=b"0" * 9216), "data is no array, expected uint8 [n, 3072]"),
        (batch_of(data=IMAGES), "data is an array of type u1 and shape (3, 32, 32, 3), expected"),
        (batch_of(data=IMAGES.reshape(3, -1) * 1.0), "data is an array of type f8"),
        (batch_of(data=np.asfortranarray(np.ones((3, 3072), "u1"))), "in Fortran order, expected"),
        (batch_of(data=IMAGES.reshape(3, -1)[:0], labels=[]), "holds 0 images"),
        (batch_of(labels=[0, 1]), "holds 2 labels, expected 3, one per image"),
        (batch_of(labels=[0, 1, 10]), "label 10 of image 2 is out of range, expected 0 to 9"),
        (batch_of(labels=[0, -1, 2]), "label -1 of image 1 is out of range"),
        (batch_of(labels=[0, "one", 2]), "labels is no list of integers"),
        (batch_of(labels=np.arange(3.0)), "labels is no list of integers"),
        (batch_of(labels=np.arange(3)[:, None]), "labels is no list of integers"),
        (batch_of(labels=np.arange(2)), "holds 2 labels, expected 3, one per image"),
        (batch_of(labels=np.arange(3) - 1), "label -1 of image 0 is out of range"),
        (batch_of(labels=[0, 1, 10**30]), "label 1000000000000000000000000000000 of image 2"),
        (pickle.dumps(IMAGES.reshape(3, -1), 4), "lacks data or labels (found: none)"),
        (pickle.dumps({"data": IMAGES}, 0), "lacks data or labels (found: 'data')"),
    ],
)
def test_faulty_python_batches(place, batch, monkeypatch, contents, message):
    monkeypatch.chdir(place.root)
    path = batch("python", "data_batch_2", contents)
    line = error_line()
    assert line.startswith(f"{path}: ")
    assert message in line
    assert not (place.root / "harmed").exists()


@settings(max_examples=150)
@given(data=st.data())
def test_no_pickle_does_anything_but_raise(kit, data):
    """Bytes that were changed at random are refused in one line, or read."""
    contents = bytearray(cifar_pickle2(IMAGES[:1], LABELS[:1]))
    places = st.integers(0, 280) | st.integers(len(contents) - 40, len(contents) - 1)
    for place, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), max_size=5)):
        contents[place] = byte
    with kit.workplace() as place:
        test = kit.samples(1, SHAPE)
        files = cifar_files("cifar10", "python", (np.repeat(IMAGES, 2, 0), np.arange(6)), test)
        files["data_batch_1"] = bytes(contents)
        write_files(place.data / "cifar-10-batches-py", files)
        message = ""
        try:
            open_dataset("cifar10")
        except DataError as error:
            message = str(error)
        assert "\n" not in message


def packed_set(kit, **changes):
    """Return the bytes of the binary archive, with other contents of some files."""
    train, test = samples(kit)
    files = cifar_files("cifar10", "binary", train, test) | changes
    return tar_gz("cifar-10-batches-bin", {k: v for k, v in files.items() if v is not None})


def flipped(contents, place):
    changed = bytearray(contents)
    changed[place] ^= 0xFF
    return bytes(changed)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b"", "is empty (0 bytes)"),
        (lambda b: b"<html>Please log in</html>" * 40, "damaged or not a .tar.gz file"),
        (lambda b: b[: len(b) // 2], "truncated: the compressed data end too early"),
        (lambda b: b[:-4], "truncated"),
        (lambda b: flipped(b, len(b) // 2), "damaged"),
        (lambda b: flipped(b, -8), "damaged after"),
        (lambda b: gzip.compress(b"not a tar" * 200), "damaged or not a .tar.gz file"),
        (lambda b: gzip.compress(gzip.decompress(b)[:20000]), "truncated (unexpected end of data)"),
    ],
)
def test_faulty_archives(kit, place, change, message):
    path = place.data / "cifar-10-binary.tar.gz"
    path.write_bytes(change(packed_set(kit)))
    line = error_line()
    assert line.startswith(f"{path}: ")
    assert message in line
    assert "data fetch cifar10" in line
    assert kit.leftovers(place.cache) == []


def test_archives_that_lack_or_have_wrong_batches(kit, place):
    path = place.data / "cifar-10-binary.tar.gz"
    path.write_bytes(packed_set(kit, **{"data_batch_5.bin": None}))
    assert f"{path}: lacks the file cifar-10-batches-bin/data_batch_5.bin. Run" in error_line()
    path.write_bytes(packed_set(kit, **{"data_batch_5.bin": b"short"}))
    assert f"{path}: data_batch_5.bin: truncated: ends after 5 bytes" in error_line()
    bad = cifar_records(IMAGES, np.array([3, 30, 3]))
    path.write_bytes(packed_set(kit, **{"data_batch_5.bin": bad}))
    assert f"{path}: data_batch_5.bin: label 30 of image 1 is out of range" in error_line()


def test_an_archive_of_links_is_not_followed(kit, place):
    path = place.data / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        member = tarfile.TarInfo("cifar-10-batches-bin/data_batch_1.bin")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(member)
    assert "lacks the file cifar-10-batches-bin/data_batch_1.bin" in error_line()


def test_source_without_permission_or_changed(kit, place, batch):
    path = batch("binary", "data_batch_1.bin", lambda contents: contents)
    first = open_dataset("cifar10").train
    path.write_bytes(path.read_bytes()[3073:])
    second = open_dataset("cifar10").train
    assert second.count == first.count - 1
