"""Train binary neural networks on the device itself, in a memory plan known to the byte.

Scripts use `fit`, `load`, `evaluate`, `predict`, `export` and `prepare` (see `bnntrain.api`)::

    import bnntrain
    run = bnntrain.fit("digits", overrides={"train.epochs": 5})
    print(run.test_accuracy, run.plan.total_bytes)
    model = bnntrain.load(run)
    print(model.classes, model.predict("digit.png"))
"""

import os
import sys

__version__ = "0.1.0"

# Python started in a source checkout finds this folder before the installed package, which has the
# compiled kernels: let both be one package. What pkgutil.extend_path does, without its imports:
# until they are done Ctrl-C would find nobody to answer it.
__path__ += [
    place
    for place in (os.path.join(entry, __name__) for entry in sys.path)  # noqa: PTH118
    if place not in __path__ and os.path.isfile(os.path.join(place, "__init__.py"))  # noqa: PTH118, PTH113
]

# Where each name of `bnntrain.api` comes from: who trains does not load what classifies.
_API = {
    "Classifier": "classifier", "Run": "training", "evaluate": "api", "export": "exports",
    "fit": "training", "load": "classifier", "predict": "api", "prepare": "preparation",
}  # fmt: skip
__all__ = [*_API, "__version__"]


def __getattr__(name: str) -> object:
    """Load the API on first use: `bnntrain --version` needs neither NumPy nor the kernels."""
    if name in _API:
        from importlib import import_module

        return getattr(import_module(f"bnntrain.{_API[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name what is loaded on first use too."""
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
