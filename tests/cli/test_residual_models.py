"""Residual networks that are written wrongly, from the command line: one line, exit code 2."""

from __future__ import annotations

import pytest

STEM = "{conv: {channels: 4, weights: real}}, batch_norm"
HEAD = "global_avg_pool, {dense: {units: classes, weights: real}}"
BLOCK = "{residual: {layers: [sign, {conv: 4}, batch_norm]}}"
# What is wrong: the list, what standard error says.
WRONG = {
    "no stream": (f"[{BLOCK}, {HEAD}]", "layers[0]: residual adds to a real stream, and there is"),
    "missing sign": (
        f"[{STEM}, {{residual: {{layers: [{{conv: 4}}, batch_norm]}}}}, {HEAD}]",
        "layers[2].residual.layers[0]: conv reads signs, and a real stream comes in. Put sign here",
    ),
    "residual in a residual": (
        f"[{STEM}, {{residual: {{layers: [{BLOCK}]}}}}, {HEAD}]",
        "layers[2].residual.layers[0]: a residual in a residual has no kernel. Put them one behind",
    ),
    "another shape": (
        f"[{STEM}, {{residual: {{layers: [sign, {{conv: 8}}, batch_norm]}}}}, {HEAD}]",
        "layers[2].residual: its layers give 8x8x8, its input is 8x8x4. Give it a shortcut of conv",
    ),
    "real layer where none fits": (
        f"[{STEM}, {BLOCK}, {STEM}, {HEAD}]",
        "layers[3]: conv with 'weights: real' after residual has no kernel. Put residual or relu",
    ),
    "no head": (f"[{STEM}, {BLOCK}]", "layers[2]: the list ends with a real stream, whose values"),
    "copies that do not fit": (
        "[{repeat: {times: 2, layers: [{conv: 4}, batch_norm]}}]",
        "layers[0].repeat.layers[0]: in copy 2 of 2, conv cannot stand after batch_norm. Put sign",
    ),
}


@pytest.mark.parametrize("fault", WRONG)
def test_one_line_and_exit_code_2(program, fault):
    layers, message = WRONG[fault]
    line = program.error("fit", "digits", "-s", f"model={{name: wrong, layers: {layers}}}")
    assert line.startswith(f"ConfigError: override: model.{message}")


def test_a_network_for_large_images_is_not_for_small_ones(program):
    line = program.error("plan", "digits", "--set", "model=resnete18")
    assert line.startswith("ConfigError: override: model.layers[8].residual.shortcut[0].avg_pool: ")
