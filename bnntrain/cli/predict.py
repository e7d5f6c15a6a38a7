"""``bnntrain predict RUN FILE...``: classes and scores of images."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np

from bnntrain import api
from bnntrain.cli import options
from bnntrain.cli.output import echo_error, echo_json, weights_words
from bnntrain.data.files import is_folder
from bnntrain.data.preprocessing import Preprocessing
from bnntrain.errors import DataError
from bnntrain.images import files_in, read_contents, read_images
from bnntrain.report import columns

_STDIN = "-"


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
) -> int:
    """Classify images.

    RUN is the folder that 'bnntrain fit' made. FILE is a picture of any size (PNG, JPEG, WebP, BMP,
    GIF, TIFF; needs Pillow: pip install 'bnntrain[images]'), an .npy file of uint8, one image or a
    stack, a folder of such files, or - for one of them on standard input. Prints file, class and
    score; the scores of all classes add up to 1.

    A file that is no good has a line on standard error in place of an answer, the others are
    answered, and the exit code is 2. Standard error says which epoch's weights answered.
    """  # fmt: skip
    loaded = api.load(run, checkpoint)
    prepared = loaded.prepared
    wanted = prepared.preprocessing if resize else Preprocessing(prepared.shape, "exact")
    answers = []
    for name, stack in _read(files, wanted, invert):
        if isinstance(stack, DataError):
            echo_error(type(stack).__name__, click.format_filename(str(stack)))
            answers.append({"file": name, "index": None, "error": str(stack)})
            continue
        for index, scores in enumerate(loaded.predict(stack)):
            place = index if len(stack) > 1 else None
            answers.append(_answer(name, place, scores, prepared.classes, top))
    good = [answer for answer in answers if "error" not in answer]
    if as_json:
        echo_json(answers)
    else:
        if good:
            click.echo(f"weights: {weights_words(checkpoint, loaded.epoch)}", err=True)
        for line in columns([_cells(answer) for answer in good]):
            click.echo(line)
    return 0 if len(good) == len(answers) else DataError.exit_code


def _read(
    files: tuple[str, ...], wanted: Preprocessing, invert: bool
) -> Iterator[tuple[str, np.ndarray | DataError]]:
    """Yield name and images of every file, in place of a folder those in it, or what is amiss."""
    for file in files:
        try:
            names = [file] if file == _STDIN else _names(Path(file))
        except DataError as error:
            yield file, error
            continue
        for name in names:
            try:
                if name == _STDIN:
                    yield name, read_contents(_stdin(), "standard input", wanted, invert)
                else:
                    yield name, read_images(Path(name), wanted, invert)
            except DataError as error:
                yield name, error


def _names(path: Path) -> list[str]:
    return [str(each) for each in files_in(path)] if is_folder(path) else [str(path)]


def _stdin() -> bytes:
    """Return all of standard input, which may be closed."""
    return b"" if sys.stdin is None else sys.stdin.buffer.read()


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
    file = click.format_filename(answer["file"])
    image = file if index is None else f"{file}[{index}]"
    return [image, *(cell for one in answer["top"] for cell in (one["class"], _score(one)))]


def _score(one: dict[str, object]) -> str:
    return f"{one['score']:.3f}"
