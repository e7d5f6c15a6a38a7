"""Make bnntrain/data/digits.npz, the data set that ships in the package, from scikit-learn's copy.

Run in an environment that has scikit-learn, from the root of a source checkout::

    PYTHONPATH=. python tools/make_digits.py

The result depends on nothing but the data: the split is drawn with the package's own permutation,
the archive has fixed dates, and its members are stored with a fixed compression.

Source: see bnntrain/data/DIGITS.md (UCI optdigits, CC BY 4.0).
"""

from __future__ import annotations

import io
import zipfile

import numpy as np

from bnntrain.data.order import order_key, permute_array
from bnntrain.data.published import DIGITS_FILE

TEST_COUNT = 360
LARGEST_VALUE = 16
SEED = 0
CLASS_STREAM = 3


def test_counts(class_sizes: np.ndarray, total: int) -> np.ndarray:
    """Return how many samples of each class go to the test set.

    Parameters
    ----------
    class_sizes : ndarray of int, (classes,)
        Samples of each class.
    total : int
        Samples of the test set.

    Returns
    -------
    ndarray of int, (classes,)
        In proportion to the sizes; what rounding down leaves goes to the largest remainders, the
        lower class first.
    """
    counts = class_sizes * total // class_sizes.sum()
    remainders = class_sizes * total % class_sizes.sum()
    for label in np.argsort(-remainders, kind="stable")[: total - counts.sum()]:
        counts[label] += 1
    return counts


def split(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sample numbers of the training and of the test set, both ascending."""
    sizes = np.bincount(labels)
    test = []
    for label, count in enumerate(test_counts(sizes, TEST_COUNT)):
        members = np.flatnonzero(labels == label)
        key = order_key(SEED, CLASS_STREAM, label)
        test.append(members[permute_array(np.arange(count), members.size, key)])
    chosen = np.sort(np.concatenate(test))
    return np.setdiff1d(np.arange(labels.size), chosen), chosen


def write_archive(path: str, arrays: dict[str, np.ndarray]) -> None:
    """Write an .npz file whose bytes depend on the arrays only (numpy.savez stores the date)."""
    with zipfile.ZipFile(path, "w") as archive:
        for key, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array, version=(1, 0), allow_pickle=False)
            info = zipfile.ZipInfo(f"{key}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            archive.writestr(info, member.getvalue(), zipfile.ZIP_DEFLATED, 9)


def main() -> None:
    """Write the file and say what is in it."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    values = digits.images.astype(np.int64)
    if values.min() != 0 or values.max() != LARGEST_VALUE:
        raise SystemExit(f"values {values.min()}..{values.max()}, expected 0..{LARGEST_VALUE}")
    images = ((values * 255 + LARGEST_VALUE // 2) // LARGEST_VALUE).astype(np.uint8)
    labels = digits.target.astype(np.uint8)
    train, test = split(labels)
    arrays = {
        "x_train": images[train], "y_train": labels[train],
        "x_test": images[test], "y_test": labels[test],
    }  # fmt: skip
    write_archive(str(DIGITS_FILE), arrays)
    print(f"{DIGITS_FILE}: {train.size} training and {test.size} test images")


if __name__ == "__main__":
    main()
