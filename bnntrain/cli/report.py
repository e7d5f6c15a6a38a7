"""``bnntrain report RUN...``: runs as one HTML page, tables and pictures."""

from __future__ import annotations

from pathlib import Path

import click

from bnntrain import page
from bnntrain.cli.options import NamedPath
from bnntrain.cli.output import echo_json
from bnntrain.errors import UsageError
from bnntrain.page.output import csv_bytes, is_page, is_picture, is_sheet, sheet_files

PAGE = "report.html"


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path())
@click.option(
    "-o", "--output", type=NamedPath(), metavar="FILE",
    help=f"The page [default: {PAGE} in RUN; of several, in the working directory].",
)
@click.option(
    "--csv", "csv_target", type=NamedPath(), metavar="DIR|FILE.csv",
    help="Write all tables as CSV files, or the comparison as one.",
)
@click.option(
    "--png", "png_folder", type=NamedPath(), metavar="DIR",
    help="Write all figures as pictures (extra 'plot').",
)
@click.option("--force", is_flag=True, help="Replace files that are no reports.")
@click.option("--json", "as_json", is_flag=True, help="Print the names of the files as JSON.")
def report(
    runs: tuple[str, ...],
    output: str | None,
    csv_target: str | None,
    png_folder: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a page about runs: curves, memory, energy, comparison.

    RUN is a folder that 'bnntrain fit' or 'bnntrain compare' made; several are compared. The page
    is one HTML file that needs nothing else. What was not recorded is left out of it.
    """  # fmt: skip
    if "" in (*runs, output, csv_target, png_folder):
        raise UsageError("an empty name. Give the name of a file or folder")
    paths = [Path(run) for run in runs]
    target = Path(output) if output else (paths[0] if len(paths) == 1 else Path()) / PAGE
    if png_folder:
        from bnntrain.page import pictures

        pictures.check_library()
    records = page.read_runs(paths)
    page.check_replaceable(target, is_page, force)
    files: dict[Path, bytes] = {target: b""}
    if csv_target:
        named = sheet_files(page.all_sheets(records), Path(csv_target))
        for path, sheet in named.items():
            page.check_replaceable(path, is_sheet(sheet), force)
            files[path] = csv_bytes(sheet)
    if png_folder:
        figures = {Path(png_folder) / f"{figure.name}.png": figure
                   for figure in page.all_figures(records)}  # fmt: skip
        for path in figures:
            page.check_replaceable(path, is_picture, force)
        files |= {path: pictures.draw_picture(figure) for path, figure in figures.items()}
    files[target] = page.render_page(records)
    written = page.write_pages(files)
    if as_json:
        echo_json([str(path) for path in written])
    else:
        for path in written:
            click.echo(click.format_filename(path))
