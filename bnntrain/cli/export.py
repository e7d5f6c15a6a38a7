"""``bnntrain export RUN -o FILE``: a trained network in one file."""

from __future__ import annotations

import click

from bnntrain.cli import options
from bnntrain.cli.output import echo_json, printable, weights_words
from bnntrain.exports import FORMATS
from bnntrain.exports import export as write


@click.command()
@options.model_argument
@click.option(
    "-o", "--output", required=True, metavar="FILE", type=options.NamedPath(),
    help="The file; one that is there is replaced.",
)
@click.option(
    "--format", "format_", type=click.Choice(FORMATS),
    help="By default what the name of the file ends in.",
)
@options.checkpoint_option
@options.json_option
def export(
    model: str, output: str, format_: str | None, checkpoint: str | None, as_json: bool
) -> None:
    """Write a trained network into one file, to be used without its run.

    MODEL is the folder that 'bnntrain fit' made. A .bnn file holds the network packed: a bit for a
    weight, a threshold for a channel, names of the classes, how pictures become samples.
    'evaluate', 'predict' and 'bench --latency' take it in place of the folder and give the same
    results. The same weights give the same file, byte for byte; docs/packed.md describes it.
    """
    done = write(model, output, checkpoint, format_)
    head = done.head
    if as_json:
        echo_json({
            "file": str(done.path), "format": done.format, "bytes": done.bytes,
            "checkpoint": head.checkpoint, "epoch": head.epoch,
            "weights_sha256": head.weights_sha256,
        })  # fmt: skip
        return
    words = weights_words(head.checkpoint, head.epoch)
    click.echo(f"{printable(str(done.path))}: {done.bytes:,} bytes, {words}")
