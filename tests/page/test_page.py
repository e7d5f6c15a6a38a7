"""Pages of every kind of run: whole, readable, the same each time."""

from __future__ import annotations

import json
import math
import re

import pytest
import sample_records as sample

from bnntrain import page
from bnntrain.config import dump_config, load_config
from bnntrain.errors import UsageError
from bnntrain.page.drawings import all_figures
from bnntrain.page.svg import NARROW, WIDE, draw_lines, legend_of


def text_of(*folders):
    """Render folders and return what a user reads."""
    return sample.read_page(page.render_page(page.read_runs(folders)))


@pytest.fixture
def compared(tmp_path):
    """A comparison with all records."""
    for method in ("efficient", "standard"):
        sample.add_records(sample.make_run(tmp_path / "both" / method, 4, method))
    return tmp_path / "both"


def test_a_comparison_with_all_records(compared):
    text = text_of(compared)
    assert text.startswith("digits: standard against efficient")
    for heading in ("Learning", "Comparison", "Memory over time, standard", "Memory by variable",
                    "Memory over time, efficient", "Power over time, standard", "Energy by phase",
                    "What ran"):  # fmt: skip
        assert heading in text
    assert "INA219 at 0x40 on /dev/i2c-1, shunt 0.1 ohm" in text
    assert "published low-memory" in text
    assert "no power meter" not in text
    assert "ratio 1" in text


def test_the_same_runs_give_the_same_bytes(compared):
    pages = {page.render_page(page.read_runs([compared])) for _ in range(2)}
    assert len(pages) == 1


def test_the_plan_stands_in_the_picture_of_memory(compared):
    (figure, _) = all_figures(page.read_runs([compared])).memory
    plan = json.loads((compared / "standard" / "plan.json").read_text())["total_bytes"]
    level = next(level for level in figure.levels if level.label.startswith("planned"))
    assert level.value == pytest.approx(39 + plan / sample.MIB)
    assert [lane.label for lane in figure.lanes] == [
        "epochs", "load", "forward", "backward", "update", "evaluate", "checkpoint"
    ]  # fmt: skip
    assert figure.lanes[0].names == ["epoch 1", "epoch 2", "epoch 3", "epoch 4"]


def test_bars_add_up_to_the_plan_and_what_it_shares(compared):
    runs = page.read_runs([compared])
    sheet = next(each for each in page.all_sheets(runs) if each.name == "variables")
    rows = {row[0]: row[1:] for row in sheet.rows}
    variables = [row[1:] for row in sheet.rows[: list(rows).index("total")]]
    for column, run in ((2, runs[0]), (3, runs[1])):
        total = sum(row[column] or 0.0 for row in variables)
        assert total == pytest.approx(run.plan_bytes / sample.MIB)
        assert rows["total"][column] == pytest.approx(total)


@pytest.mark.parametrize("name", ["memory.dat", "power.csv", "plan.json", "run.json"])
def test_what_is_missing_is_left_out_and_named(compared, name):
    (compared / "efficient" / name).unlink()
    text = text_of(compared)
    assert "Memory over time, standard" in text
    if name == "memory.dat":
        assert "Not recorded over time: efficient (there is no memory.dat)" in text
        assert "Memory by epoch" in text
    if name == "run.json":
        assert "there is no run.json" in text


def test_a_folder_that_holds_nothing_but_its_configuration(tmp_path):
    run = sample.make_run(tmp_path / "run")
    for name in ("run.json", "plan.json", "metrics.csv"):
        (run / name).unlink()
    text = text_of(run)
    assert "there is no run.json" in text
    assert "not measured" not in text


def test_a_run_without_meters_says_so(tmp_path):
    run = sample.make_run(tmp_path / "run")
    assert "no power meter was used" in text_of(run)
    summary = json.loads((run / "run.json").read_text())
    summary["energy"] = {"available": False, "reason": "no I2C bus 1. Enable it", "phases": {},
                         "joules": 0.0, "seconds": 0.0, "j_per_epoch": 0.0}  # fmt: skip
    summary["memory"] = {"available": False, "reason": "switched off"}
    (run / "run.json").write_text(json.dumps(summary))
    text = text_of(run)
    assert "energy was not measured: no I2C bus 1. Enable it" in text
    assert "Not recorded over time: this run (switched off)" in text
    assert "energy of the run" not in text
    assert "energy per epoch" not in text


def test_a_meter_with_no_joules_and_warnings(tmp_path):
    run = sample.make_run(tmp_path / "run")
    summary = json.loads((run / "run.json").read_text())
    summary["energy"] = {
        "available": True, "meter": "PMIC", "warnings": ["forward: only 3 samples"],
        "phases": {"forward": {"seconds": 0.0, "joules": 0.0, "samples": 0}, "new phase": {}},
    }  # fmt: skip
    (run / "run.json").write_text(json.dumps(summary))
    assert "forward: only 3 samples" in text_of(run)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("interrupted", "interrupted after 2 of 5 epochs"), ("running", "not finished, 2 of 5"),
        ("failed", "failed after 2 of 5 epochs"),
    ],
)
def test_a_run_that_did_not_end(tmp_path, status, words):
    run = sample.make_run(
        tmp_path / "run", 2, status=status, epochs=5, test_accuracy=None, test_loss=None,
        best_test_accuracy=None, weights_sha256=None, seconds_per_batch=None,
    )  # fmt: skip
    assert words in text_of(run)


def test_losses_that_are_no_numbers_leave_gaps(tmp_path):
    run = sample.make_run(tmp_path / "run", 4)
    rows = [{"epoch": n, "loss": loss, "accuracy": 90.0, "val_loss": math.inf}
            for n, loss in enumerate((0.5, math.nan, 0.4, math.nan, 0.3), 1)]  # fmt: skip
    sample.write_metrics(run, rows)
    assert "7 values that were no finite number are left out" in text_of(run)
    loss = next(each for each in all_figures(page.read_runs([run])) if each.name == "loss")
    path = re.search(r'<path d="([^"]*)" class="line c0 dashed"', draw_lines(loss, NARROW))
    assert path.group(1).count("M") == 3  # three points, none joined
    assert draw_lines(loss, NARROW).count('class="marker c0"') >= 3


@pytest.mark.parametrize("epochs", [1, 2, 700])
def test_few_and_many_epochs(tmp_path, epochs):
    run = sample.make_run(tmp_path / "run", epochs)
    written = page.render_page(page.read_runs([run]))
    sample.read_page(written)
    assert len(written) < 400_000


def test_a_long_record_is_thinned_but_keeps_its_extremes(tmp_path):
    run = sample.make_run(tmp_path / "run")
    lines = [f"MEM {60.0 if n == 31_415 else 40.0 + n % 7} {1e9 + n / 10}" for n in range(100_000)]
    (run / "memory.dat").write_text("\n".join(lines) + "\n")
    (figure,) = all_figures(page.read_runs([run])).memory
    (line,) = figure.series
    assert len(line.x) <= 4 * 700
    assert max(line.y) == 60.0
    assert figure.x_title == "time, min"
    assert len(page.render_page(page.read_runs([run]))) < 300_000


def test_a_resumed_record_says_so(tmp_path):
    run = sample.make_run(tmp_path / "run")
    (run / "memory.dat").write_text(
        "CMDLINE a\nMEM 40.0 1.0\nMEM 41.0 2.0\nCMDLINE b\nMEM 40.0 99.0\nMEM 42.0 100.0\n"
    )
    assert "resumed once; pauses are left out" in text_of(run)


def test_the_energy_of_a_resumed_run_is_that_of_all_its_parts(tmp_path):
    run = sample.make_run(tmp_path / "run")
    sample.add_records(run)
    summary = json.loads((run / "run.json").read_text())
    last = summary["energy"]
    (whole,) = page.read_runs([run])
    former = last | {"joules": 100.0, "seconds": 20.0, "net_joules": None, "phases": {
        "forward": {"seconds": 9.0, "joules": 60.0, "samples": 180}}}  # fmt: skip
    last["earlier"] = [former, {"available": False, "joules": 1e9}]
    (run / "run.json").write_text(json.dumps(summary))
    (resumed,) = page.read_runs([run])
    assert resumed.total("joules") == whole.total("joules") + 100
    assert resumed.total("net_joules") is None
    for key, more in (("seconds", 9), ("joules", 60), ("samples", 180)):
        assert resumed.phases["forward"][key] == whole.phases["forward"][key] + more
        assert resumed.phases["backward"][key] == whole.phases["backward"][key]
    assert "trained in 2 parts" in text_of(run)
    assert "energy less idle" not in text_of(run)


def test_slow_steps_show_their_phases(tmp_path):
    run = sample.make_run(tmp_path / "run", 2, seconds_per_batch=8.0)
    sample.add_records(run, step_s=8.0, steps=2)
    (figure,) = all_figures(page.read_runs([run])).power
    assert {"forward", "backward", "update"} <= {lane.label for lane in figure.lanes}
    assert {"forward", "backward", "update"} <= {kind for kind, _, _ in figure.shades}


def test_names_are_text_whatever_they_hold(tmp_path):
    nasty = "<script>alert('x')</script> & \"\x00\ud800"
    run = sample.make_run(tmp_path / "run", name=nasty, model=nasty, isa=nasty, method=nasty)
    text = text_of(run)
    assert "<script>alert('x')</script> &" in text


def test_wrong_types_in_run_json_are_no_figures(tmp_path):
    run = sample.make_run(
        tmp_path / "run", test_accuracy="high", seconds_per_batch=True, versions=[1], energy=3,
        memory="much", epochs_done=None, rss_peak_bytes=[], best_test_accuracy=math.nan,
    )  # fmt: skip
    text_of(run)


def test_labels_tell_runs_apart(tmp_path):
    a, b = (sample.make_run(tmp_path / name) for name in ("a", "b"))
    c = sample.make_run(tmp_path / "c", name="other")
    assert [run.label for run in page.read_runs([a, b])] == ["a", "b"]
    labels = [run.label for run in page.read_runs([a, c])]
    assert labels == ["digits efficient", "other efficient"]
    text_of(a, b, c)


def test_many_runs(tmp_path):
    runs = [sample.make_run(tmp_path / f"seed{n}", seed=n) for n in range(8)]
    assert "8 runs" in text_of(*runs)


def test_a_run_named_twice_is_refused(tmp_path):
    run = sample.make_run(tmp_path / "run")
    with pytest.raises(UsageError, match="named twice"):
        page.read_runs([run, tmp_path / "." / "run"])


def test_a_data_set_that_is_gone_costs_only_the_published_figures(tmp_path):
    run = sample.make_run(tmp_path / "run")
    text = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(text.replace("dataset: digits", "dataset: /gone.npz"))
    assert "no published figures" in text_of(run)


def test_what_the_publication_measured_stands_below_the_comparison(tmp_path):
    mlp = sample.make_run(tmp_path / "mlp", dataset="mnist", sample_shape=[28, 28, 1],
                          classes=[*"0123456789"], train_samples=54_000, validation_samples=6000,
                          test_samples=10_000)  # fmt: skip
    settings = {"train.batch_size": 200}
    config = load_config("mlp_mnist_quick", settings)
    (mlp / "config.yaml").write_text(dump_config(config))
    assert "low-memory, batch 200: 0.98 s, 5.00 MiB, 1.42 J per batch" in text_of(mlp)
    assert "Measured by them" not in text_of(sample.make_run(tmp_path / "digits"))


def test_drawings_stay_within_their_frame(compared):
    figures = all_figures(page.read_runs([compared]))
    for figure in (*figures.learning, *figures.memory, *figures.power):
        for width in (WIDE, NARROW):
            drawing = draw_lines(figure, width)
            height = float(re.search(rf'viewBox="0 0 {width} (\d+)"', drawing).group(1))
            for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", drawing):
                assert -7 <= float(x) <= width
                assert -9 <= float(y) <= height


def test_columns_of_many_runs_are_narrow(tmp_path):
    folders = [sample.make_run(tmp_path / f"run{number}", 2) for number in range(8)]
    assert page.render_page(page.read_runs(folders)).count(b'<table class="many"') >= 2
    assert b'<table class="many"' not in page.render_page(page.read_runs(folders[:3]))


def test_without_a_validation_split_nothing_is_the_best(tmp_path):
    folder = sample.make_run(tmp_path / "run", 2)
    assert "best epoch" in text_of(folder)
    summary = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps(summary | {"validation_samples": 0}))
    assert "best" not in text_of(folder)


def _strokes(figure):
    """Labels of a figure's lines and how each is stroked in drawing and legend of the page."""
    legend = str(legend_of(figure))
    found = {}
    for item in legend.split("<li")[1:]:
        label = re.sub(r"<[^>]+>", "", "<li" + item).strip()
        style = re.search(r'class="line \S+ (\w+)"', item)
        if style:
            found[label] = style[1]
    return found


def test_legends_tell_training_from_validation_by_the_stroke(tmp_path):
    record = page.read_runs([sample.make_run(tmp_path / "run")])
    for figure in all_figures(record).learning:
        strokes = _strokes(figure)
        kinds = {label.rpartition(", ")[2]: stroke for label, stroke in strokes.items()}
        assert kinds == {"training": "dashed", "validation": "solid"}
        drawn = re.findall(r'class="line \S+ (\w+)"', str(draw_lines(figure, WIDE)))
        assert sorted(drawn) == ["dashed", "solid"]


def test_pictures_tell_training_from_validation_by_the_stroke(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    from bnntrain.page.pictures import draw_picture

    drawn = []
    save = Figure.savefig

    def kept(self, *arguments, **named):
        drawn.append(self)
        return save(self, *arguments, **named)

    monkeypatch.setattr(Figure, "savefig", kept)
    record = page.read_runs([sample.make_run(tmp_path / "run")])
    for figure in all_figures(record).learning:
        draw_picture(figure)
        (legend,) = drawn.pop().legends
        strokes = {
            text.get_text().rpartition(", ")[2]: line.get_linestyle()
            for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True)
        }
        assert (strokes["training"], strokes["validation"]) == ("--", "-")
        # Long enough that a dash is seen on both sides of the marker.
        assert legend.handlelength >= 4
