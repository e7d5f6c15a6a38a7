"""``bnntrain plan``: the published figures, the goals, the limits, the table."""

from __future__ import annotations

import pytest

MIB = 1 << 20
KEYS = {
    "name", "batch_size", "threads", "published", "plan", "roles", "method", "total_bytes",
    "shared_bytes", "buffers", "memory_limit_bytes", "ram_bytes", "largest_batch",
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


def test_roles_and_buffers_add_up(program):
    plan = program.json("plan", "digits", "--threads", 1)
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
