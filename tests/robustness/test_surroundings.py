"""Output that nobody reads, names that are no text, a system that gives no memory."""

from __future__ import annotations

import json
import os
import pty
import resource
import shlex
import signal
import subprocess
from pathlib import Path

import pytest
from robustness_kit import COMMAND, TINY, call

FIT = ("fit", "tiny.yaml", "--run-dir", "run")


def shell(place, script, **environment):
    """Run a shell script that calls bnntrain; return exit code and what was printed."""
    done = subprocess.run(
        ["sh", "-c", script.replace("bnntrain", shlex.join(COMMAND))], cwd=place.work, check=False,
        env={**os.environ, **place.environment, **environment}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, errors="surrogateescape",
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def finished(place):
    """Whether the run came to its end."""
    return json.loads((place.work / "run/run.json").read_text())["status"] == "finished"


@pytest.fixture
def tiny(place):
    """A place with ``tiny.yaml``."""
    place.write("tiny.yaml", TINY)
    return place


def test_a_reader_that_has_had_enough(tiny):
    script = f"{{ bnntrain {' '.join(FIT)}; echo $? >code; }} | true"
    _, _, err = shell(tiny, script)
    assert all(line.startswith("epoch") for line in err.splitlines())
    assert finished(tiny)
    assert (tiny.work / "code").read_text() in ("0\n", "1\n")  # `true` may not have ended yet


def test_a_pipe_that_is_closed_already(tiny):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, *FIT, "-q"], cwd=tiny.work, env={**os.environ, **tiny.environment},
        stdout=writing, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, b"")
    assert finished(tiny)


def rows(place):
    """How many epochs are recorded."""
    return len((place.work / "run/metrics.csv").read_text().splitlines()) - 1


def test_progress_that_nobody_reads_any_more(tiny):
    tiny.write("tiny.yaml", TINY.replace("epochs: 2", "epochs: 300"))
    with subprocess.Popen(
        [*COMMAND, *FIT], cwd=tiny.work, env={**os.environ, **tiny.environment},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as child:  # fmt: skip
        assert child.stderr.readline().startswith(b"epoch")
        child.stderr.close()
        assert child.wait() == 0
    assert finished(tiny)
    assert rows(tiny) == 300


@pytest.mark.parametrize("is_ignored", [False, True])
def test_a_terminal_that_is_closed(tiny, is_ignored):
    tiny.write("tiny.yaml", TINY.replace("epochs: 2", "epochs: 600"))
    pid, screen = pty.fork()
    if pid == 0:
        # As nohup leaves it, or as a shell.
        signal.signal(signal.SIGHUP, signal.SIG_IGN if is_ignored else signal.SIG_DFL)
        os.chdir(tiny.work)
        os.execve(COMMAND[0], [*COMMAND, *FIT], {**os.environ, **tiny.environment})
    seen = b""
    while b"epoch 2/600" not in seen.replace(b"epoch   2", b"epoch 2"):
        seen += os.read(screen, 65536)
    os.close(screen)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if is_ignored:
        assert finished(tiny)
        assert rows(tiny) == 600
        return
    assert code == 130
    assert json.loads((tiny.work / "run/run.json").read_text())["status"] == "interrupted"
    assert 0 < rows(tiny) < 600
    assert call("fit", "--resume", "run", "-q").code == 0
    assert rows(tiny) == 600


def test_a_hang_up_that_is_ignored_stays_ignored(tiny):
    script = f"trap '' HUP; bnntrain {' '.join(FIT)} -q & kill -HUP $!; wait $!"
    code, out, err = shell(tiny, script)
    assert (code, err) == (0, "")
    assert "test accuracy" in out


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    ("verb", "code"), [(" ".join(FIT), 0), ("plan tiny.yaml", 0), ("fit no.yaml", 2)]
)
def test_closed_standard_streams(tiny, verb, code, closed):
    found, _, err = shell(tiny, f"bnntrain {verb} {closed}")
    assert found == code
    assert "Traceback" not in err
    assert code or "plan" in verb or finished(tiny)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no /dev/full")
@pytest.mark.parametrize("verb", [" ".join(FIT) + " -q", "plan tiny.yaml", "data list --json"])
def test_a_full_disk_for_the_output(tiny, verb):
    line = "output: No space left on device. Free some space, or write to another place"
    assert shell(tiny, f"bnntrain {verb} >/dev/full") == (1, "", f"WriteError: {line}\n")


def test_a_folder_whose_name_is_no_text(tiny):
    # As in a locale such as en_US.UTF-8, where Python's standard output refuses what is no text.
    code, out, err = shell(
        tiny, "bnntrain fit tiny.yaml -q --run-dir $(printf 'caf\\351')",
        PYTHONIOENCODING="utf-8:strict",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "run: caf" in out
    names = {os.fsencode(path.name) for path in tiny.work.iterdir()}
    assert names == {b"tiny.yaml", b"caf\xe9"}


def test_a_system_that_gives_no_memory(tiny):
    wide = "{dense: 65536}, batch_norm, sign, {dense: 65536}"
    tiny.write("huge.yaml", TINY.replace("{dense: 16}", wide))
    before = tiny.snapshot()

    def limited():
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))

    result = tiny.spawn("fit", "huge.yaml", "--run-dir", "run", preexec_fn=limited)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("MemoryLimitError: huge.yaml: train.batch_size: the system does")
    assert result.err.count("\n") == 1
    assert "Give a smaller" in result.err
    assert tiny.snapshot() == before


def test_a_memory_limit_lowers_the_batch(tiny):
    large = ("--batch-size", "500")
    plan = json.loads(call("plan", "tiny.yaml", *large, "--json").out)
    limit = plan["total_bytes"] * 3 // 4
    limited = (*FIT, *large, "--memory-limit", str(limit))
    done = call(*limited, "--json", "-q")
    assert done.code == 0, done.err
    summary = json.loads(done.out)
    assert 1 <= summary["batch_size"] < 500
    smaller = ("--batch-size", str(summary["batch_size"]))
    plan = json.loads(call("plan", "tiny.yaml", *smaller, "--json").out)
    assert summary["arena_bytes"] == plan["total_bytes"] <= limit
    # With another batch it is another run.
    again = call(*FIT, *large, "--resume")
    assert again.code == 2
    assert "run/config.yaml: train.batch_size" in again.err
    assert call(*limited, "--resume").code == 0
