"""Typed configurations: read strictly, override by dotted key, write back, fingerprint.

Layout, each file importing only from those above it::

    strict_yaml.py   text -> plain Python values, without YAML's surprises
    schema.py        the structs, with every range and choice written on its field
    check.py         plain values -> structs; one-line errors that say what is allowed
    plain.py         values from Python -> those of a file
    models.py        list of layers -> Model
    shipped.py       the YAML files that come with the package
    find.py          names -> texts of files, and of those that are shipped
    load.py          load_config and its relatives
"""

from bnntrain.config.find import is_config_name
from bnntrain.config.load import (
    Reference,
    config_digest,
    dump_config,
    load_config,
    load_meters,
    origin_of,
    parse_override,
    record_config,
)
from bnntrain.config.schema import (
    Augment,
    Config,
    Data,
    Meters,
    Model,
    Optimizer,
    Representation,
    Schedule,
    Train,
)
from bnntrain.config.shipped import shipped_configs, shipped_models, shipped_text

__all__ = [
    "Augment",
    "Config",
    "Data",
    "Meters",
    "Model",
    "Optimizer",
    "Reference",
    "Representation",
    "Schedule",
    "Train",
    "config_digest",
    "dump_config",
    "is_config_name",
    "load_config",
    "load_meters",
    "origin_of",
    "parse_override",
    "record_config",
    "shipped_configs",
    "shipped_models",
    "shipped_text",
]
