"""``bnntrain plan``: the published figures, the goals, the limits, the table."""

from __future__ import annotations

import pytest

MIB, GIB = 1 << 20, 1 << 30
KEYS = {
    "name", "batch_size", "threads", "published", "plan", "roles", "method", "total_bytes",
    "shared_bytes", "published_printed", "buffers", "decoding", "memory_limit_bytes", "ram_bytes",
    "largest_batch",
}  # fmt: skip
BUFFER_KEYS = {
    "name", "role", "layer", "shape", "bits", "first_use", "last_use", "offset", "bytes",
}  # fmt: skip


@pytest.mark.parametrize("threads", [1, 2])
def test_mlp_has_the_published_figures_and_meets_the_goal(program, threads):
    plan = program.json("plan", "configs/mlp_mnist_quick.yaml", "--threads", threads)
    assert set(plan) == KEYS
    assert plan["batch_size"] == 100
    assert plan["threads"] == threads
    assert round(plan["published"]["standard"] / MIB, 2) == 7.41
    assert round(plan["published"]["low_memory"] / MIB, 2) == 2.66
    assert set(plan["plan"]) == {"standard", "wang2021", "efficient"}
    assert plan["method"] == "efficient"
    assert plan["plan"]["efficient"] == plan["total_bytes"] <= 1.2 * MIB
    assert plan["plan"]["efficient"] < plan["plan"]["wang2021"] < plan["plan"]["standard"]


@pytest.mark.parametrize(
    ("config", "batch", "formula", "printed"),
    [
        ("mlp_mnist", 100, (7.41, 2.66), (7.40, 2.65)),
        ("cnv_cifar10", 100, (129.09, 32.92), (134.05, 32.16)),
        ("cnv_svhn_quick", 100, (129.09, 32.92), (134.05, 32.16)),
        ("binarynet_svhn", 100, (512.85, 138.15), (512.81, 138.15)),
        ("binarynet_cifar10_quick", 100, (512.85, 138.15), (512.81, 138.15)),
        ("binarynet_cifar10_quick", 40, (333.55, 104.42), None),
    ],
)
def test_published_figures(program, config, batch, formula, printed):
    plan = program.json("plan", config, "--threads", 1, "--batch-size", batch)
    assert set(plan) == KEYS
    assert tuple(round(size / MIB, 2) for size in plan["published"].values()) == formula
    assert plan["published_printed"] == (
        printed and {"standard_mib": printed[0], "low_memory_mib": printed[1]}
    )
    text = program.run("plan", config, "--threads", 1, "--batch-size", batch).stdout
    assert ("their table prints" in text) == (printed is not None)
    if printed:
        assert f"prints {printed[0]:.2f} and {printed[1]:.2f} for this model and batch" in text


@pytest.mark.parametrize("config", ["resnete18_imagenet", "bireal18_imagenet"])
def test_networks_for_imagenet_meet_their_goals_without_the_data(program, config):
    large = program.json("plan", config, "--batch-size", 4096, "--threads", 4)
    assert [round(size / GIB, 2) for size in large["published"].values()] == [70.24, 18.48]
    printed = [round(size * MIB / GIB, 2) for size in large["published_printed"].values()]
    assert printed == [70.11, 18.54]
    assert large["total_bytes"] <= 4.4 * GIB
    assert large["plan"]["efficient"] == large["total_bytes"]
    small = program.json("plan", config, "--batch-size", 16, "--threads", 2)
    assert small["total_bytes"] <= 50 * MIB
    assert program.json("plan", config, "--threads", 4)["total_bytes"] <= 128 * MIB


def test_printed_figures_are_of_the_published_network_alone(program):
    model = "{name: cnv, layers: [{dense: 256}, batch_norm, sign, {dense: 10}, batch_norm]}"
    for options in (["-s", f"model={model}"], ["-s", "model=mlp"]):
        assert program.json("plan", "cnv_cifar10", *options)["published_printed"] is None


@pytest.mark.parametrize("config", ["digits", "cifar_smoke"])
def test_roles_and_buffers_add_up(program, config):
    plan = program.json("plan", config, "--threads", 1)
    for name, total in plan["published"].items():
        assert sum(plan["roles"]["published"][name].values()) == total
    assert all(set(buffer) == BUFFER_KEYS for buffer in plan["buffers"])
    ends = [buffer["offset"] + buffer["bytes"] for buffer in plan["buffers"]]
    assert 0 <= plan["total_bytes"] - max(ends) < 64
    assert sum(plan["roles"]["plan"]["efficient"].values()) == (
        plan["total_bytes"] + plan["shared_bytes"]
    )


def test_configured_method_stands_beside_the_rows(program):
    plan = program.json("plan", "digits", "-s", "representation.latent=int16")
    assert set(plan["plan"]) == {"standard", "wang2021", "efficient", "configured"}
    assert plan["plan"]["configured"] == plan["total_bytes"] > plan["plan"]["efficient"]
    plan = program.json("plan", "digits", "--method", "wang2021")
    assert plan["plan"]["wang2021"] == plan["total_bytes"]


def test_largest_batch_is_the_largest(program):
    plan = program.json("plan", "mlp_mnist_quick", "--threads", 1, "--ram", "2MiB")
    assert plan["ram_bytes"] == 2 * MIB
    batch = plan["largest_batch"]
    fits, exceeds = (
        program.json("plan", "mlp_mnist_quick", "--threads", 1, "--batch-size", size)["total_bytes"]
        for size in (batch, batch + 1)
    )
    assert fits <= 2 * MIB < exceeds


def test_largest_batch_is_all_samples_or_none(program):
    assert program.json("plan", "digits", "--ram", "8GiB")["largest_batch"] == 1293
    assert program.json("plan", "digits", "--ram", "1KiB")["largest_batch"] is None
    assert program.json("plan", "digits")["ram_bytes"] > MIB


def test_memory_limit_gives_the_plan_that_fit_would_take(program):
    limited = program.json("plan", "mlp_mnist_quick", "--threads", 1, "--memory-limit", "1MiB")
    assert limited["memory_limit_bytes"] == MIB
    assert limited["batch_size"] < 100
    assert limited["total_bytes"] <= MIB
    text = program.run("plan", "mlp_mnist_quick", "--threads", 1, "--memory-limit", "1MiB").stdout
    assert f"makes the batch {limited['batch_size']}" in text
    text = program.run("plan", "digits", "--memory-limit", "9MiB").stdout
    assert "a limit of 9.00 MiB leaves the batch at 50" in text


def test_memory_limit_that_nothing_meets_is_refused(program):
    line = program.error("plan", "digits", "--memory-limit", "9KiB")
    assert line.startswith("MemoryLimitError: a limit of 9,216 bytes is too small")


def test_table(program):
    done = program.run("plan", "mlp_mnist_quick", "--threads", 1, "--ram", "64MiB", "--buffers")
    lines = done.stdout.splitlines()
    assert done.stderr == ""
    assert max(map(len, lines)) <= 100
    assert lines[0] == "mlp_mnist_quick: batch 100, 1 thread, method efficient"
    cells = {line.split("  ")[0]: line.split() for line in lines if line}
    assert cells["MiB by variable"][-4:] == ["standard", "low-memory", "standard", "efficient"]
    assert cells["total"][1:3] == ["7.41", "2.66"]
    assert cells["published standard / this"][4:6] == ["1.00x", "2.78x"]
    assert cells["largest batch in 64.00 MiB"][-1] != "-"
    assert cells["dense1.latent"][1:4] == ["W", "256x784", "8"]
    update = "lifetime: 0 reads the batch, 1-5 forward, 6 loss, 7-11 backward, 12 update"
    assert lines[-1] == update


def test_table_of_a_convolutional_network(program):
    done = program.run("plan", "cnv_cifar10", "--threads", 1, "--ram", "64MiB", "--buffers")
    lines = done.stdout.splitlines()
    assert done.stderr == ""
    assert max(map(len, lines)) <= 100
    cells = {line.split("  ")[0]: line.split() for line in lines if line}
    assert cells["total"][1:3] == ["129.09", "32.92"]
    assert cells["published standard / this"][4:6] == ["1.00x", "3.92x"]
    assert cells["conv2.latent"][1] == "W"
    assert cells["dense9.latent"][1:4] == ["W", "10x512", "8"]
    update = "lifetime: 0 reads the batch, 1-9 forward, 10 loss, 11-19 backward, 20 update"
    assert lines[-1] == update
