"""The flat form: its layout byte for byte, and when it is made again."""

import json
import os
import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bnntrain.data.catalog import find_source, open_dataset
from bnntrain.data.check import check
from bnntrain.data.flat import find_converted
from bnntrain.data.npz import NpzSource
from bnntrain.data.published import PUBLISHED
from bnntrain.errors import DataError

SHAPE = (3, 5, 2)


def test_layout(npz):
    name, train, _ = npz()
    split = open_dataset(name).train
    raw = split.path.read_bytes()
    magic, version, header_bytes, count = struct.unpack_from("<8sIIQ", raw)
    assert (magic, version, header_bytes, count) == (b"BNNTFLAT", 2, 4096, 11)
    assert struct.unpack_from("<4I", raw, 24) == (*SHAPE, 4)
    record_bytes, json_bytes, records_crc, header_crc = struct.unpack_from("<4I", raw, 40)
    assert record_bytes == 3 * 5 * 2 + 1
    assert raw[56:64] == bytes(8)
    about = json.loads(raw[64 : 64 + json_bytes])
    status = Path(name).stat()
    assert about == {
        "name": name, "split": "train", "classes": ["0", "1", "2", "3"],
        "source": [[name, status.st_size, status.st_mtime_ns]],
    }  # fmt: skip
    assert not any(raw[64 + json_bytes : header_bytes])
    records = b"".join(i.tobytes() + bytes([label]) for i, label in zip(*train, strict=True))
    assert raw[header_bytes:] == records
    assert zlib.crc32(records) == records_crc == split.records_crc
    blank = raw[:52] + bytes(4) + raw[56 : 64 + json_bytes]
    assert zlib.crc32(blank) == header_crc == split.header_crc


def test_read_by_position(npz):
    name, train, test = npz()
    dataset = open_dataset(name)
    for split, (images, labels) in ((dataset.train, train), (dataset.test, test)):
        assert (split.image_bytes, split.record_bytes) == (30, 31)
        fd = split.open()
        for index in range(split.count):
            image, label = split.read(index)
            assert image.dtype == np.uint8
            np.testing.assert_array_equal(image, images[index])
            assert label == labels[index]
            record = os.pread(fd, split.record_bytes, split.offset + index * split.record_bytes)
            assert record == images[index].tobytes() + bytes([label])
        assert not os.get_inheritable(fd)
        os.close(fd)
        for index in (-1, split.count):
            with pytest.raises(IndexError):
                split.read(index)


def test_many_long_class_names_enlarge_the_header(place, kit, monkeypatch):
    names = [f"{number:03}-{'x' * 40}" for number in range(10)] * 20
    monkeypatch.setitem(PUBLISHED, "mnist", replace(PUBLISHED["mnist"], classes=names))
    train = kit.samples(3)
    kit.write_idx(place.data / "mnist", train, train)
    dataset = open_dataset("mnist")
    assert dataset.train.offset == 12288
    assert dataset.classes == names
    kit.assert_same(dataset.train, train)


def test_converted_once(npz, monkeypatch):
    name, _, _ = npz()
    before = open_dataset(name)
    inodes = [split.path.stat().st_ino for split in (before.train, before.test)]
    monkeypatch.setattr(NpzSource, "open_split", None)
    after = open_dataset(name)
    assert after == before
    assert [split.path.stat().st_ino for split in (after.train, after.test)] == inodes


def test_changed_source_is_converted_again(npz, kit):
    name, old, _ = npz(seed=0)
    stale = open_dataset(name)
    held = stale.train.open()
    name, new, new_test = npz(seed=7, count=12)
    fresh = open_dataset(name)
    kit.assert_same(fresh.train, new)
    kit.assert_same(fresh.test, new_test)
    # Who has the former file open keeps reading it; who opens it anew is told.
    assert os.pread(held, 30, stale.train.offset) == old[0][0].tobytes()
    os.close(held)
    with pytest.raises(DataError, match="changed after they were opened"):
        stale.train.open()


def test_touched_source_is_converted_again(npz):
    name, _, _ = npz()
    source = find_source(name)
    before = open_dataset(name).train.header_crc
    os.utime(name, ns=(1, 1))
    assert find_converted(source, "train") is None
    assert open_dataset(name).train.header_crc != before


def test_source_that_changes_while_it_is_read(npz, monkeypatch):
    name, _, _ = npz()
    original = NpzSource.open_split

    def touch(source, split):
        os.utime(name, ns=(1, 1))
        return original(source, split)

    monkeypatch.setattr(NpzSource, "open_split", touch)
    with pytest.raises(DataError, match="changed while it was converted"):
        open_dataset(name)


@pytest.mark.parametrize("end", [0, 10, 63, 64, 100, 4095, 4096, 4097, -1])
def test_cut_flat_file_is_made_again(npz, kit, end):
    name, train, _ = npz()
    dataset = open_dataset(name)
    whole = dataset.train.path.read_bytes()
    dataset.train.path.write_bytes(whole[:end])
    with pytest.raises(DataError, match="Run the command again"):
        dataset.train.open()
    kit.assert_same(open_dataset(name).train, train)
    assert dataset.train.path.read_bytes() == whole


def test_every_header_byte_is_guarded(npz):
    name, _, _ = npz()
    split = open_dataset(name).train
    whole = split.path.read_bytes()
    used = 64 + struct.unpack_from("<I", whole, 44)[0]
    for at in [*range(56), *range(64, used)]:
        split.path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert find_converted(find_source(name), "train") is None, at


def test_damaged_records_are_found_by_check(npz):
    name, _, _ = npz()
    assert check(name)["train"]["converted"] is False
    split = open_dataset(name).train
    assert check(name)["train"]["converted"] is True
    whole = split.path.read_bytes()
    split.path.write_bytes(whole[:-3] + b"???")
    with pytest.raises(DataError, match="Delete this file and run again") as caught:
        check(name)
    assert str(split.path) in str(caught.value)


def test_removed_flat_file(npz):
    name, _, _ = npz()
    split = open_dataset(name).train
    split.path.unlink()
    with pytest.raises(DataError, match="cannot be read: No such file"):
        split.open()


def test_same_name_in_two_folders(kit, place, monkeypatch):
    paths = set()
    for seed, folder in enumerate(("a", "b")):
        train = kit.samples(4, seed=seed)
        kit.write_idx(place.root / folder / "mnist", train, train)
        monkeypatch.setenv("BNNTRAIN_DATA", str(place.root / folder))
        dataset = open_dataset("mnist")
        kit.assert_same(dataset.train, train)
        paths.add(dataset.train.path)
    assert len(paths) == 2


def test_read_only_data_folder(kit, place):
    train = kit.samples(4)
    kit.write_idx(place.data / "mnist", train, train)
    before = sorted(place.data.rglob("*"))
    for path in (*before, place.data):
        path.chmod(0o555)
    kit.assert_same(open_dataset("mnist").train, train)
    assert sorted(place.data.rglob("*")) == before
    for path in (place.data, *before):
        path.chmod(0o755)
