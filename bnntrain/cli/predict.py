"""``bnntrain predict MODEL FILE...``: classes and scores of images."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import numpy as np

from bnntrain.classifier import load
from bnntrain.cli import options
from bnntrain.cli.output import echo_error, echo_json, printable, weights_words
from bnntrain.data.picture_frames import first_counts
from bnntrain.data.preprocessing import Preprocessing
from bnntrain.errors import DataError, UsageError
from bnntrain.images import files_in, is_series, read_contents, read_images
from bnntrain.paths import is_folder

_STDIN = "-"
_GAP = "  "


@click.command()
@options.model_argument
# Not the parser but `_read` says what cannot be read: the other files are answered then.
@click.argument(
    "files", metavar="FILE...", nargs=-1, required=True, type=click.Path(readable=False)
)
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
    model: str,
    files: tuple[str, ...],
    checkpoint: str | None,
    top: int,
    invert: bool,
    resize: bool,
    as_json: bool,
) -> int:
    """Classify images.

    MODEL is the folder that 'bnntrain fit' made, or a file that 'bnntrain export' wrote. FILE is a
    picture of any size (PNG, JPEG, WebP, BMP, GIF, TIFF; needs Pillow: pip install
    'bnntrain[images]'), an .npy file of uint8, one image or a stack, a folder of such files, or -
    for one of them on standard input. Prints file, class and score; the scores of all classes add
    up to 1.

    A file that is no good has a line on standard error in place of an answer, the others are
    answered, and the exit code is 2. Standard error says which epoch's weights answered. Each line
    is printed as soon as its image is done, but for --json.
    """  # fmt: skip
    if "" in files:
        raise UsageError("a FILE has an empty name. Give a file or folder ('.' is this folder)")
    loaded = load(model, checkpoint)
    classes = loaded.classes
    wanted = loaded.preprocessing if resize else Preprocessing(loaded.shape, "exact")
    listed = list(_listed(files))
    rows = _Rows([name for name, _ in listed], classes)
    answers, series, is_whole, weights_said = [], [], True, False
    for name, fault in listed:
        stack = fault or _read(name, wanted, invert)
        if isinstance(stack, DataError):
            is_whole = False
            echo_error(type(stack).__name__, str(stack))
            answers.append({"file": name, "index": None, "error": str(stack)})
            continue
        if name != _STDIN and is_series(Path(name)):
            series.append(name)
        if not weights_said:
            click.echo(f"weights: {weights_words(loaded.checkpoint, loaded.epoch)}", err=True)
            weights_said = True
        for index, scores in enumerate(loaded.predict(stack)):
            place = index if len(stack) > 1 else None
            answer = _answer(name, place, scores, classes, top)
            if as_json:
                answers.append(answer)
            else:
                click.echo(rows.line(answer, len(stack)))
    if series:
        click.echo(f"note: {printable(first_counts(series))}", err=True)
    if as_json:
        echo_json(answers)
    return 0 if is_whole else DataError.exit_code


def _listed(files: tuple[str, ...]) -> Iterator[tuple[str, DataError | None]]:
    """Yield every file, in place of a folder those in it, or a folder and what is amiss with it."""
    for file in files:
        if file == _STDIN or not is_folder(Path(file)):
            yield file, None
            continue
        faults: list[DataError] = []
        try:
            found = files_in(Path(file), faults.append)
        except DataError as error:
            yield file, error
            continue
        yield from ((str(fault.path), fault) for fault in faults)
        yield from ((str(path), None) for path in found)


def _read(name: str, wanted: Preprocessing, invert: bool) -> np.ndarray | DataError:
    """Return the images of a file, or what is amiss with it."""
    try:
        if name == _STDIN:
            return read_contents(_stdin(), "standard input", wanted, invert)
        return read_images(Path(name), wanted, invert)
    except DataError as error:
        return error


def _stdin() -> bytes:
    """Return all of standard input, which may be closed."""
    return b"" if sys.stdin is None else sys.stdin.buffer.read()


def _answer(
    file: str, index: int | None, scores: np.ndarray, classes: list[str], top: int
) -> dict[str, object]:
    """Return what is said of one image; `index` is its place in a stack."""
    # Stable: of equal scores the lower label comes first, as in the accuracy.
    values = scores.tolist()
    order = sorted(range(len(values)), key=values.__getitem__, reverse=True)[:top]
    best = [{"class": classes[label], "label": label, "score": values[label]} for label in order]
    return {"file": file, "index": index, **best[0], "top": best}


class _Rows:
    """Lines of text, each printed when its image is done and yet in columns.

    Parameters
    ----------
    names : list of str
        All files that there will be lines of.
    classes : list of str
        Names of the classes.
    """

    def __init__(self, names: list[str], classes: list[str]) -> None:
        self._width = max((len(printable(name)) for name in names), default=0)
        self._class_width = max(len(printable(name)) for name in classes)

    def line(self, answer: dict[str, object], count: int) -> str:
        """Return a row of a file of `count` images: the image, class and score, best first."""
        index = answer["index"]
        file = printable(answer["file"])
        image, longest = file, file
        if index is not None:
            image, longest = f"{file}[{index}]", f"{file}[{count - 1}]"
        cells = [image.ljust(max(self._width, len(longest)))]
        for one in answer["top"]:
            cells += [printable(one["class"]).ljust(self._class_width), f"{one['score']:.3f}"]
        return _GAP.join(cells)
