"""Verification of a data set: structure, counts, labels, checksums, and its converted form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bnntrain.data.catalog import AS_THEY_ARE, find_source
from bnntrain.data.flat import find_converted, records_crc
from bnntrain.data.picture_frames import first_counts
from bnntrain.data.pictures import PictureSource
from bnntrain.data.published import PUBLISHED, Content, Published
from bnntrain.data.source import SPLITS, Source
from bnntrain.data.stream import content_sha256
from bnntrain.data.survey import survey
from bnntrain.errors import DataError

# Families whose files MATLAB and others write as well: they hold whatever somebody put there.
_WRITTEN_BY_OTHERS = ("svhn",)


def check(name: str) -> dict:
    """Read a data set from its first byte to its last.

    Parameters
    ----------
    name : str
        Known name or path of an .npz file.

    Returns
    -------
    dict
        ``name``; ``shape`` [height, width, channels]; ``classes`` (names); ``train`` and ``test``,
        each {``count``, ``labels``: number of images of each class, ``converted``: whether its flat
        form is in the cache, of pictures ``encoded``: whether their encoded records are}; of
        pictures also ``sizes`` (the smallest and the largest, ``shape`` is None where they differ)
        and ``bad``, a list of {``file``, ``error``}; ``files``: a list of {``path``, ``bytes``,
        ``sha256`` of the decompressed contents where the published one is known, else null};
        perhaps ``notes``, a list of sentences on what is good and yet worth knowing.

    Raises
    ------
    DataError
        At the first fault: a structural one, a published checksum that differs, or a converted form
        that has been damaged.
    """
    source = find_source(name)
    if isinstance(source, PictureSource):
        return _check_pictures(name, source)
    report: dict = {"name": name}
    for split in SPLITS:
        with source.open_split(split) as reader:
            histogram = np.zeros(len(reader.classes), np.int64)
            for _, labels in reader.chunks():
                histogram += np.bincount(labels, minlength=histogram.size)
            previous = report.setdefault("shape", list(reader.shape))
            if previous != list(reader.shape):
                raise reader.error(
                    f"test images of {list(reader.shape)}, expected {previous} as in training"
                )
            report.setdefault("classes", reader.classes)
            report[split] = {"count": reader.count, "labels": histogram.tolist()}
        report[split]["converted"] = _check_converted(source, split)
    return report | _check_files(source)


def _check_pictures(name: str, source: PictureSource) -> dict:
    """Decode every picture; bad ones are listed, not only the first."""
    found = survey(source, thorough=True)
    sizes, channels = sorted(found.sizes), 1 if found.is_grey else 3
    report: dict = {
        "name": name, "shape": [*sizes[0], channels] if len(sizes) == 1 else None,
        "sizes": [list(size) for size in (sizes[:1] + sizes[-1:])], "classes": found.classes,
        "bad": [{"file": file, "error": fault} for file, fault in found.bad],
    }  # fmt: skip
    if found.several:
        report["notes"] = [first_counts(found.several)]
    for split in SPLITS:
        labels = found.counts[split]
        report[split] = {
            "count": sum(labels), "labels": labels, "converted": _check_converted(source, split),
            "encoded": _check_encoded(name, split),
        }  # fmt: skip
    return report | _check_files(source)


def _check_encoded(name: str, split: str) -> bool:
    from bnntrain.data.encode import find_encoded

    found = find_encoded(find_source(name, replace(AS_THEY_ARE, records="encoded")), split)
    if found is None:
        return False
    found[0].check()
    return True


def _check_converted(source: Source, split: str) -> bool:
    found = find_converted(source, split)
    if found is None:
        return False
    converted, _ = found
    if records_crc(converted) != converted.records_crc:
        raise DataError(
            converted.path,
            "the converted data are damaged (wrong CRC-32). Delete this file and run again",
        )
    return True


def _pin(published: Published | None, number: int, name: str) -> Content | None:
    """Return what a file of a set must be, None where nothing is published about it."""
    if published is None:
        return None
    if published.kind in ("idx", "built-in"):
        # Under whatever names, in the order of the source's files.
        return list(published.contents.values())[number]
    return published.contents.get(name)


def _check_files(source: Source) -> dict:
    """Compare the contents with the published SHA-256, where the set has one."""
    published = PUBLISHED.get(source.name)
    files, own = [], []
    for number, (path, identity) in enumerate(zip(source.files, source.identity(), strict=True)):
        digest, pin = None, _pin(published, number, path.name)
        # A file of the published size that differs is a damaged copy.
        if pin is not None and published.kind in _WRITTEN_BY_OTHERS and identity[1] != pin.nbytes:
            own.append(path.name)
        elif pin is not None:
            digest, nbytes = content_sha256(path, pin.nbytes, pin.packed)
            if digest != pin.sha256:
                raise DataError(
                    path,
                    f"not the published {source.name}: SHA-256 of the {nbytes} bytes of contents "
                    f"is {digest}, expected {pin.sha256}. "
                    f"Run 'bnntrain data fetch {source.name}'",
                )
        files.append({"path": str(path), "bytes": identity[1], "sha256": digest})
    notes = [f"not the published {source.name}, but well formed: {', '.join(own)}"] if own else []
    return {"files": files} | ({"notes": notes} if notes else {})
