"""``bnntrain predict RUN FILE...``: classes and scores of images."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from bnntrain import api
from bnntrain.cli import options
from bnntrain.cli.output import echo_json, weights_words
from bnntrain.data.preprocessing import Preprocessing
from bnntrain.images import read_images
from bnntrain.report import columns


@click.command()
@options.run_argument
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path())
@options.checkpoint_option
@click.option(
    "--top",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    metavar="K",
    help="Classes to print, best first.",
)
@click.option("--invert", is_flag=True, help="For dark ink on light paper: swap dark and light.")
@click.option(
    "--resize/--no-resize", default=True, show_default=True,
    help="Bring images of another size to the network's as in training, or refuse them.",
)  # fmt: skip
@options.json_option
def predict(
    run: str,
    files: tuple[str, ...],
    checkpoint: str,
    top: int,
    invert: bool,
    resize: bool,
    as_json: bool,
) -> None:
    """Classify images.

    RUN is the folder that 'bnntrain fit' made. FILE is a picture (PNG, JPEG and others; needs
    Pillow: pip install 'bnntrain[images]') or an .npy file of uint8, one image or a stack. Prints
    file, class and score; the scores of all classes add up to 1. Standard error says which epoch's
    weights these are.
    """  # fmt: skip
    prepared = api.prepare_run(run)
    wanted = prepared.preprocessing if resize else Preprocessing(prepared.shape, "exact")
    stacks = [read_images(Path(file), wanted, invert) for file in files]
    loaded = api.load(run, checkpoint)
    scores = loaded.predict(np.concatenate(stacks))
    names = [
        (file, index if len(stack) > 1 else None)
        for file, stack in zip(files, stacks, strict=True)
        for index in range(len(stack))
    ]
    answers = [
        _answer(file, index, row, prepared.classes, top)
        for (file, index), row in zip(names, scores, strict=True)
    ]
    if as_json:
        echo_json(answers)
        return
    click.echo(f"weights: {weights_words(checkpoint, loaded.epoch)}", err=True)
    for line in columns([_cells(answer) for answer in answers]):
        click.echo(line)


def _answer(
    file: str, index: int | None, scores: np.ndarray, classes: list[str], top: int
) -> dict[str, object]:
    """Return what is said of one image; `index` is its place in a stack."""
    # Stable: of equal scores the lower label comes first, as in the accuracy.
    order = np.argsort(-scores, kind="stable")[:top]
    best = [
        {"class": classes[label], "label": int(label), "score": float(scores[label])}
        for label in order
    ]
    return {"file": file, "index": index, **best[0], "top": best}


def _cells(answer: dict[str, object]) -> list[str]:
    """Return a row of the table: the image, then class and score, best first."""
    index = answer["index"]
    image = answer["file"] if index is None else f"{answer['file']}[{index}]"
    return [image, *(cell for one in answer["top"] for cell in (one["class"], _score(one)))]


def _score(one: dict[str, object]) -> str:
    return f"{one['score']:.3f}"
