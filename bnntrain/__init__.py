"""Train binary neural networks on the device itself, in a memory plan known to the byte.

Scripts use `fit`, `evaluate`, `predict` and `prepare` (see `bnntrain.api`)::

    import bnntrain
    run = bnntrain.fit("digits", overrides={"train.epochs": 5})
    print(run.test_accuracy, run.plan.total_bytes)
"""

from pkgutil import extend_path

__version__ = "0.1.0"

# Python started in a source checkout finds this folder before the installed package, which has the
# compiled kernels: let both be one package.
__path__ = extend_path(__path__, __name__)

_API = ("Run", "evaluate", "fit", "predict", "prepare")
__all__ = [*_API, "__version__"]


def __getattr__(name: str) -> object:
    """Load the API on first use: `bnntrain --version` needs neither NumPy nor the kernels."""
    if name in _API:
        from bnntrain import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
