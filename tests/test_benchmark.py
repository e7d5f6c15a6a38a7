"""Benchmarks: every kernel has a case, a profiled step adds up."""

import json
import re
import subprocess
import sys
import tracemalloc
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bnntrain import api, kernels
from bnntrain.benchmark import bench_step
from bnntrain.calls import count_step
from bnntrain.cli.bench import heading
from bnntrain.kernel_cases import ELEMENTWISE, PRODUCTS, make_elementwise, make_product
from bnntrain.step_table import NAMES, read_steps

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tools"))

from pi_boards import BOARDS
from pi_model import Row, step_of

PRODUCT_ZONES = ("forward", "recompute", "input_gradient", "weight_gradient")
"""Zones that multiply."""


def isas_of(op):
    """Instruction sets of this machine that an operation is written for."""
    machine = kernels.supported_isas()
    return [isa for name, isa in kernels.implementations() if name == op and isa in machine]


@pytest.mark.parametrize("op", ELEMENTWISE)
def test_every_operation_can_be_called_on_every_instruction_set(op):
    call, values = make_elementwise(op, np.random.default_rng(0))
    for isa in isas_of(op):
        call(isa)
    assert values >= 1000


@pytest.mark.parametrize("op", PRODUCTS)
def test_products_can_be_called_in_any_shape(op):
    call = make_product(op, np.random.default_rng(0), 3, 130, 70)
    for isa in isas_of(op):
        call(isa)


@pytest.mark.parametrize("method", ["standard", "wang2021", "efficient"])
def test_a_profiled_step_names_every_zone_and_adds_up(method):
    prepared = api.prepare("digits", {"method": method, "train.threads": 1})
    result = bench_step(prepared, steps=6, warmup=1)
    assert result["method"] == method
    assert result["batch_size"] == 50
    assert 0 <= result["outside_kernels_share"] < 1
    found = {(row["op"], row["layer"]) for row in result["kernels"]}
    assert {("read", "all"), ("loss", "all")} <= found
    for layer in ("dense1", "dense2", "dense3"):
        assert {op for op, name in found if name == layer} >= {
            "forward",
            "recompute",
            "weight_gradient",
            "update",
        }
    # The first block hands no gradient on.
    assert {name for op, name in found if op == "input_gradient"} == {"dense2", "dense3"}
    for row in result["kernels"]:
        assert (row["gmac_per_s"] is not None) == (row["op"] in PRODUCT_ZONES)
        assert row["op"] in NAMES
    products = (row for row in result["kernels"] if row["gmac_per_s"])
    assert sum(row["seconds"] * row["gmac_per_s"] for row in products) == pytest.approx(
        result["gmac"]
    )
    # Three products of a weight a sample, and y again; the first block has no input gradient.
    # Tables have whole groups of depths.
    first, *others = (step.product.weights for step in prepared.steps)
    gmac = 50 * (3 * first + 4 * sum(others)) / 1e9
    assert gmac <= result["gmac"] * (1 + 1e-9)
    assert result["gmac"] < gmac * (1.1 if method == "efficient" else 1 + 1e-9)


RESIDUAL = """\
name: streams
model:
  layers:
  - conv: {channels: 8, weights: real}
  - batch_norm
  - residual: {layers: [sign, {conv: 8}, batch_norm]}
  - residual:
      shortcut: [avg_pool, {conv: {channels: 16, kernel: 1, weights: real}}, batch_norm]
      layers: [sign, {conv: {channels: 16, stride: 2}}, batch_norm]
  - global_avg_pool
  - dense: {units: 10, weights: real}
data: {dataset: digits}
train: {epochs: 1, batch_size: 20, learning_rate: 1e-3, threads: 2}
"""


@pytest.fixture
def residual(tmp_path):
    """Return the path of a residual network's configuration."""
    path = tmp_path / "streams.yaml"
    path.write_text(RESIDUAL)
    return path


@pytest.mark.parametrize("method", ["standard", "wang2021", "efficient"])
def test_products_of_real_layers_count(method, residual):
    result = bench_step(api.prepare(str(residual), {"method": method}), steps=4, warmup=1)
    found = {(row["layer"], row["op"]): row for row in result["kernels"]}
    speeds = {key: row["gmac_per_s"] for key, row in found.items() if row["gmac_per_s"]}
    gmac = {key: speed * found[key]["seconds"] for key, speed in speeds.items()}
    # Layers in the order in which they run: pixels, block, shortcut, block, head. Of 8x8 images, y
    # of a real convolution is made twice on the way forward, or four times: the norm of wang2021
    # also adds up deviations and magnitudes.
    times = 4 if method == "wang2021" else 2
    for layer, macs in (("conv1", 8 * 8 * 9 * 8), ("conv3", 4 * 4 * 8 * 16)):
        assert gmac[layer, "forward"] == pytest.approx(20 * times * macs / 1e9)
        assert gmac[layer, "weight_gradient"] == pytest.approx(20 * macs / 1e9)
    assert gmac["conv3", "input_gradient"] == pytest.approx(20 * 4 * 4 * 8 * 16 / 1e9)
    for zone in ("forward", "weight_gradient", "input_gradient"):
        assert gmac["dense5", zone] == pytest.approx(20 * 16 * 10 / 1e9)
    assert ("conv1", "input_gradient") not in found
    assert sum(gmac.values()) == pytest.approx(result["gmac"])


def bnntrain(*arguments):
    return subprocess.run(
        [sys.executable, "-P", "-m", "bnntrain", *arguments], capture_output=True, text=True
    )


def test_bench_prints_the_documented_json():
    done = bnntrain("bench", "--op", "gemm_i8_u1_i32", "--isa", "portable", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert rows
    assert all(
        set(row) == {"op", "isa", "threads", "shape", "gmac_per_s", "limit_gmac_per_s"}
        for row in rows
    )
    assert {row["isa"] for row in rows} == {"portable"}


def test_bench_step_prints_the_documented_json():
    done = bnntrain("bench", "--step", "digits", "--steps", "4", "--json")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result) == {
        "config",
        "seconds_per_batch",
        "batch_size",
        "method",
        "isa",
        "threads",
        "gmac",
        "gmac_per_s",
        "kernels",
        "outside_kernels_share",
        "board",
        "cpu",
        "before",
        "after",
    }
    assert set(result["before"]) == {"clock", "temperature_celsius", "throttling"}


STEP = ("bench", "--step", "digits", "--steps", "4", "--threads", "1")


def rows_of(text):
    """Label and cells of the lines of a step's table."""
    lines = [re.split(r"\s{2,}", line) for line in text.split("\n\n")[1].splitlines()]
    return {line[0]: line[1:] for line in lines if len(line) > 1}


@pytest.mark.parametrize("method", ["efficient", "standard"])
def test_bench_step_prints_passes_seconds_and_the_largest_passes(method):
    done = bnntrain(*STEP, "--method", method, "--most", "3")
    assert done.returncode == 0, done.stderr
    heading = done.stdout.split("\n\n")[0]
    assert f"digits, {method}, batch 50, 1 thread, " in heading
    assert "GMAC/s" in heading
    rows = rows_of(done.stdout)
    head, *labels = rows
    assert (head, rows[head]) == ("ms per batch", ["measured", "share", "GMAC/s"])
    end = labels.index("s per batch")
    passes, singles = labels[:end], labels[end + 1 :]
    assert passes == [name.replace("_", " ") for name in NAMES if name.replace("_", " ") in passes]
    assert {"forward", "norm backward", "update", "loss", "read", "outside"} <= set(passes)
    assert sum(float(rows[label][1].rstrip("%")) for label in passes) == pytest.approx(100, abs=1)
    assert len(singles) == 3
    assert all(re.match(r"dense\d ", label) for label in singles)
    milliseconds = [float(rows[label][0]) for label in singles]
    assert milliseconds == sorted(milliseconds, reverse=True)


def test_a_step_is_shown_beside_one_from_a_file(tmp_path):
    path = tmp_path / "before.json"
    path.write_text(bnntrain(*STEP, "--json").stdout)
    done = bnntrain(*STEP, "--against", path)
    assert done.returncode == 0, done.stderr
    rows = rows_of(done.stdout)
    assert rows["ms per batch"] == ["measured", "given", "ratio"]
    measured, given, ratio = rows["weight gradient"]
    assert float(measured) / float(given) == pytest.approx(float(ratio.rstrip("x")), rel=0.1)


@pytest.mark.parametrize("network", ["digits", "residual"])
def test_the_rows_of_the_model_of_boards_are_those_measured(network, residual, tmp_path):
    config = str(residual) if network == "residual" else network
    prepared = api.prepare(config, {"train.threads": 1})
    passes = count_step(prepared)
    rows = [Row(one.layer, one.name, 1e-3, 1e-3, 0.0, 1, one.macs) for one in passes]
    own = ["between_kernels"] + ["gather"] * (network == "residual")
    rows += [Row(step.name, name, 1e-3, 1e-3, 0.0, 1) for step in prepared.steps for name in own]
    steps = [step_of(board, rows, prepared) for board in BOARDS]
    path = tmp_path / "model.json"
    path.write_bytes(msgspec.json.encode(steps))
    step = ("bench", "--step", config, "--steps", "4", "--threads", "1")
    done = bnntrain(*step, "--against", path)
    assert done.returncode == 0, done.stderr
    found = rows_of(done.stdout)
    assert found["ms per batch"] == ["measured", *(f"model {board.name}" for board in BOARDS)]
    missing = {label: [cell == "-" for cell in cells] for label, cells in found.items()}
    only_measured, only_modelled = [False, *[True] * 4], [True, *[False] * 4]
    assert missing.pop("read") == missing.pop("outside") == only_measured
    assert missing.pop("between kernels") == only_modelled
    assert not any(any(cells) for cells in missing.values())
    # On a board of the file its column is the only one.
    what = steps[0].what
    assert read_steps(str(path), what, "Raspberry Pi 4 Model B Rev 1.4") == [steps[2]]
    assert len(read_steps(str(path), what, None)) == len(BOARDS)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        (None, "No such file"),
        ("{", "--json"),
        ('[{"op": "gemm_f32"}]', "--json"),
        ("[]", "no step of digits, efficient, batch 50, threads 1. It has: none"),
    ],
)
def test_files_without_such_a_step_are_refused(tmp_path, text, fragment):
    path = tmp_path / "given.json"
    if text is not None:
        path.write_text(text)
    done = bnntrain(*STEP, "--against", path)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert str(path) in done.stderr
    assert fragment in done.stderr


def test_the_condition_of_a_board_stands_above_the_table():
    condition = {
        "clock": {
            "governor": "ondemand", "current_mhz": 600, "maximum_mhz": 1400, "held_low": False
        },
        "temperature_celsius": 48.2,
        "throttling": {"now": [], "since_start": ["under-voltage"]},
    }  # fmt: skip
    unknown = dict.fromkeys(condition)
    result = {
        "config": "digits", "method": "efficient", "batch_size": 50, "threads": 4, "isa": "neon",
        "gmac": 0.0174, "gmac_per_s": 3.2, "board": "Raspberry Pi 3 Model B Plus Rev 1.3",
        "cpu": "Cortex-A53", "before": condition, "after": unknown,
    }  # fmt: skip
    assert heading(result) == [
        ("step", "digits, efficient, batch 50, 4 threads, neon"),
        ("work", "0.02 GMAC, 3.2 GMAC/s"),
        ("machine", "Raspberry Pi 3 Model B Plus Rev 1.3, Cortex-A53"),
        (
            "before",
            "clock 600 of 1400 MHz, governor ondemand; temperature 48 C; "
            "throttling now: none; since the system started: under-voltage",
        ),
    ]


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (["--op", "gem"], "--op"),
        (["--isa", "sse9"], "--isa"),
        (["--epochs", "3"], "--step CONFIG"),
        (["--step", "nosuch"], "nosuch"),
        (["--steps", "0"], "--steps"),
        (["--against", "steps.json"], "--step CONFIG"),
        (["--step", "digits", "--against", "steps.json", "--json"], "without --json"),
        (["--step", "digits", "--most", "-1"], "--most"),
    ],
)
def test_bench_refuses_what_it_does_not_know(arguments, fragment):
    done = bnntrain("bench", *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert fragment in done.stderr


def test_operands_of_a_product_are_made_in_little_more_than_they_take():
    tracemalloc.start()
    try:
        make_product("xnor_gemm_u1_i32", np.random.default_rng(0), 512, 512, 512)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2 * 512 * 512 * 4
