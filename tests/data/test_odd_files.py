"""Two hundred odd archives and arrays: each is read or refused in one line, in little memory."""

import io
import random
import zipfile

import numpy as np
from data_makers import (
    cifar_files,
    cifar_pickle,
    mat_file,
    python2_pickle,
    svhn_arrays,
    tar_gz,
    write_files,
)

LIMIT_KIB = 150 * 1024
COUNT = 200

RUN = r"""
import contextlib, io, os, sys, time
from pathlib import Path
from bnntrain.cli.main import run
slowest = 0.0
for folder in sorted(Path(sys.argv[1]).iterdir()):
    os.environ["BNNTRAIN_DATA"] = str(folder)
    name = (folder / "name").read_text()
    out, err = io.StringIO(), io.StringIO()
    start = time.perf_counter()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(["data", "check", name])
    slowest = max(slowest, time.perf_counter() - start)
    text = err.getvalue()
    good = code == 0 and not text or code == 2 and text.count("\n") == 1 and not out.getvalue()
    if not good or "Traceback" in text:
        print(folder, code, text)
with open("/proc/self/status") as status:
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
print("peak", peak, "slowest", round(slowest, 2), file=sys.stderr)
"""


def spoiled(contents, chance):
    """Return a file with bytes changed, most of them in its headers, or cut off."""
    changed = bytearray(contents)
    for _ in range(chance.choice([0, 1, 3, 20])):
        places = min(400, len(changed)), len(changed)
        changed[chance.randrange(chance.choice(places))] = chance.randrange(256)
    if chance.random() < 0.3:
        del changed[chance.randrange(len(changed)) :]
    return bytes(changed)


def npz(chance, kit):
    """Return an archive of arrays of any type and layout."""
    kinds = ["u1", "u1", "u1", "i1", "<u2", ">i4", "f4", "f8", "?", "c8", "U2", "M8[s]"]
    shapes = [(6, 5, 4), (6, 3, 8, 8), (6, 8, 8, 3), (6, 20), (6,), (), (0, 4, 4), (6, 1, 1, 1, 1)]
    arrays = {}
    for key in ("x_train", "y_train", "x_test", "y_test"):
        is_image = key.startswith("x")
        shape = chance.choice(shapes if is_image or chance.random() < 0.2 else [(6,)])
        kind = chance.choice(kinds if chance.random() < 0.6 else ["u1"])
        values = np.arange(int(np.prod(shape))) % 7
        arrays[key] = values.astype(kind if kind != "M8[s]" else "i8").astype(kind).reshape(shape)
    return kit.npz_bytes(chance.random() < 0.5, **arrays)


def bombs():
    """Yield archives that are small and say they are large."""
    for header in (b"\x93NUMPY\2\0\xff\xff\xff\x7f", b"\x93NUMPY\1\0\xff\xff"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for key in ("x_train", "y_train", "x_test", "y_test"):
                archive.writestr(f"{key}.npy", header + bytes(40_000_000))
        yield buffer.getvalue()


def test_odd_files(kit, place):
    chance = random.Random(12)
    train, test = kit.samples(20, (32, 32, 3)), kit.samples(10, (32, 32, 3))
    bombing = list(bombs())
    for number in range(COUNT):
        folder = place.root / "odd" / f"{number:03}"
        folder.mkdir(parents=True)
        form = number % 4
        if form == 0:
            name, contents = "own.npz", npz(chance, kit)
            if number < 4 * len(bombing):
                contents = bombing[number // 4]
            name = str(folder / name)
            (folder / "own.npz").write_bytes(spoiled(contents, chance))
        elif form == 1:
            name = "svhn"
            for part, arrays in (("train", train), ("test", test)):
                compressed, order = chance.random() < 0.5, chance.choice("<>")
                contents = mat_file(svhn_arrays(*arrays), compressed, order)
                (folder / f"{part}_32x32.mat").write_bytes(spoiled(contents, chance))
        else:
            name, protocol = "cifar10", chance.randrange(6)

            def dump(images, labels, key, protocol=protocol):
                if protocol < 3 and labels[0] % 2:
                    value = {key: labels.tolist(), "data": images.reshape(len(images), -1)}
                    return python2_pickle(value, protocol)
                return cifar_pickle(images, labels, key, protocol)

            files = cifar_files("cifar10", "python", train, test, dump)
            if form == 2:
                files["data_batch_2"] = spoiled(files["data_batch_2"], chance)
                write_files(folder / "cifar-10-batches-py", files)
            else:
                packed = spoiled(tar_gz("cifar-10-batches-py", files), chance)
                (folder / "cifar-10-python.tar.gz").write_bytes(packed)
        (folder / "name").write_text(name)
    done = kit.run_script(RUN, place.root / "odd")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    assert int(done.stderr.split()[-3]) < LIMIT_KIB, done.stderr
