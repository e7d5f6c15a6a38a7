"""Faulty configurations and models."""

from __future__ import annotations

import itertools

from robustness_kit import TINY, Case, Place


def file(name: str, content: str | bytes, *says: str) -> Case:
    """A whole file; the message must name it."""
    def prepare(place: Place) -> None:
        place.write("bad.yaml", content)

    return Case(name, ("fit", "bad.yaml"), ("bad.yaml", *says), prepare)


def line(name: str, good: str, bad: str, *says: str) -> Case:
    """A good file with one part of it exchanged."""
    assert good in TINY
    return file(name, TINY.replace(good, bad), *says)


def layers(name: str, text: str, *says: str) -> Case:
    """Another list of layers."""
    good = "[{dense: 16}, batch_norm, sign, {dense: 10}, batch_norm]"
    return line(name, good, text, "model.layers", *says)


def conv_layers(name: str, front: str, *says: str) -> Case:
    """Another list of layers: `front`, then the least that can end it."""
    return layers(name, f"[{front}, flatten, {{dense: 10}}, batch_norm]", *says)


def model_file(name: str, content: str, *says: str) -> Case:
    """A model in a file of its own."""
    def prepare(place: Place) -> None:
        place.write("model.yaml", content)
        text = "model: model.yaml\ndata: {dataset: digits}\ntrain: {epochs: 1}\n"
        place.write("with_model.yaml", text)

    return Case(name, ("fit", "with_model.yaml"), ("model.yaml", *says), prepare)


KEYS = [
    line("unknown-key", "epochs: 2", "epoch: 2", "train.epoch: unknown key", "'epochs'"),
    line("unknown-section", "train:", "trian:", "trian: unknown key", "'train'"),
    line("key-elsewhere", "name: tiny", "batch_size: 5", "Did you mean 'train.batch_size'?"),
    line("synonym", "epochs: 2", "lr: 1e-3", "train.lr", "'learning_rate'"),
    line("missing-epochs", "epochs: 2, ", "", "train.epochs: missing", "from 1"),
    line("missing-model", "model:\n  layers", "x:\n  layers", "x: unknown key"),
    line("missing-data", "data: {dataset: digits}\n", "", "data: missing", "the keys dataset"),
    line("duplicate-key", "epochs: 2", "epochs: 2, epochs: 3", ":5: train.epochs: duplicate"),
    line("duplicate-section", "name: tiny", "data: {dataset: mnist}", "data: duplicate key"),
    line("number-as-key", "name: tiny", "1: 2", "the key 1 is not text", "quotes"),
]

VALUES = [
    line("text-for-number", "epochs: 2", "epochs: two", "train.epochs: 'two'", "a whole number"),
    line("float-for-int", "epochs: 2", "epochs: 2.5", "train.epochs: 2.5", "from 1 to"),
    line("boolean-for-int", "epochs: 2", "epochs: true", "train.epochs: true", "from 1 to"),
    line("nothing-for-int", "epochs: 2", "epochs: ", "train.epochs: null", "from 1 to"),
    line("list-for-int", "epochs: 2", "epochs: [2]", "train.epochs: [2]", "from 1 to"),
    line("zero-epochs", "epochs: 2", "epochs: 0", "train.epochs: 0", "from 1 to"),
    line("negative-batch", "batch_size: 50", "batch_size: -1", "train.batch_size: -1", "to 65536"),
    line("huge-batch", "batch_size: 50", "batch_size: 70000", "train.batch_size", "65536"),
    line("endless-number", "epochs: 2", f"epochs: {'9' * 5000}", "train.epochs", "Shorten it"),
    line("infinite", "epochs: 2", "learning_rate: 1e999", "not finite", "smaller number"),
    line("nan", "epochs: 2", "epochs: 2, learning_rate: .nan", "train.learning_rate: '.nan'"),
    line("rate-0", "epochs: 2", "epochs: 2, learning_rate: 0", "train.learning_rate", "above 0"),
    line("leading-zero", "epochs: 2", "epochs: 012", "012 has a leading zero", "Write 12"),
    line("seed-too-large", "epochs: 2", "epochs: 2, seed: 4294967296", "train.seed", "4294967295"),
    line("threads", "threads: 1", "threads: 257", "train.threads: 257", "256"),
    line("fraction-1", "dataset: digits", "dataset: digits, validation_fraction: 1",
         "data.validation_fraction: 1", "below 0.9"),
    line("shift-and-crop", "dataset: digits",
         "dataset: digits, augment: {shift: 0.1, crop_padding: 2}",
         "data.augment.crop_padding", "shift is 0.1 already", "Give one of the two"),
    line("crop-out-of-sight", "dataset: digits", "dataset: digits, augment: {crop_padding: 8}",
         "data.augment.crop_padding: 8", "8x8", "Give less than 8"),
    line("flip-yes", "dataset: digits", "dataset: digits, augment: {flip: yes}",
         "data.augment.flip: 'yes'", "true or false"),
    line("section-as-text", "{dataset: digits}", "digits", "data: 'digits'", "a mapping"),
    line("name-with-slash", "name: tiny", "name: ../tiny", "name: '../tiny'", "a name of"),
    line("unknown-method", "name: tiny", "method: eficient", "method", "'efficient'"),
    line("unknown-schedule", "epochs: 2", "epochs: 2, schedule: cosin", "train.schedule.kind",
         "'cosine'"),
    line("yes-is-text", "name: tiny", "representation: {mask: yes}", "representation.mask: 'yes'"),
]  # fmt: skip

TEXT = [
    file("empty", "", "is not a configuration", "config show"),
    file("a-list", "- 1\n- 2\n", "is not a configuration"),
    file("tabs", TINY.replace("  layers", "\tlayers"), "bad.yaml:3", "indentation"),
    file("open-bracket", "model: [1, 2\ntrain: 3\n", "bad.yaml:2", "Check"),
    file("two-documents", TINY + "---\n" + TINY, "bad.yaml:6", "Check"),
    file("unknown-alias", "model: *mlp\n", "bad.yaml:1", "undefined alias"),
    file("python-tag", "model: !!python/object:os.system {}\n", "bad.yaml:1", "not supported"),
    file("not-utf-8", b"name: caf\xe9\n", "byte 9", "Save it as UTF-8"),
    file("control-characters", "name: \x01\n", "UTF-8"),
    file("nested-too-deeply", "[" * 5000 + "]" * 5000, "nested too deeply"),
    file("billion-laughs", "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{b}: &{b} [{', '.join([f'*{a}'] * 10)}]\n" for a, b in itertools.pairwise("abcdefg")
    ), "too large"),
    file("not-text", bytes(range(256)) * 5000, "larger than 1 MiB"),
]  # fmt: skip

MODELS = [
    layers("no-layers", "[]", "[]", "a list of layers"),
    layers("layers-as-text", "dense", "'dense'", "a list of layers"),
    layers("unknown-layer", "[{dens: 10}, batch_norm]", "[0]: unknown layer 'dens'", "'dense'"),
    layers("first-is-sign", "[sign, {dense: 10}, batch_norm]", "[0]: sign cannot stand", "dense"),
    layers("no-norm", "[{dense: 16}, sign, {dense: 10}, batch_norm]", "[1]", "batch_norm"),
    layers("sign-at-the-end", "[{dense: 10}, batch_norm, sign]", "[2]", "without sign"),
    layers("no-units", "[dense, batch_norm]", "[0].dense.units: missing", "from 1 to 65536"),
    layers("zero-units", "[{dense: 0}, batch_norm]", "[0].dense.units: 0", "from 1"),
    layers("two-in-one", "[{dense: 10, batch_norm: }]", "[0]", "one layer"),
    layers("option-of-sign", "[{dense: 10}, batch_norm: 3]", "[1].batch_norm", "takes no value"),
    layers("11-outputs", "[{dense: 11}, batch_norm]", "[0].dense: 11 outputs", "Give 10"),
    conv_layers("no-flatten", "{conv: 4}, batch_norm, sign, {dense: 4}, batch_norm, sign", "[3]",
                "Put flatten before it"),
    conv_layers("two-pools", "{conv: 4}, max_pool, max_pool, batch_norm, sign", "[2]", "a second"),
    conv_layers("window-of-9", "{conv: {channels: 4, kernel: 9}}, batch_norm, sign",
                "[0].conv.kernel: 9", "from 1 to 7"),
    conv_layers("pool-of-4", "{conv: 4}, max_pool: 4, batch_norm, sign", "[1].max_pool.size: 4",
                "Give one of 2, 3"),
    conv_layers("pool-of-3",
                "{conv: 4}, max_pool: {size: 3, padding: same}, batch_norm, sign",
                "[1]: max_pool with 'size: 3' cannot stand after conv", "Leave 'size: 3' out"),
    conv_layers("image-too-small",
                "{conv: {channels: 4, kernel: 5, padding: valid}}, batch_norm, sign,"
                "{conv: {channels: 4, kernel: 5, padding: valid}}, batch_norm, sign",
                "[3].conv: a window of 5 does not fit into the 4 rows", "'padding: same'"),
    conv_layers("too-small-to-pool", ", ".join(["{conv: 4}, max_pool, batch_norm, sign"] * 4),
                "[13].max_pool: 1x1 positions are too few", "Leave this layer"),
    conv_layers("too-many-inputs",
                "{conv: 8192}, batch_norm, sign, {conv: 4}, batch_norm, sign",
                "[3].conv: 73728 inputs are more than the 65536", "fewer channels before it"),
    conv_layers("too-many-inputs-flattened", "{conv: 1025}, batch_norm, sign",
                "[4].dense: 65600 inputs are more than the 65536", "Give fewer channels before"),
    layers("11-outputs-of-a-conv-model",
           "[{conv: 4}, batch_norm, sign, flatten, {dense: 11}, batch_norm]",
           "[4].dense: 11 outputs", "Give 10"),
    model_file("model-without-layers", "name: x\n", "layers: missing", "a list of layers"),
    model_file("model-is-a-list", "[{dense: 10}]\n", "is not a model", "layers"),
    model_file("model-unknown-key", "layer: []\n", "layer: unknown key", "'layers'"),
    file("unknown-model", "model: mpl\ndata: {dataset: digits}\ntrain: {epochs: 1}\n",
         "model: 'mpl'", "'mlp'"),
    file("model-file-missing", "model: no.yaml\ndata: {dataset: digits}\ntrain: {epochs: 1}\n",
         "model: no.yaml: no such file", "mlp"),
]  # fmt: skip

TOGETHER = [
    line("float-X-bit-mask", "name: tiny", "representation: {activation: float32}",
         "representation.activation: float32", "Nearest that works"),
    line("int8-momentum-of-adam", "name: tiny",
         "method: standard\nrepresentation: {momentum: int8}",
         "representation.momentum: int8", "Nearest that works: float32"),
    line("float16-momentum-of-bop", "train: {",
         "representation: {momentum: float16}\ntrain: {optimizer: bop, ",
         "representation.momentum: float16", "Nearest that works: float32"),
    line("6-bits-of-a-float", "name: tiny",
         "representation: {gradient: float16, gradient_bits: 6}",
         "representation.gradient_bits: 6", "Nearest that works: 8"),
    line("rate-beyond-latents", "epochs: 2", "epochs: 2, learning_rate: 0.5",
         "train.learning_rate: 0.5", "latent_range", "Nearest that works: 0.0"),
    line("warmup-beyond-the-run", "epochs: 2", "epochs: 2, schedule: {warmup_epochs: 3}",
         "train.schedule.warmup_epochs: 3", "at most 2"),
    line("plateau-without-validation", "dataset: digits}\ntrain: {",
         "dataset: digits, validation_fraction: 0}\ntrain: {schedule: plateau, ",
         "train.schedule.kind: plateau", "above 0"),
    line("batch-beyond-the-data", "batch_size: 50", "batch_size: 1294",
         "train.batch_size: 1294", "1293"),
    line("data-set-is-a-number", "digits", "7", "data.dataset: 7", "data list"),
]  # fmt: skip

CASES = [*KEYS, *VALUES, *TEXT, *MODELS, *TOGETHER]
