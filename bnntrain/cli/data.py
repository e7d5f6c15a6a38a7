"""``bnntrain data``: what data sets there are, fetching them, checking them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from bnntrain.cli.options import json_option
from bnntrain.cli.output import echo_error, printable
from bnntrain.errors import BnntrainError, DataError
from bnntrain.text import plural


@click.group()
def data() -> None:
    """List, fetch and check data sets.

    Known by name are digits (in the package), mnist, fashion-mnist, cifar10, cifar100, svhn and
    svhn-extra. Your own are named by the path of an .npz file, a folder of class folders or a .zip
    of one.

    BNNTRAIN_DATA names the data folder, BNNTRAIN_CACHE the folder of converted files.
    """


@data.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List the known data sets and your own.

    Says what is where and in which form: the known ones, and your own in the data folder.
    """
    from bnntrain.data.catalog import find_datasets
    from bnntrain.data.files import data_folder

    found = find_datasets()
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
        return
    names = [_short(each) for each in found]
    width = max(map(len, names))
    kinds = max(len(each.kind) for each in found)
    for name, each in zip(names, found, strict=True):
        state, kind = _state(each), each.kind if each.path else ""
        click.echo(f"{name:<{width}}  {state:<9}  {kind:<{kinds}}  {printable(_where(each))}")
    click.echo(f"data folder: {data_folder()}")


def _short(found) -> str:
    """Return a known name, or the last part of a path, which is in the last column as a whole."""
    return printable(Path(found.name).name)


def _state(found) -> str:
    if found.missing:
        return "not found"
    return "converted" if found.converted else "found"


def _where(found) -> str:
    if not found.missing:
        return found.path
    hint = f"bnntrain data fetch {found.name}"
    if found.path is None:
        return hint
    return f"{found.path} lacks {', '.join(found.missing)}: {hint}"


@data.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@click.option(
    "--mirror",
    "mirrors",
    multiple=True,
    metavar="URL",
    help="Fetch from this address instead of the known ones; repeat for several.",
)
@json_option
def fetch(names: tuple[str, ...], mirrors: tuple[str, ...], as_json: bool) -> None:
    """Fetch data sets into the data folder.

    NAME is one of cifar10, cifar100, fashion-mnist, mnist, svhn and svhn-extra (svhn with 1.3 GB of
    extra images). Checksums are verified, an interrupted download is continued, and files that are
    there and valid are left alone.
    """
    from bnntrain.data import fetch as download

    report = []
    for name in names:
        with _Bar() as bar:
            files = download.fetch(name, progress=bar.update, mirrors=mirrors or None)
        report.append({"name": name, "files": [asdict(file) for file in files]})
        if not as_json:
            for file in files:
                done = "fetched" if file.fetched else "was there"
                click.echo(f"{name}  {done:<9}  {file.bytes} bytes  {file.path}")
    if as_json:
        click.echo(json.dumps(report, indent=2))


class _Bar:
    """Progress of downloads on stderr: a bar on a terminal, one line per file otherwise."""

    def __init__(self) -> None:
        self._file = ""
        self._bar = None

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(self, file: str, done: int, total: int) -> None:
        """Take a report of `bnntrain.data.fetch.fetch` (bytes)."""
        if file != self._file:
            self.__exit__()
            self._file = file
            self._start(total)
        if self._bar is not None:
            self._bar.n = done
            self._bar.refresh()

    def _start(self, total: int) -> None:
        if sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total or None, desc=self._file, unit="B", unit_scale=True)
        else:
            size = f" ({total} bytes)" if total else ""
            click.echo(f"fetching {self._file}{size}", err=True)


@data.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@json_option
def check(names: tuple[str, ...], as_json: bool) -> int:
    """Check data sets from the first byte to the last.

    Structure, counts, labels and checksums are checked. NAME is a known data set or the path of an
    .npz file, a folder of class folders or a .zip of one. Every picture that is no good is named;
    the exit code is then 2, as it is where a set cannot be checked. The others are checked all the
    same.
    """
    from bnntrain.data.check import check as check_one

    reports, code = [], 0
    for name in names:
        try:
            report = check_one(name)
        except BnntrainError as error:
            echo_error(type(error).__name__, str(error))
            reports.append({"name": name, "error": str(error)})
            code = max(code, error.exit_code)
            continue
        reports.append(report)
        for each in report.get("bad", []):
            where = f"{report['files'][0]['path']}: {each['file']}"
            echo_error(DataError.__name__, f"{where}: {each['error']}")
            code = DataError.exit_code
        if not as_json:
            _print_report(report)
    if as_json:
        click.echo(json.dumps(reports, indent=2))
    return code


def _print_report(report: dict) -> None:
    published = all(file["sha256"] for file in report["files"])
    state = f"good{', the published files' if published else ''}"
    if report.get("bad"):
        state = f"{plural(len(report['bad']), 'bad picture')}, named on standard error"
    click.echo(f"{report['name']}: {state}")
    click.echo(
        f"  images {_sizes(report)}, "
        f"{report['train']['count']} for training, {report['test']['count']} for testing"
    )
    if report["shape"] is None:
        click.echo("  of several sizes: data.image_size brings them to one, as 'photos' does")
    for note in report.get("notes", []):
        click.echo(f"  {note}")
    _print_labels(report)


def _sizes(report: dict) -> str:
    """Return the shape of all images, or the range of sizes."""
    if report["shape"] is not None:
        return "x".join(map(str, report["shape"]))
    return " to ".join(f"{height}x{width}" for height, width in report["sizes"]) or "none"


def _print_labels(report: dict) -> None:
    """Print the label histogram, one line per class."""
    classes = report["classes"]
    width = max(len(name) for name in (*classes, "class"))
    click.echo(f"  {'class':<{width}}  {'train':>7}  {'test':>7}")
    for label, name in enumerate(classes):
        train, test = report["train"]["labels"][label], report["test"]["labels"][label]
        click.echo(f"  {name:<{width}}  {train:>7}  {test:>7}")
