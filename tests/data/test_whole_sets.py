"""Conversion of whole data sets: what it takes, and the real CIFAR-10 where it is at hand."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from data_makers import (
    CIFAR,
    SHUFFLED,
    cifar_files,
    mat_file,
    picture,
    svhn_arrays,
    tar_gz,
    write_files,
    zip_file,
)

from bnntrain.data.catalog import describe, open_dataset
from bnntrain.data.places import locate
from bnntrain.data.published import PUBLISHED

COUNT = 20_000
LIMIT_KIB = 8 * 1024
# Pillow itself is 5 MiB; an entry of the archive's directory takes 100 to 200 bytes.
PICTURES_LIMIT_KIB = 8 * 1024 + 6 * 1024
REAL_LIMIT_KIB = 8 * 1024 + 60_000 * 200 // 1024


@pytest.fixture
def measured(kit, measured_conversion):
    """A function: the growth of a process that opens a data set (KiB), and its samples."""

    def measure(name):
        done = kit.run_script(measured_conversion, name)
        assert done.returncode == 0, done.stderr
        return tuple(map(int, done.stdout.split()))

    return measure


@pytest.fixture(scope="module")
def large():
    """20,000 images of 32 x 32 in colour: 59 MiB."""
    images = np.tile(np.arange(3072, dtype=np.uint8).reshape(1, 32, 32, 3), (COUNT, 1, 1, 1))
    labels = (np.arange(COUNT) % 10).astype(np.uint8)
    return (images, labels), (images[:20], labels[:20])


@pytest.mark.parametrize("form", ["binary", "python"])
@pytest.mark.parametrize("packed", [True, False])
def test_cifar(place, large, measured, form, packed):
    files = cifar_files("cifar10", form, *large)
    archive, folder = CIFAR["cifar10", form]
    if packed:
        names = [list(files)[number - 1] for number in SHUFFLED]
        (place.data / archive).write_bytes(tar_gz(folder, files, names))
    else:
        write_files(place.data / folder, files)
    growth_kib, count = measured("cifar10")
    assert count == COUNT
    assert growth_kib < LIMIT_KIB


@pytest.mark.parametrize("compressed", [True, False])
def test_svhn(place, large, measured, compressed):
    for name, part in zip(("train", "test"), large, strict=True):
        contents = mat_file(svhn_arrays(*part), compressed)
        (place.data / f"{name}_32x32.mat").write_bytes(contents)
    growth_kib, count = measured("svhn")
    assert count == COUNT
    assert growth_kib < LIMIT_KIB


def test_pictures(place, measured):
    pytest.importorskip("PIL", reason="Pillow is not installed")
    contents = picture(np.zeros((32, 32, 3), np.uint8))
    files = {f"train/{n % 10}/{n:05}.png": contents for n in range(COUNT)}
    files |= {f"test/{n}/0.png": contents for n in range(10)}
    (place.data / "set.zip").write_bytes(zip_file(files))
    growth_kib, count = measured("set.zip")
    assert count == COUNT
    assert growth_kib < PICTURES_LIMIT_KIB


@pytest.fixture
def real(converted_cifar10, monkeypatch, kit):
    """The real CIFAR-10, converted once: its place, the memory that took, and the data set."""
    cache, printed = converted_cifar10
    monkeypatch.setenv("BNNTRAIN_DATA", kit.real_data)
    monkeypatch.setenv("BNNTRAIN_CACHE", str(cache))
    return locate("cifar10"), int(printed.split()[0]), open_dataset("cifar10")


def test_real_cifar10(kit, real):
    place, growth_kib, dataset = real
    assert growth_kib < (REAL_LIMIT_KIB if place.kind == "pictures" else LIMIT_KIB)
    assert dataset.classes == PUBLISHED["cifar10"].classes
    assert (dataset.train.count, dataset.test.count) == (50000, 10000)
    known = describe("cifar10")
    assert (known.shape, known.train_count, known.test_count) == ((32, 32, 3), 50000, 10000)
    pixels, labels = kit.flat_contents(dataset.train)
    assert np.bincount(labels).tolist() == [5000] * 10
    assert np.bincount(kit.flat_contents(dataset.test)[1]).tolist() == [1000] * 10
    # Known to everyone who ever normalised them; JPEG changes them by little.
    means = pixels.mean((0, 1, 2), dtype=np.float64)
    np.testing.assert_allclose(means, [125.31, 122.95, 113.87], atol=0.3)


def test_real_cifar10_from_pictures(real):
    """Records are the pictures in the order of their names."""
    place, _, dataset = real
    if place.kind != "pictures" or place.path.suffix != ".zip":
        pytest.skip("BNNTRAIN_DATA holds CIFAR-10 in another form")
    from PIL import Image

    with zipfile.ZipFile(Path(place.path)) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        tests = [name for name in names if name.startswith("test/")]
        trains = [name for name in names if name.startswith("train/")]
        for split, members in ((dataset.train, trains), (dataset.test, tests)):
            assert split.count == len(members)
            for index in range(0, split.count, 997):
                image, label = split.read(index)
                assert dataset.classes[label] == members[index].split("/")[1]
                expected = np.asarray(Image.open(io.BytesIO(archive.read(members[index]))))
                np.testing.assert_array_equal(image, expected)
