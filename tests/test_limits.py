"""Processors and memory that a process may use: affinity and control groups of both versions."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnntrain.limits import available_bytes, available_threads, memory_limit_bytes

PROGRAM = Path(sys.executable).with_name("bnntrain")
MEMINFO = "MemTotal:  16000000 kB\nMemAvailable:  8000000 kB\n"
MIB = 1 << 20
V2 = "41 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n"
V1_CPU = "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:9 - cgroup cgroup rw,cpu,cpuacct\n"
V1_MEMORY = "35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n"
# What version 1 writes where there is no limit.
NO_LIMIT = "9223372036854771712\n"


def tree(root: Path, mountinfo: str, groups: str, files: Mapping[str, str]) -> Path:
    """Write what a system tells of its groups; paths of `files` are below /sys/fs/cgroup."""
    texts = {"proc/self/mountinfo": mountinfo, "proc/self/cgroup": groups, "proc/meminfo": MEMINFO}
    texts |= {f"sys/fs/cgroup/{name}": text for name, text in files.items()}
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _pid: set(range(8)))


@pytest.mark.parametrize(
    ("cpu_max", "threads"),
    [
        ("max 100000", 8), ("50000 100000", 1), ("100000 100000", 1), ("150000 100000", 2),
        ("400000 100000", 4), ("9900000 100000", 8), ("1000 1000000", 1),
        ("", 8), ("nonsense", 8), ("0 0", 8), ("-1 100000", 8),
    ],
)  # fmt: skip
def test_quota_of_version_2(tmp_path, cpu_max, threads):
    root = tree(tmp_path, V2, "0::/user/a\n", {"user/a/cpu.max": cpu_max})
    assert available_threads(root) == threads


@pytest.mark.parametrize(
    ("quota", "period", "threads"),
    [
        ("-1", "100000", 8), ("50000", "100000", 1), ("250000", "100000", 3), ("100", "0", 8),
        ("", "", 8),
    ],
)  # fmt: skip
def test_quota_of_version_1(tmp_path, quota, period, threads):
    files = {"cpu,cpuacct/a/cpu.cfs_quota_us": quota, "cpu,cpuacct/a/cpu.cfs_period_us": period}
    root = tree(tmp_path, V1_CPU + V2, "3:cpu,cpuacct:/a\n0::/\n", files)
    assert available_threads(root) == threads


def test_groups_above_limit_too(tmp_path):
    files = {
        "cpu.max": "max 100000", "user/cpu.max": "200000 100000", "user/a/cpu.max": "400000 100000",
        "user/memory.max": str(64 * MIB), "user/memory.current": str(16 * MIB),
        "user/a/memory.max": "max", "user/a/memory.current": str(8 * MIB),
    }  # fmt: skip
    root = tree(tmp_path, V2, "0::/user/a\n", files)
    assert available_threads(root) == 2
    assert available_bytes(root) == 48 * MIB
    assert memory_limit_bytes(root) == 64 * MIB


def test_pages_of_files_count_as_left(tmp_path):
    files = {
        "memory.max": str(64 * MIB), "memory.current": str(60 * MIB),
        "memory.stat": f"anon 100\ninactive_file {40 * MIB}\nactive_file {10 * MIB}\n",
    }  # fmt: skip
    assert available_bytes(tree(tmp_path, V2, "0::/\n", files)) == 44 * MIB


def test_memory_of_version_1(tmp_path):
    files = {
        "memory/a/b/memory.limit_in_bytes": NO_LIMIT, "memory/a/b/memory.usage_in_bytes": "4096",
        "memory/a/memory.limit_in_bytes": f"{64 * MIB}\n",
        "memory/a/memory.usage_in_bytes": f"{32 * MIB}\n",
        "memory/a/memory.stat": f"inactive_file 7\ntotal_inactive_file {8 * MIB}\n",
        "memory/memory.limit_in_bytes": NO_LIMIT, "memory/memory.usage_in_bytes": str(9 << 40),
    }  # fmt: skip
    root = tree(tmp_path, V1_MEMORY + V2, "4:memory:/a/b\n0::/\n", files)
    assert available_bytes(root) == 40 * MIB
    assert memory_limit_bytes(root) == 64 * MIB


def test_a_container_sees_its_own_group_as_the_root(tmp_path):
    mounted = V2.replace(" / /sys", " /docker/abc /sys")
    files = {"cpu.max": "100000 100000", "memory.max": str(MIB), "memory.current": "0"}
    for groups in ("0::/docker/abc\n", "0::/../../elsewhere\n", "0::/\n"):
        assert available_threads(tree(tmp_path, mounted, groups, files)) == 1
        assert available_bytes(tmp_path) == MIB


def test_a_folder_with_a_blank(tmp_path):
    mounted = V2.replace("/sys/fs/cgroup", "/sys/fs/cgroup/my\\040groups")
    root = tree(tmp_path, mounted, "0::/\n", {"my groups/cpu.max": "100000 100000"})
    assert available_threads(root) == 1


def test_without_groups(tmp_path):
    assert available_threads(tmp_path) == 8
    assert available_bytes(tmp_path) is None
    assert memory_limit_bytes(tmp_path) is None
    assert available_bytes(tree(tmp_path, "", "", {})) == 8000000 << 10


line = st.text(st.sampled_from("0:/ -,acgprou2mxmemory.\\4\n"), max_size=60)


@given(mounts=line, groups=line, value=line)
def test_no_file_of_any_content_is_fatal(tmp_path_factory, mounts, groups, value):
    root = tree(
        tmp_path_factory.mktemp("root"), V2 + V1_MEMORY + mounts, groups,
        {"cpu.max": value, "memory.max": value, "memory.current": value, "memory.stat": value},
    )  # fmt: skip
    assert 1 <= available_threads(root) <= 8
    assert available_bytes(root) >= 0


# Groups of this machine, where it lets us make some ----------------------------------------------

LIMITS = {
    "cpu": {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"},
    "memory": {"memory.limit_in_bytes": str(64 * MIB)},
    "unified": {"cpu.max": "50000 100000", "memory.max": str(64 * MIB)},
}


@pytest.fixture
def limited_groups() -> Iterator[list[Path]]:
    """Groups of half a processor and 64 MiB."""
    base = Path("/sys/fs/cgroup")
    version_1 = (base / "memory").is_dir() and (base / "cpu").is_dir()
    parents = [base / "cpu", base / "memory"] if version_1 else [base]
    groups = [parent / f"bnntrain-test-{os.getpid()}" for parent in parents]
    try:
        for group in groups:
            group.mkdir()
            kind = group.parent.name if version_1 else "unified"
            for name, value in LIMITS[kind].items():
                (group / name).write_text(value)
        yield groups
    except OSError as error:
        pytest.skip(f"no control group of our own: {error}")
    finally:
        for group in groups:
            if group.is_dir():
                group.rmdir()


def test_a_limited_process_knows_and_stays_within(limited_groups, tmp_path):
    def run(*arguments: str) -> subprocess.CompletedProcess:
        enter = "; ".join(f"echo $$ > {group}/cgroup.procs" for group in limited_groups)
        command = ["sh", "-ec", f'{enter}; exec "$0" "$@"', PROGRAM, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    try:
        facts = json.loads(run("doctor", "--json").stdout)
    except json.JSONDecodeError:
        pytest.skip("no process of ours may enter a group")
    assert facts["threads"] == 1
    assert facts["memory"]["limit_bytes"] == 64 * MIB
    assert facts["memory"]["available_bytes"] < 64 * MIB
    plan = json.loads(run("plan", "mlp_mnist_quick", "--json").stdout)
    assert plan["ram_bytes"] < 64 * MIB
    done = run("fit", "digits", "--epochs", "2", "--run-dir", "run", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["threads"] == 1
    layers = "model.layers=[{dense: 65536}, batch_norm, sign, {dense: 10}, batch_norm]"
    large = run("fit", "digits", "--method", "standard", "-s", layers, "--run-dir", "large")
    assert "the system may end the run. Give --memory-limit" in large.stderr
    assert large.returncode != 0  # as it did
