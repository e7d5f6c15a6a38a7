"""Train binary neural networks on the device itself, in a memory plan known to the byte.

Scripts use `fit`, `load`, `evaluate`, `predict` and `prepare` (see `bnntrain.api`)::

    import bnntrain
    run = bnntrain.fit("digits", overrides={"train.epochs": 5})
    print(run.test_accuracy, run.plan.total_bytes)
    model = bnntrain.load(run)
    print(model.classes, model.predict("digit.png"))
"""

from pkgutil import extend_path

__version__ = "0.1.0"

# Python started in a source checkout finds this folder before the installed package, which has the
# compiled kernels: let both be one package.
__path__ = extend_path(__path__, __name__)
del extend_path

_API = ("Classifier", "Run", "evaluate", "fit", "load", "predict", "prepare")
__all__ = [*_API, "__version__"]


def __getattr__(name: str) -> object:
    """Load the API on first use: `bnntrain --version` needs neither NumPy nor the kernels."""
    if name in _API:
        from bnntrain import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name what is loaded on first use too."""
    return sorted({*globals(), *__all__})
