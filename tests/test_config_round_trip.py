"""Whatever a configuration file may say, writing the resolved configuration loses none of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bnntrain.config import config_digest, dump_config, load_config
from bnntrain.config.strict_yaml import dump_yaml

NAMES = st.from_regex(r"\A[A-Za-z0-9_][A-Za-z0-9_ .+=@-]{0,20}\Z") | st.sampled_from(
    ["1e-3", "012", "null", "true", "no", "2020-01-01", "5", "ünïcode"]
)
BELOW_ONE = st.floats(0, 1, exclude_max=True)
POSITIVE = st.floats(0, 1, exclude_min=True)
UNITS = st.integers(1, 65536)


def section(**fields):
    """Draw a mapping with any subset of the fields."""
    return st.fixed_dictionaries({}, optional=fields)


CELLS = section(
    latent=st.sampled_from(["int8", "float16", None]),
    latent_range=POSITIVE,
    gradient_bits=st.sampled_from([6, 8]),
)
DENSE = UNITS | st.fixed_dictionaries({"units": UNITS}, optional={"representation": CELLS})
CONV = UNITS | st.fixed_dictionaries(
    {"channels": UNITS},
    optional={
        "kernel": st.integers(1, 7),
        "stride": st.sampled_from([1, 2]),
        "padding": st.sampled_from(["same", "valid"]),
        "representation": CELLS,
    },
)
MAX_POOL = st.sampled_from(["max_pool", {"max_pool": 2}, {"max_pool": {"size": 2}}])


@st.composite
def layer_lists(draw):
    """Draw convolutions, pooled or not, and dense layers behind them."""
    layers = []
    for options in draw(st.lists(CONV, max_size=3)):
        block = [{"conv": options}, "batch_norm", "sign"]
        place = draw(st.sampled_from([None, 1, 2, 3]))
        if place is not None:
            block.insert(place, draw(MAX_POOL))
        layers += block
    if layers:
        layers.append("flatten")
    for options in draw(st.lists(DENSE, min_size=1, max_size=4)):
        layers += [{"dense": options}, "batch_norm", "sign"]
    return layers[:-1]


MODELS = st.fixed_dictionaries({"layers": layer_lists(), "name": NAMES})
CONFIGS = st.fixed_dictionaries(
    {
        "model": MODELS | st.sampled_from(["mlp", "cnv", "binarynet", "resnete18"]),
        "data": st.fixed_dictionaries(
            {"dataset": st.text(min_size=1)},
            optional={
                "validation_fraction": st.floats(0.01, 0.9, exclude_max=True),
                "augment": section(shift=BELOW_ONE, flip=st.booleans())
                | section(crop_padding=st.integers(0, 128), fill=st.sampled_from(["edge", "zero"])),
            },
        ),
        "train": st.fixed_dictionaries(
            {"epochs": st.integers(1, 10**6)},
            optional={
                "batch_size": st.integers(2, 65536),
                "learning_rate": POSITIVE | st.just(1),
                "schedule": st.sampled_from(["step", "plateau"])
                | section(
                    kind=st.sampled_from(["cosine", "linear"]), warmup_epochs=BELOW_ONE,
                    final=BELOW_ONE,
                ),
                "optimizer": st.sampled_from(["adam", "bop"])
                | section(momentum=BELOW_ONE, beta2=BELOW_ONE, epsilon=POSITIVE),
                "label_smoothing": BELOW_ONE,
                "seed": st.integers(0, 2**32 - 1),
                "threads": st.integers(0, 256),
            },
        ),
    },
    optional={
        "name": NAMES,
        "method": st.sampled_from(["standard", "wang2021", "efficient"]),
        "meters": section(
            memory=st.booleans(),
            energy=st.sampled_from(["none", "auto", "ina219"]),
            interval=st.floats(0.001, 3600),
            idle=st.floats(0, 86400),
            address=st.integers(0x40, 0x4F),
            shunt_ohm=st.floats(0, 100, exclude_min=True),
            gain=st.sampled_from([1, 2, 4, 8]),
            file=st.none() | st.text("abc./ ", min_size=1),
        ),
        "representation": CELLS,
    },
)


@given(raw=CONFIGS)
def test_dump_loads_back_to_an_equal_config(raw, tmp_path_factory):
    folder = tmp_path_factory.mktemp("round")
    (folder / "trial.yaml").write_text(dump_yaml(raw), encoding="utf-8")
    config = load_config(folder / "trial.yaml")
    (folder / "again.yaml").write_text(dump_config(config), encoding="utf-8")
    again = load_config(folder / "again.yaml")
    assert again == config
    assert dump_config(again) == dump_config(config)
    assert config_digest(again) == config_digest(config)
