"""``bnntrain evaluate MODEL``: accuracy and loss of a trained network."""

from __future__ import annotations

import click

from bnntrain.classifier import SPLITS, load
from bnntrain.cli import options
from bnntrain.cli.output import echo_json, warning_line, weights_words
from bnntrain.text import plural


@click.command()
@options.model_argument
@options.checkpoint_option
@click.option(
    "--split", type=click.Choice(SPLITS), default="test", show_default=True,
    help="Which part of the data.",
)  # fmt: skip
@click.option(
    "--data", "dataset", metavar="NAME",
    help="The data set, where it has another name or path here than in training.",
)
@options.json_option
def evaluate(
    model: str, checkpoint: str | None, split: str, dataset: str | None, as_json: bool
) -> None:
    """Measure accuracy and loss of a trained network.

    MODEL is the folder that 'bnntrain fit' made, or a file that 'bnntrain export' wrote. The splits
    are those of the run: 'validation' is what was held out, 'train' what was trained on. Data that
    have changed since are said; with other classes or sizes they are refused, and 'validation' and
    'train' of other training data.
    """
    loaded = load(model, checkpoint)
    result = loaded.evaluate(split, dataset)
    for part in result["data_changed"]:
        text = f"the {part} part of the data has changed since this run was made"
        click.echo(warning_line(text), err=True)
    if as_json:
        echo_json(result)
        return
    click.echo(
        f"{split} accuracy {result[f'{split}_accuracy']:.2f} %, loss {result[f'{split}_loss']:.4f} "
        f"({plural(result['samples'], 'sample')}, {weights_words(loaded.checkpoint, loaded.epoch)})"
    )
