"""What is given to be classified with: a run folder or a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bnntrain.errors import UsageError
from bnntrain.packed.file import SUFFIX, PackedFile
from bnntrain.packed.head import CHECKPOINTS
from bnntrain.paths import is_file

if TYPE_CHECKING:
    from bnntrain.packed.run import PackedRun


def open_source(
    path: Path, checkpoint: str | None = None, is_hashed: bool = False
) -> PackedFile | PackedRun:
    """Open a run folder or a packed model.

    Parameters
    ----------
    path : Path
        Either.
    checkpoint : str, optional
        Of a run, one of `CHECKPOINTS`; by default the last. A file has one.
    is_hashed : bool
        Whether reading a run also computes ``weights_sha256``.

    Raises
    ------
    RunError
        It is neither, or damaged.
    UsageError
        No such checkpoint.
    """
    if checkpoint not in (None, *CHECKPOINTS):
        raise UsageError(f"no checkpoint '{checkpoint}'. Give one of {', '.join(CHECKPOINTS)}")
    if not is_file(path) and (path.suffix != SUFFIX or path.is_dir()):
        # A file is read without what runs need.
        from bnntrain.packed.run import PackedRun
        from bnntrain.records import RunFolder

        return PackedRun(RunFolder.open(path), checkpoint or CHECKPOINTS[0], is_hashed)
    source = PackedFile(path)
    if checkpoint not in (None, source.head.checkpoint):
        held = f"holds the weights of the {source.head.checkpoint} epoch alone"
        raise UsageError(path, f"{held}. Leave out --checkpoint, or export that one")
    return source
