"""``bnntrain completion``: scripts, and bash really completing."""

from __future__ import annotations

import shutil
import subprocess

import pytest

BASH = shutil.which("bash")


def complete(program, *words: str) -> list[str]:
    """Let bash complete the last word."""
    script = program.run("completion", "bash").stdout
    program_path, *_ = program.command()
    quoted = " ".join(f"'{word}'" for word in ("bnntrain", *words))
    text = (
        f"{script}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(words)}\n"
        f"_bnntrain_completion '{program_path}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\""
    )
    done = subprocess.run(
        [BASH, "--norc", "-c", text], env=program.environment, cwd=program.cwd,
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()


@pytest.mark.skipif(BASH is None, reason="bash is not installed")
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("ev",), ["evaluate"]),
        (("co",), ["compare", "config", "completion"]),
        (("config", ""), ["init", "show"]),
        (("plan", "dig"), ["digits"]),
        (("fit", "digits", "--me"), ["--method", "--memory-limit", "--memory"]),
        (("evaluate", "run", "--checkpoint", ""), ["last", "best"]),
    ],
)
def test_bash_completes(program, words, expected):
    assert complete(program, *words) == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script_of_every_shell(program, shell):
    if shell == "bash" and BASH is None:
        pytest.skip("bash is not installed")
    named = program.run("completion", shell)
    assert "_BNNTRAIN_COMPLETE" in named.stdout
    assert named.stderr == ""
    assert program.run("completion", SHELL=f"/usr/bin/{shell}").stdout == named.stdout


@pytest.mark.parametrize("shell", ["/bin/csh", ""])
def test_shell_that_has_no_script(program, shell):
    line = program.error("completion", SHELL=shell)
    assert line.startswith("UsageError: $SHELL is none of bash, zsh, fish")
