"""Names and places of data sets, the built-in digits, and what a check reports."""

import zlib
from pathlib import Path

import numpy as np
import pytest

from bnntrain.data.catalog import describe, find_datasets, find_source, open_dataset
from bnntrain.data.check import check
from bnntrain.data.files import cache_folder, data_folder
from bnntrain.data.published import PUBLISHED
from bnntrain.errors import DataError, UsageError


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("minst", "Did you mean 'mnist'?"),
        ("MNIST", "Did you mean 'mnist'?"),
        ("fashion_mnist", "Did you mean 'fashion-mnist'?"),
        ("digit", "Did you mean 'digits'?"),
        ("imagenet-22k", "unknown data set. Known are cifar10, cifar100, digits, fashion"),
        ("cifar-10", "Did you mean 'cifar10'?"),
        ("svhn-extre", "Did you mean 'svhn-extra'?"),
        ("", "unknown data set. Known are"),
    ],
)
@pytest.mark.parametrize("function", [open_dataset, describe, check])
def test_unknown_names(place, name, hint, function):
    with pytest.raises(DataError) as caught:
        function(name)
    assert hint in str(caught.value)
    assert not place.cache.exists()


@pytest.mark.parametrize(("name", "form"), [("d.zip", "a .zip file"), ("d.npz", "an .npz file")])
def test_a_folder_that_is_called_as_a_file(tmp_path, name, form):
    (tmp_path / name).mkdir()
    with pytest.raises(DataError, match=f"is a folder, not {form}. Rename it"):
        open_dataset(str(tmp_path / name))


@pytest.mark.parametrize("name", ["no/such.npz", "../x.npz", "a" * 300 + ".npz", "nul\0.npz"])
def test_missing_npz(place, name):
    with pytest.raises(DataError, match="no such file, neither here nor in the data") as caught:
        open_dataset(name)
    assert str(place.data) in str(caught.value)


def test_npz_is_looked_for_here_first_then_in_the_data_folder(kit, place, monkeypatch):
    here = place.root / "here"
    (here / "sub").mkdir(parents=True)
    monkeypatch.chdir(here)
    (place.data / "sub").mkdir()
    sets = [(kit.samples(5, classes=2, seed=seed),) * 2 for seed in (0, 1)]
    for folder, arrays in ((place.data, sets[0]), (here, sets[1])):
        (folder / "sub" / "a.npz").write_bytes(kit.npz_bytes(**kit.npz_arrays(*arrays)))
        kit.assert_same(open_dataset("sub/a.npz").train, arrays[0])
    monkeypatch.setenv("HOME", str(place.data))
    kit.assert_same(open_dataset("~/sub/a.npz").train, sets[0][0])


def test_folders(monkeypatch, tmp_path):
    for variable in ("BNNTRAIN_CACHE", "BNNTRAIN_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/bnntrain")
    assert data_folder() == Path("/home/someone/.cache/bnntrain/datasets")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/is/ignored")
    assert cache_folder() == Path("/home/someone/.cache/bnntrain")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_folder() == Path("/xdg/bnntrain")
    monkeypatch.setenv("BNNTRAIN_CACHE", "")
    assert cache_folder() == Path("/xdg/bnntrain")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BNNTRAIN_CACHE", "here")
    assert cache_folder() == tmp_path / "here"
    assert data_folder() == tmp_path / "here" / "datasets"
    monkeypatch.setenv("BNNTRAIN_DATA", "there")
    assert data_folder() == tmp_path / "there"


def test_no_home(monkeypatch):
    for variable in ("BNNTRAIN_CACHE", "BNNTRAIN_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError))
    with pytest.raises(UsageError, match="BNNTRAIN_CACHE: not set, and this user has no home"):
        data_folder()


def test_data_folder_that_is_another_set(kit, place, monkeypatch):
    """A folder of four files is taken for any name, unless its labels are another known set's."""
    train, test = kit.samples(6), kit.samples(4)
    kit.write_idx(place.data, train, test)
    kit.assert_same(open_dataset("mnist").train, train)
    kit.assert_same(open_dataset("fashion-mnist").train, train)
    contents = PUBLISHED["fashion-mnist"].contents
    pinned = pin(kit.idx_labels(test[1]))
    monkeypatch.setitem(contents, "t10k-labels", pinned)
    with pytest.raises(DataError, match="data set 'mnist' not found"):
        open_dataset("mnist")
    kit.assert_same(open_dataset("fashion-mnist").train, train)
    # What lies in the folder of its name is that set by the user's word.
    other = kit.samples(7, seed=3)
    kit.write_idx(place.data / "mnist", other, other)
    kit.assert_same(open_dataset("mnist").train, other)


def pin(contents):
    """Return the entry of PUBLISHED for a file with these contents."""
    import hashlib

    kind = type(PUBLISHED["mnist"].contents["t10k-labels"])
    return kind(len(contents), hashlib.sha256(contents).hexdigest())


def test_describe_without_files(place):
    for name, published in PUBLISHED.items():
        known = describe(name)
        assert known.shape == published.shape
        assert known.classes == published.classes
        assert known.train_count == published.train_count
        assert known.test_count == published.test_count
    assert not place.cache.exists()


def test_describe_reports_faults(kit, place):
    paths = kit.write_idx(place.data / "mnist", kit.samples(3), kit.samples(3))
    paths["train", "images"].write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        describe("mnist")
    paths["train", "images"].unlink()
    with pytest.raises(DataError, match="missing"):
        describe("mnist")


def test_find_datasets(kit, place):
    found = {each.name: each for each in find_datasets()}
    assert list(found) == list(PUBLISHED)
    assert found["digits"].kind == "built-in"
    assert not found["digits"].converted
    assert found["mnist"].path is None
    assert len(found["mnist"].missing) == 4
    paths = kit.write_idx(place.data / "mnist", kit.samples(3), kit.samples(3))
    path = place.data / "own.npz"
    own = kit.samples(3, classes=2)
    path.write_bytes(kit.npz_bytes(**kit.npz_arrays(own, own)))
    (place.data / "broken.npz").write_bytes(b"")
    open_dataset("mnist")
    open_dataset(str(path))
    found = {each.name: each for each in find_datasets()}
    assert found["mnist"].converted
    assert found["mnist"].missing == []
    assert found["mnist"].path == str(place.data / "mnist")
    assert found[str(path)].kind == "npz"
    assert found[str(path)].converted
    assert not found[str(place.data / "broken.npz")].converted
    paths["test", "labels"].unlink()
    found = {each.name: each for each in find_datasets()}
    assert found["mnist"].missing == ["t10k-labels-idx1-ubyte.gz"]
    assert not found["mnist"].converted


def test_find_datasets_without_a_data_folder(place):
    place.data.rmdir()
    assert [each.name for each in find_datasets()] == list(PUBLISHED)


def test_digits(kit, place):
    dataset = open_dataset("digits")
    assert dataset.shape == (8, 8, 1)
    assert dataset.classes == [str(number) for number in range(10)]
    assert (dataset.train.count, dataset.test.count) == (1437, 360)
    train, train_labels = kit.flat_contents(dataset.train)
    test, test_labels = kit.flat_contents(dataset.test)
    # Sizes of the classes of the origin, which has 1797 images; a fifth of each is held out.
    sizes = np.bincount(train_labels) + np.bincount(test_labels)
    assert sizes.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.abs(np.bincount(test_labels) - sizes * 360 / 1797).max() < 1
    scaled = {(value * 255 + 8) // 16 for value in range(17)}
    assert set(np.unique(train)) | set(np.unique(test)) == scaled
    # The shipped file never changes: results of runs on it stay comparable.
    assert zlib.crc32(train.tobytes(), zlib.crc32(test.tobytes())) == 1138258243
    assert check("digits")["files"][0]["sha256"] == PUBLISHED["digits"].contents["archive"].sha256


def test_digits_equal_their_origin(kit, place):
    datasets = pytest.importorskip("sklearn.datasets", reason="scikit-learn is not installed")
    origin = datasets.load_digits()
    images = ((origin.images.astype(int) * 255 + 8) // 16).astype(np.uint8)
    expected = sorted((i.tobytes(), int(t)) for i, t in zip(images, origin.target, strict=True))
    dataset = open_dataset("digits")
    parts = [kit.flat_contents(split) for split in (dataset.train, dataset.test)]
    found = sorted((i.tobytes(), int(t)) for part in parts for i, t in zip(*part, strict=True))
    assert found == expected


def test_check_report(kit, place):
    train, test = kit.samples(30, (4, 3), 5), kit.samples(9, (4, 3), 5)
    train[1][0] = 4
    path = place.data / "own.npz"
    path.write_bytes(kit.npz_bytes(**kit.npz_arrays(train, test)))
    assert check(str(path)) == {
        "name": str(path),
        "shape": [4, 3, 1],
        "classes": ["0", "1", "2", "3", "4"],
        "train": {
            "count": 30, "labels": np.bincount(train[1], minlength=5).tolist(), "converted": False,
        },
        "test": {
            "count": 9, "labels": np.bincount(test[1], minlength=5).tolist(), "converted": False,
        },
        "files": [{"path": str(path), "bytes": path.stat().st_size, "sha256": None}],
    }  # fmt: skip
    assert not place.cache.exists()


def test_check_knows_the_published_contents(kit, place, monkeypatch):
    train, test = kit.samples(6), kit.samples(4)
    paths = kit.write_idx(place.data / "mnist", train, test)
    with pytest.raises(DataError, match="not the published mnist: SHA-256 of the 136 b") as caught:
        check("mnist")
    assert str(caught.value).startswith(str(paths["train", "images"]))
    pins = {
        "train-images": pin(kit.idx_images(train[0])),
        "train-labels": pin(kit.idx_labels(train[1])),
        "t10k-images": pin(kit.idx_images(test[0])),
        "t10k-labels": pin(kit.idx_labels(test[1])),
    }
    for role, content in pins.items():
        monkeypatch.setitem(PUBLISHED["mnist"].contents, role, content)
    report = check("mnist")
    assert [file["sha256"] for file in report["files"]] == [p.sha256 for p in pins.values()]


def test_check_finds_splits_of_two_shapes(kit, place):
    kit.write_idx(place.data / "mnist", kit.samples(3, (5, 4)), kit.samples(3, (4, 5)))
    with pytest.raises(DataError, match="as in training"):
        check("mnist")


def test_real_mnist(kit, place, monkeypatch):
    if not kit.real_data:
        pytest.skip("BNNTRAIN_DATA is not set")
    monkeypatch.setenv("BNNTRAIN_DATA", kit.real_data)
    try:
        find_source("mnist")
    except DataError:
        pytest.skip("BNNTRAIN_DATA holds no MNIST")
    dataset = open_dataset("mnist")
    report = check("mnist")
    assert report["train"]["labels"] == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert report["test"]["labels"] == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert report["train"]["converted"]
    assert all(file["sha256"] for file in report["files"])
    image, label = dataset.train.read(0)
    assert label == 5
    # The mean of MNIST's training pixels is known to everyone who ever normalised them.
    pixels, _ = kit.flat_contents(dataset.train)
    assert pixels.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert image[5, 12:20, 0].tolist() == [3, 18, 18, 18, 126, 136, 175, 26]
