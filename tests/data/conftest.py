"""What the data tests share: files of every format on a real disk, in a place of their own.

Functions come through the fixture `kit`, because test folders are not importable packages.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.server
import io
import os
import struct
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pytest

import bnntrain
from bnntrain.data.idx import official_name
from bnntrain.data.published import PUBLISHED, Content

REAL_DATA = os.environ.get("BNNTRAIN_DATA")
"""The data folder of whoever runs the tests, before the tests set their own."""

IDX_NAMES = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("test", "images"): "t10k-images-idx3-ubyte",
    ("test", "labels"): "t10k-labels-idx1-ubyte",
}


@contextlib.contextmanager
def workplace():
    """Give empty data and cache folders, named by the environment, and remove them afterwards."""
    with tempfile.TemporaryDirectory() as root:
        place = SimpleNamespace(root=Path(root), data=Path(root, "data"), cache=Path(root, "cache"))
        place.data.mkdir()
        changes = {"BNNTRAIN_DATA": str(place.data), "BNNTRAIN_CACHE": str(place.cache)}
        with mock.patch.dict(os.environ, changes):
            yield place


def samples(count, shape=(5, 4, 1), classes=10, seed=0):
    """Return random images (count, *shape), uint8, and labels (count,).

    Labels are 0 to the largest, without gaps; all classes where there are as many images.
    """
    random = np.random.default_rng(seed)
    images = random.integers(0, 256, (count, *shape), np.uint8)
    labels = random.integers(0, classes, count).astype(np.uint8 if classes <= 256 else np.uint16)
    labels[:classes] = np.arange(min(count, classes))
    return images, random.permutation(labels)


def idx_images(images):
    """Return the bytes of an IDX file of images (count, height, width[, 1])."""
    return struct.pack(">4I", 0x803, *images.shape[:3]) + images.tobytes()


def idx_labels(labels):
    """Return the bytes of an IDX file of labels."""
    return struct.pack(">2I", 0x801, len(labels)) + labels.tobytes()


def write_idx(folder, train, test, suffix=".gz", dotted=False):
    """Write the four files of a data set; return their paths by (split, kind)."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for split, (images, labels) in (("train", train), ("test", test)):
        for kind, contents in (("images", idx_images(images)), ("labels", idx_labels(labels))):
            name = IDX_NAMES[split, kind]
            path = folder / ((name.replace("-idx", ".idx") if dotted else name) + suffix)
            path.write_bytes(gzip.compress(contents, 1) if suffix == ".gz" else contents)
            paths[split, kind] = path
    return paths


def npz_bytes(compressed=True, **arrays):
    """Return the bytes of an .npz file."""
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def npz_arrays(train, test):
    """Return the four arrays of a data set by their keys."""
    return {"x_train": train[0], "y_train": train[1], "x_test": test[0], "y_test": test[1]}


def flat_contents(split):
    """Return all images and labels of a converted split, by reading the file as documented."""
    images = ("images", "u1", split.shape)
    labels = ("labels", "u1" if split.record_bytes == np.prod(split.shape) + 1 else "<u2")
    records = np.fromfile(split.path, [images, labels], offset=split.offset)
    return records["images"], records["labels"]


def assert_same(split, expected):
    """Assert that a converted split holds the expected images and labels."""
    images, labels = flat_contents(split)
    np.testing.assert_array_equal(images, expected[0].reshape(images.shape))
    np.testing.assert_array_equal(labels, expected[1].reshape(-1))


def leftovers(folder):
    """Return the names of all files below a folder that are no finished flat files."""
    if not folder.exists():
        return []
    return [str(path) for path in folder.rglob("*") if path.is_file() and path.suffix != ".flat"]


def run_script(text, *arguments, **environment):
    """Run Python code in a process of its own, with this bnntrain; return the finished process."""
    package = str(Path(bnntrain.__file__).parents[1])
    return subprocess.run(
        [sys.executable, "-P", "-c", text, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": package, **{k: str(v) for k, v in environment.items()}},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def kit():
    """The functions above."""
    return SimpleNamespace(
        workplace=workplace,
        samples=samples,
        idx_images=idx_images,
        idx_labels=idx_labels,
        write_idx=write_idx,
        npz_bytes=npz_bytes,
        npz_arrays=npz_arrays,
        flat_contents=flat_contents,
        assert_same=assert_same,
        leftovers=leftovers,
        run_script=run_script,
        real_data=REAL_DATA,
    )


@pytest.fixture
def place(monkeypatch):
    """Empty data and cache folders, named by the environment, and no proxy to servers on here."""
    for variable in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(variable, "*")
    with workplace() as place:
        yield place
        # What a test set on top goes first: undone later, it would bring this place back.
        monkeypatch.undo()


@pytest.fixture
def npz(kit, place):
    """A function that writes an .npz set of 3x5x2 images; returns its name, train and test."""

    def write(seed=0, count=11):
        train = kit.samples(count, (3, 5, 2), 4, seed)
        test = kit.samples(5, (3, 5, 2), 4, seed + 1)
        path = place.data / "set.npz"
        path.write_bytes(kit.npz_bytes(**kit.npz_arrays(train, test)))
        return str(path), train, test

    return write


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``/<way>/<file>``: the way says how this mirror behaves."""

    def log_message(self, *_):
        """Keep quiet."""

    def do_GET(self):
        _, way, name = self.path.split("/")
        wished = self.headers.get("Range")
        self.server.requests.append((way, name, wished))
        body = self.server.bodies[name]
        start = int(wished.removeprefix("bytes=").rstrip("-")) if wished else 0
        getattr(self, f"_{way}")(body, start)

    def _answer(self, body, start=0, status=None, length=None):
        rest = body[start:]
        self.send_response(status or (206 if start else 200))
        if start and status is None:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(rest) if length is None else length))
        self.end_headers()
        self.wfile.write(rest)

    def _good(self, body, start):
        if start >= len(body):
            self.send_error(416)
        else:
            self._answer(body, start)

    def _noranges(self, body, start):
        self._answer(body)

    def _missing(self, body, start):
        self.send_error(404)

    def _failing(self, body, start):
        self.send_error(503)

    def _flipped(self, body, start):
        middle = len(body) // 2
        self._good(body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :], start)

    def _page(self, body, start):
        self._answer(b"<html>Please log in to this network</html>")

    def _half(self, body, start):
        """Break off in the middle of what is asked for."""
        end = start + (len(body) - start + 1) // 2
        self._answer(body[:end], start, length=len(body) - start)

    def _silent(self, body, start):
        """Take the request and close without a word."""
        self.close_connection = True

    def _shifted(self, body, start):
        """Answer with another range than the one asked for."""
        self.send_response(206)
        self.send_header("Content-Range", f"bytes 0-{len(body) - 1}/{len(body)}")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _endless(self, body, start):
        self.send_response(200)
        self.end_headers()
        try:
            while True:
                self.wfile.write(bytes(1 << 16))
        except OSError:
            self.close_connection = True

    def _decoded(self, body, start):
        """Send decompressed contents, labelled so, to whoever does not refuse it."""
        if self.headers.get("Accept-Encoding") == "identity":
            self._good(body, start)
        else:
            self.send_response(200)
            self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def _elsewhere(self, body, start):
        self.send_response(302)
        self.send_header("Location", self.path.replace("/elsewhere/", "/good/"))
        self.end_headers()


@pytest.fixture
def server(monkeypatch):
    """A server of a small data set, whose contents take the place of MNIST's published ones."""
    train, test = samples(3000, (7, 7)), samples(50, (7, 7))
    contents = {
        "train-images": idx_images(train[0]),
        "train-labels": idx_labels(train[1]),
        "t10k-images": idx_images(test[0]),
        "t10k-labels": idx_labels(test[1]),
    }
    for role, content in contents.items():
        pin = Content(len(content), hashlib.sha256(content).hexdigest())
        monkeypatch.setitem(PUBLISHED["mnist"].contents, role, pin)
    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.requests = []
    httpd.bodies = {official_name(role): gzip.compress(c) for role, c in contents.items()}
    httpd.train = train
    httpd.url = f"http://127.0.0.1:{httpd.server_address[1]}/"
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield httpd
    httpd.shutdown()
    httpd.server_close()
    thread.join()
