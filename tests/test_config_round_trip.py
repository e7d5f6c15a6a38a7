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


MODELS = st.builds(
    lambda units, name: {
        "layers": [
            layer
            for index, count in enumerate(units)
            for layer in [{"dense": count}, "batch_norm", "sign"]
            if layer != "sign" or index + 1 < len(units)
        ],
        "name": name,
    },
    st.lists(UNITS | st.builds(lambda units: {"units": units}, UNITS), min_size=1, max_size=4),
    NAMES,
)
CONFIGS = st.fixed_dictionaries(
    {
        "model": MODELS | st.just("mlp"),
        "data": st.fixed_dictionaries(
            {"dataset": st.text(min_size=1)},
            optional={"validation_fraction": st.floats(0.01, 0.9, exclude_max=True)},
        ),
        "train": st.fixed_dictionaries(
            {"epochs": st.integers(1, 10**6)},
            optional={
                "batch_size": st.integers(2, 65536),
                "learning_rate": POSITIVE | st.just(1),
                "schedule": st.sampled_from(["step", "plateau"])
                | section(kind=st.just("cosine"), warmup_epochs=BELOW_ONE, final=BELOW_ONE),
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
        "representation": section(
            latent=st.sampled_from(["int8", "float16", None]),
            latent_range=POSITIVE,
            gradient_bits=st.sampled_from([6, 8]),
        ),
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
