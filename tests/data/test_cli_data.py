"""``bnntrain data``: what it prints where, and how it ends."""

import json

import pytest
from data_makers import cifar_files, tar_gz, write_files

from bnntrain.cli.main import run
from bnntrain.data.published import PUBLISHED


@pytest.fixture
def call(capfd):
    """Run ``bnntrain data ...``; return exit code, standard output, standard error."""

    def call(*arguments):
        code = run(["data", *arguments])
        return (code, *capfd.readouterr())

    return call


@pytest.fixture
def own(kit, place):
    """An .npz set in the data folder."""
    train = kit.samples(30, (4, 3), 3)
    path = place.data / "own.npz"
    path.write_bytes(kit.npz_bytes(**kit.npz_arrays(train, train)))
    return str(path)


def test_list(call, own, place):
    code, out, err = call("list")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[:-1]] == [*PUBLISHED, "own.npz"]
    assert lines[2].split()[:3] == ["digits", "found", "built-in"]
    assert "not found" in lines[4]
    assert lines[4].endswith("bnntrain data fetch mnist")
    assert lines[-2].split() == ["own.npz", "found", "npz", own]
    assert lines[-1] == f"data folder: {place.data}"


def test_list_says_in_which_form(call, kit, place):
    train = kit.samples(10, (32, 32, 3))
    files = cifar_files("cifar10", "binary", train, train)
    archive = place.data / "cifar10" / "cifar-10-binary.tar.gz"
    write_files(archive.parent, {archive.name: tar_gz("cifar-10-batches-bin", files)})
    write_files(place.data / "cifar-100-python", {"train": b""})
    _, out, _ = call("list")
    assert out.splitlines()[0].split() == ["cifar10", "found", "cifar-binary", str(archive)]
    folder = place.data / "cifar-100-python"
    assert f"{folder} lacks test: bnntrain data fetch cifar100" in out.splitlines()[1]


def test_list_names_what_is_missing(call, kit, place):
    paths = kit.write_idx(place.data / "mnist", kit.samples(3), kit.samples(3))
    paths["train", "labels"].unlink()
    _, out, _ = call("list")
    assert f"{place.data / 'mnist'} lacks train-labels-idx1-ubyte.gz: bnntrain data fetch" in out


def test_list_json(call, own):
    code, out, err = call("list", "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert [each["name"] for each in found] == [*PUBLISHED, own]
    assert set(found[0]) == {"name", "kind", "path", "converted", "missing"}


def test_check(call, own):
    code, out, err = call("check", "digits", own)
    assert (code, err) == (0, "")
    assert "digits: good, the published files\n  images 8x8x1, 1437 for training, 360 for" in out
    assert f"{own}: good\n  images 4x3x1, 30 for training, 30 for testing\n" in out
    table = out.splitlines()[2:13]
    assert table[0].split() == ["class", "train", "test"]
    assert table[1].split() == ["0", "142", "36"]


def test_check_json(call, own):
    code, out, err = call("check", own, "--json")
    assert (code, err) == (0, "")
    (report,) = json.loads(out)
    assert report["train"]["count"] == sum(report["train"]["labels"]) == 30


def test_check_goes_on_after_a_fault(call, own):
    code, out, err = call("check", "digits", "minst", own)
    assert code == 2
    assert "digits: good" in out
    assert f"{own}: good" in out
    assert err.startswith("DataError: minst: unknown data set")
    assert err.count("\n") == 1
    code, out, err = call("check", "minst", own, "--json")
    assert code == 2
    fault, good = json.loads(out)
    assert (fault["name"], good["name"]) == ("minst", own)
    assert "unknown data set" in fault["error"]


@pytest.mark.parametrize(
    ("arguments", "start"),
    [
        (["check", "minst"], "DataError: minst: unknown data set. Did you mean 'mnist'?"),
        (["check", "mnist"], "DataError: {data}/mnist: data set 'mnist' not found, "),
        (["check", "x.npz"], "DataError: x.npz: no such file"),
        (["fetch", "digits"], "DataError: digits: ships in the package"),
        (["fetch", "minst"], "DataError: minst: unknown data set"),
        (["fetch"], "UsageError: "),
        (["check"], "UsageError: "),
        (["list", "--yes"], "UsageError: "),
        (["remove", "mnist"], "UsageError: "),
    ],
)
def test_bad_input(call, place, arguments, start):
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith(start.format(data=place.data))
    assert err.count("\n") == 1
    assert sorted(place.root.rglob("*")) == [place.data]


def test_fetch_that_fails(call, place):
    mirrors = ["--mirror", "http://127.0.0.1:1/", "--mirror", "nowhere"]
    code, out, err = call("fetch", "mnist", *mirrors)
    assert (code, out) == (1, "")
    assert err.startswith("FetchError: ")
    assert "(http://127.0.0.1:1/: no connection; nowhere: not a usable address)" in err
    assert err.count("\n") == 1
