"""Instructions of training steps, and of an image through a trained network, by a counter.

    count_steps.py COUNTER CONFIG:BATCH[:DATASET] ... [MODEL.bnn] ...

COUNTER is a library whose function ``counter`` returns the instructions that were executed. Runs in
the PC of tools/bochs_kit.sh, where that is the time stamp counter, with one thread. Standing beside
steps.py, it takes the package that it finds, which may be an older one.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable
from pathlib import Path

from steps import stepper

import bnntrain

ISAS = ("avx512", "avx2")
WARM_UP, COUNTED = 1, 3


def steps_of(network: str, isa: str) -> Callable[[int], None]:
    """Return what takes a training step of CONFIG:BATCH[:DATASET], by its number."""
    name, batch, *dataset = network.split(":")
    return stepper(name, int(batch), 1, isa, *dataset)


def classifier(model: str, isa: str) -> Callable[[int], None]:
    """Return what sends an image through a packed model."""
    import numpy as np

    from bnntrain.packed import Network, open_source

    network = Network(open_source(Path(model), None), 1, isa, 1)
    network.x[...] = np.random.default_rng(0).integers(-128, 128, network.x.shape, np.int8)
    return lambda number: network.run(1)


def main() -> None:
    """Print the least count for everything that is named, by instruction set."""
    gc.disable()
    counter = ctypes.CDLL(sys.argv[1]).counter
    counter.restype = ctypes.c_uint64
    print(Path(bnntrain.__file__).parent)
    for name in sys.argv[2:]:
        for isa in ISAS:
            try:
                run = (steps_of if ":" in name else classifier)(name, isa)
            except ImportError:
                print(f"{name:42} not in this package")
                break
            found = []
            for number in range(WARM_UP + COUNTED):
                start = counter()
                run(number)
                found.append(counter() - start)
            # What else the machine does meanwhile can only add.
            millions = min(found[WARM_UP:]) / 1e6
            print(f"{name:42} {isa:8} {millions:10.3f} million", flush=True)


if __name__ == "__main__":
    main()
