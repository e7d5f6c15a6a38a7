"""Writing reports without harm to files of others."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bnntrain.errors import BnntrainError, UsageError, WriteError
from bnntrain.page.tables import Sheet
from bnntrain.records.atomic import write_atomically

GENERATOR = "bnntrain report"
"""How a page, and a picture, tells who wrote it."""

_BEGINNING = 4096


def check_replaceable(path: Path, is_ours: Callable[[bytes], bool], force: bool) -> None:
    """Refuse to replace a file that is not known to be a report.

    Parameters
    ----------
    path : Path
        What is to be written.
    is_ours : callable
        Tells it by the file's first bytes.
    force : bool
        Replace it whatever it is.

    Raises
    ------
    UsageError
        A folder, a file of somebody else, or a place in what is no folder.
    """
    try:
        check_folder(path.parent)
        if path.is_dir():
            raise UsageError(f"{path} is a folder. Give the name of a file")
        if force or not path.exists():
            return
        with path.open("rb") as file:
            beginning = file.read(_BEGINNING)
    except OSError as error:
        raise WriteError(path, f"cannot be read ({error.strerror or error})") from None
    if beginning and not is_ours(beginning):
        raise UsageError(f"{path} is no report of bnntrain. Give another name, or --force")


def check_folder(folder: Path) -> None:
    """Check that a folder is one, or can become one.

    Raises
    ------
    UsageError
        It, or what it would be made in, is a file.
    """
    nearest = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
    if not nearest.is_dir():
        raise UsageError(f"{nearest} is no folder. Give another name")


def is_page(beginning: bytes) -> bool:
    """Tell a page of ours by its first bytes."""
    return f'name="generator" content="{GENERATOR}"'.encode() in beginning


def is_picture(beginning: bytes) -> bool:
    """Tell a PNG of ours by its first bytes."""
    return beginning.startswith(b"\x89PNG") and GENERATOR.encode() in beginning


def is_sheet(sheet: Sheet) -> Callable[[bytes], bool]:
    """Tell an earlier CSV of the same table by its first column."""
    return lambda beginning: beginning.startswith(csv_bytes(sheet).split(b",")[0] + b",")


def csv_bytes(sheet: Sheet) -> bytes:
    """Write a table as CSV: figures in full, empty cells where there is none."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([sheet.head[0] or sheet.name, *sheet.head[1:]])
    writer.writerows(["" if cell is None else cell for cell in row] for row in sheet.rows)
    return file.getvalue().encode("utf-8", "replace")


def write_pages(files: Mapping[Path, bytes]) -> list[Path]:
    """Write files, each whole or not at all; make their folders.

    Raises
    ------
    WriteError
        Disk full, no permission, ...
    """
    for path, content in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(path, lambda file, content=content: file.write(content))
        except (OSError, BnntrainError) as error:
            # Its remedies are those of a run; what failed is what it was made from.
            cause = error if isinstance(error, OSError) else error.__context__
            reason = getattr(cause, "strerror", None) or error
            raise WriteError(path, f"cannot be written ({reason}). Give another name") from None
    return list(files)


def sheet_files(sheets: Sequence[Sheet], target: Path) -> dict[Path, Sheet]:
    """Name the CSV files: one of the comparison for a name in .csv, else one per table."""
    if target.suffix.lower() == ".csv":
        return {target: next(sheet for sheet in sheets if sheet.name == "comparison")}
    return {target / f"{sheet.name}.csv": sheet for sheet in sheets}
