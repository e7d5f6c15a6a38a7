"""``bnntrain evaluate RUN``: accuracy and loss of a trained network."""

from __future__ import annotations

import click

from bnntrain import api
from bnntrain.cli import options
from bnntrain.cli.output import echo_json, warning_line, weights_words
from bnntrain.report import plural


@click.command()
@options.run_argument
@options.checkpoint_option
@click.option(
    "--split", type=click.Choice(api.SPLITS), default="test", show_default=True,
    help="Which part of the data.",
)  # fmt: skip
@options.json_option
def evaluate(run: str, checkpoint: str, split: str, as_json: bool) -> None:
    """Measure accuracy and loss of a trained network.

    RUN is the folder that 'bnntrain fit' made. The splits are those of the run: 'validation' is
    what was held out, 'train' what was trained on. Data that have changed since are said; with
    other classes or sizes they are refused, and 'validation' and 'train' of other training data.
    """
    result = api.evaluate(run, checkpoint, split)
    for part in result["data_changed"]:
        text = f"the {part} part of the data has changed since this run was made"
        click.echo(warning_line(text), err=True)
    if as_json:
        echo_json(result)
        return
    click.echo(
        f"{split} accuracy {result[f'{split}_accuracy']:.2f} %, loss {result[f'{split}_loss']:.4f} "
        f"({plural(result['samples'], 'sample')}, {weights_words(checkpoint, result['epoch'])})"
    )
