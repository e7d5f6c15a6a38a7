"""Which combinations of cells have kernels, stated once more than in the code under test."""

from __future__ import annotations

from bnntrain.method import Method

CHOICES = {
    "representation.activation": ("float32", "bit"),
    "representation.mask": ("retained", "bit", "recompute"),
    "representation.norm": ("l2", "l1", "l1-binary"),
    "representation.gradient": ("float32", "float16", "int8"),
    "representation.gradient_bits": (8, 6),
    "representation.gradient_scale": ("delayed", "current"),
    "representation.weight_gradient": ("float32", "bit", "sign", "integer"),
    "representation.latent": ("float32", "float16", "int16", "int8"),
    "representation.latent_range": (0.025, 1.0),
    "representation.momentum": ("float32", "float16", "int8"),
    "train.optimizer.name": ("adam", "sgd", "channel-momentum", "sign-momentum", "sign", "bop"),
    "train.learning_rate": (1e-3, 0.03),
}
INTEGERS = ("int16", "int8")


def has_kernel(method: Method, learning_rate: float) -> bool:
    """State the rules once more, in one expression."""
    momentum = {
        "adam": {"float32"} | ({"float16"} if method.weight_gradient != "float32" else set()),
        "sgd": {"float32", "float16"},
        "channel-momentum": {"int8"},
        "sign-momentum": {"float32", "float16", "int8"},
        "sign": {"float32", "float16", "int8"},
        "bop": {"float32"},
    }[method.optimizer]
    channel = method.optimizer == "channel-momentum"
    of_integers = method.weight_gradient == "integer"
    return (
        channel == of_integers
        and (not channel or (method.gradient, method.latent) == ("int8", "int8"))
        and (method.activation == "float32") == (method.mask == "retained")
        and (method.gradient_bits == 8 or method.gradient == "int8")
        and (method.gradient_scale == "current" or method.gradient == "int8")
        and method.momentum in momentum
        and (method.latent not in INTEGERS or learning_rate <= method.latent_range / 2)
    )
