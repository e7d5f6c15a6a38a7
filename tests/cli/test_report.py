"""``bnntrain report`` on real runs, and what it refuses."""

from __future__ import annotations

import csv
import json
import shutil
from importlib.util import find_spec

import pytest
import sample_records as sample

QUICK = ("--epochs", 2, "--threads", 1, "-q")


@pytest.fixture(scope="module")
def both(program):
    """A real comparison of digits."""
    folder = program.cwd / "report-both"
    program.run("compare", "digits", *QUICK, "--run-dir", folder)
    return folder


@pytest.fixture
def run(trained, tmp_path):
    """A copy of a real run."""
    return shutil.copytree(trained, tmp_path / "run")


def test_page_of_a_run_lies_in_its_folder(program, run):
    done = program.run("report", run)
    assert done.stdout == f"{run}/report.html\n"
    assert done.stderr == ""
    text = sample.read_page((run / "report.html").read_bytes())
    summary = json.loads((run / "run.json").read_text())
    assert f"{summary['test_accuracy']:.2f}" in text
    assert summary["weights_sha256"] in text
    # It is written again, and the run can still be resumed.
    program.run("report", run)
    program.run("fit", "digits", "--epochs", 3, "--threads", 1, "--run-dir", run, "--resume", "-q")


def test_page_of_a_comparison(program, both):
    assert program.json("report", both) == [f"{both}/report.html"]
    text = sample.read_page((both / "report.html").read_bytes())
    assert text.startswith("digits: standard against efficient")
    assert "published, modelled" in text
    program.run("compare", "digits", *QUICK, "--run-dir", both, "--resume")


def test_csv_files_hold_the_figures_in_full(program, both, tmp_path):
    target = tmp_path / "tables"
    arguments = ("report", both, "-o", tmp_path / "page.html", "--csv", target)
    names = program.json(*arguments)
    assert names == [str(tmp_path / "page.html")] + [
        str(target / f"{name}.csv") for name in ("runs", "comparison", "epochs", "variables")
    ]
    methods = ("standard", "efficient")
    runs = [json.loads((both / method / "run.json").read_text()) for method in methods]
    with (target / "comparison.csv").open(newline="") as file:
        rows = {row["comparison"]: row for row in csv.DictReader(file)}
    for name, key in (("test accuracy, last epoch", "test_accuracy"), ("test loss", "test_loss")):
        assert [float(rows[name][run["method"]]) for run in runs] == [run[key] for run in runs]
    arena = rows["arena, as planned"]
    assert float(arena["standard / efficient"]) == pytest.approx(
        runs[0]["arena_bytes"] / runs[1]["arena_bytes"]
    )
    assert rows["energy per batch"]["standard"] == ""
    with (target / "epochs.csv").open(newline="") as file:
        epochs = list(csv.DictReader(file))
    assert [(row["run"], row["epoch"]) for row in epochs] == [
        ("standard", "1.0"), ("standard", "2.0"), ("efficient", "1.0"), ("efficient", "2.0")
    ]  # fmt: skip
    program.run(*arguments)  # over its own files


def test_one_csv_is_the_comparison(program, both, tmp_path):
    file = tmp_path / "table.csv"
    program.run("report", both, "-o", tmp_path / "page.html", "--csv", file)
    assert file.read_text().startswith("comparison,unit,standard,efficient,standard / efficient\n")


def test_several_runs_give_a_page_in_the_working_directory(program, run, both):
    done = program.run("report", run, both / "standard")
    assert done.stdout == "report.html\n"
    page = program.cwd / "report.html"
    sample.read_page(page.read_bytes())
    page.unlink()


def test_pictures(program, run, tmp_path):
    pytest.importorskip("matplotlib")
    sample.add_records(run)
    folder = tmp_path / "pictures"
    arguments = ("report", run, "-o", tmp_path / "page.html", "--png", folder)
    assert program.run(*arguments).stderr == ""
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["accuracy.png", "energy-by-phase.png", "loss.png", "memory-1-efficient.png",
                     "power-1-efficient.png", "variables.png"]  # fmt: skip
    first = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert all(content.startswith(b"\x89PNG") for content in first.values())
    program.run(*arguments)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == first


def test_pictures_without_matplotlib(program, run, tmp_path):
    if find_spec("matplotlib") is None:
        environment = {}
    else:  # as if it were not there
        (tmp_path / "sitecustomize.py").write_text(
            "import importlib.util as util\n"
            "find = util.find_spec\n"
            "util.find_spec = lambda name, *rest: (\n"
            "    None if name == 'matplotlib' else find(name, *rest))\n"
        )
        environment = {"PYTHONPATH": str(tmp_path)}
    line = program.error("report", run, "--png", tmp_path / "p", **environment)
    assert line == (
        "UsageError: --png needs matplotlib, which is not installed. Install it: pip install "
        "'bnntrain[plot]'. The page needs none"
    )
    assert not (run / "report.html").exists()


def test_what_is_no_report_stays(program, run):
    page = run / "report.html"
    page.write_text("<html>my own notes</html>")
    line = program.error("report", run)
    assert line == (
        f"UsageError: {page} is no report of bnntrain. Give another name, or --force"
    )
    assert page.read_text() == "<html>my own notes</html>"
    program.run("report", run, "--force")
    sample.read_page(page.read_bytes())


def test_other_tables_and_pictures_stay(program, run, tmp_path):
    (tmp_path / "csv").mkdir()
    (tmp_path / "csv" / "epochs.csv").write_text("my,own\n1,2\n")
    line = program.error("report", run, "--csv", tmp_path / "csv")
    assert "epochs.csv is no report of bnntrain" in line
    # Nothing was written before all had been looked at.
    assert sorted(path.name for path in (tmp_path / "csv").iterdir()) == ["epochs.csv"]
    assert not (run / "report.html").exists()


def test_refusals_are_one_line(program, run, tmp_path):
    (tmp_path / "empty").mkdir()
    for given, words in (
        ((tmp_path / "none",), "no such run folder"),
        ((tmp_path / "empty",), "neither a run (no config.yaml) nor a folder of runs"),
        ((run / "run.json",), "is a file, not a run folder"),
        ((run, run), "is named twice"),
        ((run, "-o", tmp_path), "is a folder. Give the name of a file"),
        ((run, "-o", ""), "an empty name"),
    ):
        assert words in program.error("report", *given)
    assert "Missing argument" in program.error("report")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("run.json", "{"),
        ("run.json", "[]"),
        ("plan.json", "{}"),
        ("plan.json", '{"buffers": [{"role": 1, "bytes": "x"}], "total_bytes": 1}'),
        ("metrics.csv", "epoch,lr\n1\n"),
        ("memory.dat", "MEM x y\n"),
        ("power.csv", "t,watts\n1\n"),
    ],
)
def test_a_damaged_file_is_named_in_one_line(program, run, name, content):
    (run / name).write_text(content)
    line = program.error("report", run)
    assert line.startswith(f"RunError: {run / name}: ")
    assert not (run / "report.html").exists()


def test_a_page_that_cannot_be_written(program, run, tmp_path):
    (tmp_path / "file").write_text("x")
    page = tmp_path / f"{'x' * 245}.html"
    line = program.error("report", run, "-o", page, expect=1)
    assert line == f"WriteError: {page}: cannot be written (File name too long). Give another name"
    for option, given in (("-o", "file/page.html"), ("--csv", "file"), ("--csv", "file/in/a.csv")):
        line = program.error("report", run, option, tmp_path / given)
        assert line == f"UsageError: {tmp_path / 'file'} is no folder. Give another name"
    assert (tmp_path / "file").read_text() == "x"
    assert not (run / "report.html").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "run"]


def test_matplotlib_waits_until_it_is_needed():
    import subprocess
    import sys

    code = "import bnntrain.cli.report, sys; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
