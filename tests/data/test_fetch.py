"""Downloads, against a real HTTP server on this machine that can be broken in every usual way."""

import gzip
import hashlib
import os
import shutil
import socket
import threading
from pathlib import Path

import pytest
from data_makers import cifar_files, tar_gz

from bnntrain.data.catalog import open_dataset
from bnntrain.data.fetch import FetchError, fetch
from bnntrain.data.published import FETCHABLE, PUBLISHED, Content
from bnntrain.errors import DataError, WriteError

NAMES = {
    "train-images": "train-images-idx3-ubyte.gz",
    "train-labels": "train-labels-idx1-ubyte.gz",
    "t10k-images": "t10k-images-idx3-ubyte.gz",
    "t10k-labels": "t10k-labels-idx1-ubyte.gz",
}


def mirrors(server, *ways):
    return [f"{server.url}{way}/" for way in ways]


def assert_complete(folder, server):
    """Assert that a folder holds exactly the four published files."""
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == server.bodies


def error_line(caught):
    line = str(caught.value)
    assert "\n" not in line
    return line


@pytest.mark.parametrize(
    "ways",
    [
        ["good"], ["missing", "good"], ["failing", "good"], ["flipped", "good"], ["page", "good"],
        ["half", "good"], ["silent", "good"], ["endless", "good"], ["shifted", "good"],
        ["noranges"], ["half", "noranges"], ["decoded"], ["elsewhere"], ["half", "elsewhere"],
        ["flipped", "half", "missing", "good"], ["half", "flipped", "good"],
        ["half", "page", "shifted", "good"], ["half"] * 20 + ["good"],
    ],
)  # fmt: skip
def test_some_mirror_is_good(kit, place, server, ways):
    files = fetch("mnist", mirrors=mirrors(server, *ways))
    folder = place.data / "mnist"
    assert_complete(folder, server)
    assert [file.fetched for file in files] == [True] * 4
    assert [file.path for file in files] == [str(folder / name) for name in NAMES.values()]
    assert [file.bytes for file in files] == [len(body) for body in server.bodies.values()]
    kit.assert_same(open_dataset("mnist").train, server.train)


def test_valid_files_are_not_fetched_again(place, server):
    fetch("mnist", mirrors=mirrors(server, "good"))
    server.requests.clear()
    before = {path: path.stat() for path in (place.data / "mnist").iterdir()}
    files = fetch("mnist", mirrors=mirrors(server, "missing"))
    assert [file.fetched for file in files] == [False] * 4
    assert server.requests == []
    assert {path: path.stat() for path in (place.data / "mnist").iterdir()} == before


def test_files_of_another_compression_or_name_are_valid(place, server):
    folder = place.data / "mnist"
    folder.mkdir()
    plain = {role: gzip.decompress(server.bodies[name]) for role, name in NAMES.items()}
    (folder / "train-images-idx3-ubyte").write_bytes(plain["train-images"])
    (folder / "train-labels.idx1-ubyte").write_bytes(plain["train-labels"])
    (folder / NAMES["t10k-images"]).write_bytes(gzip.compress(plain["t10k-images"], 1))
    files = fetch("mnist", mirrors=mirrors(server, "good"))
    assert [file.fetched for file in files] == [False, False, False, True]
    assert [name for _, name, _ in server.requests] == [NAMES["t10k-labels"]]


def test_files_in_the_data_folder_itself_are_found(place, server, monkeypatch):
    fetch("mnist", folder=place.data, mirrors=mirrors(server, "good"))
    assert_complete(place.data, server)
    files = fetch("mnist", mirrors=mirrors(server, "missing"))
    assert not any(file.fetched for file in files)


@pytest.mark.parametrize("damage", [b"", b"not a gzip file", None])
def test_damaged_file_is_replaced(kit, place, server, damage):
    fetch("mnist", mirrors=mirrors(server, "good"))
    path = place.data / "mnist" / NAMES["t10k-images"]
    path.write_bytes(path.read_bytes()[:-20] if damage is None else damage)
    files = fetch("mnist", mirrors=mirrors(server, "good"))
    assert [file.fetched for file in files] == [False, False, True, False]
    assert_complete(place.data / "mnist", server)


def test_damaged_plain_file_is_outdone(kit, place, server):
    """A damaged file under another of its names does not hide the one that was fetched."""
    folder = place.data / "mnist"
    folder.mkdir()
    (folder / "train-images-idx3-ubyte").write_bytes(b"damaged")
    assert fetch("mnist", mirrors=mirrors(server, "good"))[0].fetched
    kit.assert_same(open_dataset("mnist").train, server.train)


def test_interrupted_download_is_continued(place, server):
    name = NAMES["train-images"]
    with pytest.raises(FetchError) as caught:
        fetch("mnist", mirrors=mirrors(server, "half"))
    part = place.data / "mnist" / (name + ".part")
    got = part.stat().st_size
    assert 0 < got < len(server.bodies[name])
    assert f"run the command again to continue after {got} bytes" in error_line(caught)
    assert not (place.data / "mnist" / name).exists()
    server.requests.clear()
    fetch("mnist", mirrors=mirrors(server, "good"))
    assert server.requests[0] == ("good", name, f"bytes={got}-")
    assert_complete(place.data / "mnist", server)


@pytest.mark.parametrize("rest", [b"", b"\x1f\x8b wrong", b"complete", b"complete and more"])
@pytest.mark.parametrize("way", ["good", "noranges"])
def test_whatever_an_interrupted_download_left(place, server, rest, way):
    name = NAMES["train-images"]
    folder = place.data / "mnist"
    folder.mkdir()
    body = server.bodies[name]
    contents = {b"complete": body, b"complete and more": body + b"more"}.get(rest, rest)
    (folder / (name + ".part")).write_bytes(contents)
    fetch("mnist", mirrors=mirrors(server, way))
    assert_complete(folder, server)
    wanted = [request for request in server.requests if request[1] == name]
    if rest == b"complete":
        assert wanted == []


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("missing", "HTTP 404"),
        ("failing", "HTTP 503"),
        ("flipped", "wrong SHA-256"),
        ("page", "wrong SHA-256"),
        ("half", "the connection broke off"),
        ("silent", "no connection"),
        ("endless", "sends more bytes than the file has"),
        ("shifted", "does not have the rest of this file"),
    ],
)
def test_no_mirror_is_good(place, server, way, message):
    folder = place.data / "mnist"
    if way == "shifted":
        folder.mkdir()
        (folder / (NAMES["train-images"] + ".part")).write_bytes(b"something")
        # Asked for the whole, this mirror still answers with a part.
        server.bodies[NAMES["train-images"]] = b"nonsense"
        message = "wrong SHA-256"
    with pytest.raises(FetchError) as caught:
        fetch("mnist", mirrors=mirrors(server, way))
    line = error_line(caught)
    assert line.startswith(f"{folder / NAMES['train-images']}: no mirror gave this file (")
    assert f"{server.url}{way}/: {message}" in line
    assert "or copy the file to this place by hand" in line
    assert caught.value.exit_code == 1
    left = [path.name for path in folder.iterdir()]
    assert left == ([NAMES["train-images"] + ".part"] if way == "half" else [])


def test_no_network(place):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        with pytest.raises(FetchError, match="no connection"):
            fetch("mnist", mirrors=[url])


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "127.0.0.1", "http://", "http://[::1/", ""])
def test_unusable_addresses(place, url):
    with pytest.raises(FetchError, match="not a usable address"):
        fetch("mnist", mirrors=[url])


def test_progress(place, server):
    seen = []
    fetch("mnist", mirrors=mirrors(server, "good"), progress=lambda *report: seen.append(report))
    for name, body in server.bodies.items():
        mine = [report for report in seen if report[0] == name]
        assert mine[-1] == (name, len(body), len(body))
        assert all(total == len(body) for _, _, total in mine)
        assert [done for _, done, _ in mine] == sorted(done for _, done, _ in mine)


def test_progress_of_a_continued_download(place, server):
    seen = []
    ways = mirrors(server, "half", "good")
    fetch("mnist", mirrors=ways, progress=lambda *report: seen.append(report))
    for name, body in server.bodies.items():
        assert [report for report in seen if report[0] == name][-1] == (name, len(body), len(body))


def test_keyboard_interrupt_is_continued(place, server):
    got = []

    def interrupt(name, done, total):
        got.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch("mnist", mirrors=mirrors(server, "good"), progress=interrupt)
    assert [path.suffix for path in (place.data / "mnist").iterdir()] == [".part"]
    server.requests.clear()
    fetch("mnist", mirrors=mirrors(server, "good"))
    assert server.requests[0] == ("good", NAMES["train-images"], f"bytes={got[0]}-")
    assert_complete(place.data / "mnist", server)


def test_processes_that_fetch_at_once(place, server):
    """Threads have locks of their own, as processes do (flock belongs to the open file)."""
    faults = []

    def work():
        try:
            fetch("mnist", mirrors=mirrors(server, "good"))
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=work) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert_complete(place.data / "mnist", server)
    assert len(server.requests) == 4


def test_disk_that_fills_up(place, server, monkeypatch):
    write = os.write

    def full(fd, data):
        if os.fstat(fd).st_size > 20000:
            raise OSError(28, os.strerror(28))
        return write(fd, data[:10000])

    monkeypatch.setattr("bnntrain.data.files.os.write", full)
    with pytest.raises(WriteError) as caught:
        fetch("mnist", mirrors=mirrors(server, "good"))
    monkeypatch.undo()
    line = error_line(caught)
    assert "cannot be written: No space left on device. Free some space there or set BNN" in line
    assert list((place.data / "mnist").iterdir()) == []


def test_folder_that_cannot_be_made(place, server):
    (place.data / "mnist").write_text("in the way")
    with pytest.raises(WriteError, match=r"cannot be written: .* set BNNTRAIN_DATA to"):
        fetch("mnist", mirrors=mirrors(server, "good"))


def test_names_that_cannot_be_fetched(place):
    with pytest.raises(DataError, match=r"Did you mean 'mnist'\? Known are cifar10, cifar100, fa"):
        fetch("minst")
    with pytest.raises(DataError, match=r"ships in the package\. To be fetched: cifar10"):
        fetch("digits")


def test_published_facts():
    """Pins are for the official counts; mirrors are addresses that a name can be added to."""
    assert FETCHABLE == ["cifar10", "cifar100", "fashion-mnist", "mnist", "svhn", "svhn-extra"]
    for published in PUBLISHED.values():
        assert all(len(content.sha256) == 64 for content in published.contents.values())
        assert all(url.startswith("http") and url.endswith("/") for url in published.mirrors)
    for name in ("fashion-mnist", "mnist"):
        published = PUBLISHED[name]
        assert list(published.contents) == list(NAMES)
        assert [content.nbytes for content in published.contents.values()] == [
            16 + 60000 * 784, 8 + 60000, 16 + 10000 * 784, 8 + 10000,
        ]  # fmt: skip
        assert len(published.mirrors) >= 2


def publish(server, monkeypatch, name, file, body):
    """Let a file of a set be published with this content, and served."""
    pin = Content(len(body), hashlib.sha256(body).hexdigest(), True)
    monkeypatch.setitem(PUBLISHED[name].contents, file, pin)
    server.bodies[file] = body


def test_an_archive_is_compared_as_it_is(kit, place, server, monkeypatch):
    train, test = kit.samples(30, (32, 32, 3)), kit.samples(5, (32, 32, 3))
    file = "cifar-10-binary.tar.gz"
    body = tar_gz("cifar-10-batches-bin", cifar_files("cifar10", "binary", train, test))
    publish(server, monkeypatch, "cifar10", file, body)
    (fetched,) = fetch("cifar10", mirrors=mirrors(server, "flipped", "half", "good"))
    path = place.data / "cifar10" / file
    assert (fetched.path, fetched.bytes, fetched.fetched) == (str(path), len(body), True)
    assert path.read_bytes() == body
    kit.assert_same(open_dataset("cifar10").train, train)
    server.requests.clear()
    assert not fetch("cifar10", mirrors=mirrors(server, "missing"))[0].fetched
    assert server.requests == []
    # The same contents, compressed by somebody else, are another file.
    path.write_bytes(gzip.compress(gzip.decompress(body), 1))
    assert fetch("cifar10", mirrors=mirrors(server, "good"))[0].fetched
    assert path.read_bytes() == body


def test_an_archive_in_the_data_folder_itself_is_found(place, server, monkeypatch):
    publish(server, monkeypatch, "cifar100", "cifar-100-binary.tar.gz", b"an archive")
    (place.data / "cifar-100-binary.tar.gz").write_bytes(b"an archive")
    (found,) = fetch("cifar100", mirrors=mirrors(server, "missing"))
    assert found.path == str(place.data / "cifar-100-binary.tar.gz")
    (place.data / "cifar-100-binary.tar.gz").write_bytes(b"damaged")
    (found,) = fetch("cifar100", mirrors=mirrors(server, "good"))
    assert (found.path, found.fetched) == (str(place.data / "cifar-100-binary.tar.gz"), True)


def test_extra_files_join_those_that_are_there(place, server, monkeypatch):
    for part in ("train", "test", "extra"):
        file, body = f"{part}_32x32.mat", part.encode() * 99
        publish(server, monkeypatch, "svhn-extra", file, body)
        if part != "extra":
            publish(server, monkeypatch, "svhn", file, body)
    assert [file.fetched for file in fetch("svhn", mirrors=mirrors(server, "good"))] == [True] * 2
    files = fetch("svhn-extra", mirrors=mirrors(server, "good"))
    folder = place.data / "svhn"
    assert {file.path: file.fetched for file in files} == {
        str(folder / "train_32x32.mat"): False, str(folder / "extra_32x32.mat"): True,
        str(folder / "test_32x32.mat"): False,
    }  # fmt: skip


def test_real_mnist_is_valid_as_it_is(kit, place):
    if not kit.real_data:
        pytest.skip("BNNTRAIN_DATA is not set")
    folder = Path(kit.real_data) / "mnist"
    if not folder.is_dir():
        pytest.skip("BNNTRAIN_DATA holds no MNIST")
    shutil.copytree(folder, place.data / "mnist")
    assert not any(file.fetched for file in fetch("mnist", mirrors=[]))
