"""The structs of a configuration. Ranges and choices stand on the fields and nowhere else.

`check.py` reads them from here both to refuse a value and to say what would be allowed.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bnntrain.graph import Items, Representation

# Names become file and folder names, so they hold no separator and do not start with a dot.
NAME_PATTERN = r"\A\w[\w .+=@-]*\Z"
NAME_FORM = "a name of 1 to 100 letters, digits, spaces and _ . + = @ -"
MODEL_FORMS = "the name of a shipped model, a .yaml file, or a mapping with the key layers"
SIZE_FORM = "one side or [height, width], whole numbers from 4 to 1024"
DATASET_FORMS = "the name of a data set (see 'bnntrain data list') or the path of one"
ADDRESS_FORM = "a whole number from 0x40 to 0x4F, as 'i2cdetect -y 1' shows it"
RECORDING_FORM = "the path of a power.csv"
# `allowed` is what messages say about a field whose type alone says too little.
Name = Annotated[str, Meta(max_length=100, pattern=NAME_PATTERN, extra={"allowed": NAME_FORM})]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
Fraction = Annotated[float, Meta(ge=0, le=1)]
BelowOne = Annotated[float, Meta(ge=0, lt=1)]
Positive = Annotated[float, Meta(gt=0, le=1)]
Side = Annotated[int, Meta(ge=4, le=1024)]
Seed = Annotated[int, Meta(ge=0, le=2**32 - 1)]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all sections: immutable, no keys beyond its fields."""


class Schedule(_Section):
    """How the learning rate changes over the run.

    Attributes
    ----------
    kind : str
        ``constant``; ``step``: times `factor` every `every_epochs`; ``plateau``: times `factor`
        after `patience` epochs without a better validation accuracy; ``cosine``: half a cosine
        wave down to `final` times the initial rate; ``linear``: straight down to there.
    warmup_epochs : float
        Linear rise from zero over this many epochs, before any kind.
    """

    kind: Literal["constant", "step", "plateau", "cosine", "linear"] = "constant"
    warmup_epochs: Annotated[float, Meta(ge=0, le=1_000_000)] = 0.0
    every_epochs: Count = 50
    patience: Count = 50
    factor: Annotated[float, Meta(gt=0, lt=1)] = 0.5
    final: Fraction = 0.0


class Optimizer(_Section):
    """The update rule of the binary layers; ``name: null`` is the method's own.

    Attributes
    ----------
    momentum : float
        Decay of the first moment (``sgd``, the moments, and Adam's beta1).
    beta2, epsilon : float
        Adam's second decay, which ``channel-momentum`` has too, and the guard of Adam's division.
    bop_gamma, bop_threshold : float
        Bop's decay and the mean gradient above which a weight flips.
    """

    name: Literal["adam", "sgd", "channel-momentum", "sign-momentum", "sign", "bop"] | None = None
    momentum: BelowOne = 0.9
    beta2: BelowOne = 0.999
    epsilon: Positive = 1e-7
    bop_gamma: Positive = 1e-3
    bop_threshold: Fraction = 1e-6


class Augment(_Section):
    """Random changes to the images of training batches, drawn anew in every epoch.

    Attributes
    ----------
    shift : float
        Largest shift, as a fraction of height and of width; whole pixels, every one equally likely.
    crop_padding : int
        Pixels added on each side before a window of the original size is cut out at random; the
        same as a shift by up to that many pixels. Not together with `shift`.
    fill : str
        What comes in from outside: ``edge`` repeats the edge, ``zero`` is the middle of the range.
    flip : bool
        Mirror one image in two, left to right.
    crop_area : float or None
        Of encoded records a part is taken at random, of at least this share of the picture's area;
        None takes the one that evaluation takes.
    crop_aspect : float
        How much wider or narrower than a sample that part may be.
    colour : float
        Largest change of brightness, contrast and saturation of encoded records, each by a factor
        in 1 - colour ... 1 + colour.
    """

    shift: BelowOne = 0.0
    crop_padding: Annotated[int, Meta(ge=0, le=128)] = 0
    fill: Literal["edge", "zero"] = "edge"
    flip: bool = False
    crop_area: Positive | None = None
    crop_aspect: Annotated[float, Meta(ge=1, le=4)] = 4 / 3
    colour: Fraction = 0.0


class Data(_Section):
    """What is learnt from: name or path of a data set, and the share held out of its training part.

    Attributes
    ----------
    validation_fraction : float
        Share of the training samples, drawn by the run's seed, that validation uses instead.
    image_size : tuple of int or None
        Height and width that pictures of any size are brought to; None: they have one size. A file
        may give one number for both.
    resize : str
        How: ``crop`` keeps the centre of the sample's proportions, ``centre`` the middle of that,
        seven eighths of its sides, ``pad`` all of the picture with grey beside it, ``stretch`` all
        of it without its proportions.
    channels : str or None
        ``grey`` or ``rgb``; None: what the pictures are.
    test_fraction : float
        Share of each class that tests where a set of pictures has no test part.
    test_seed : int
        Draws that share, whatever the run's seed.
    records : str
        What pictures are converted to: ``pixels`` of samples, or the ``encoded`` files as they are,
        which are decoded beside training.
    workers : int or None
        Processes that decode encoded records; 0 decodes in the process that trains, None takes as
        many as help on the processors that training leaves. Of no influence on the weights.
    classes : int or None
        How many there are: planned with while the data are not there. Data of another number are
        refused.
    enlarge : bool
        Whether encoded records may be smaller than `image_size`. Those of pixels may.
    """

    dataset: Annotated[str, Meta(min_length=1, extra={"allowed": DATASET_FORMS})]
    validation_fraction: Annotated[float, Meta(ge=0, lt=0.9)] = 0.1
    augment: Augment = Augment()
    image_size: Annotated[tuple[Side, Side], Meta(extra={"allowed": SIZE_FORM})] | None = None
    resize: Literal["crop", "centre", "pad", "stretch"] = "crop"
    channels: Literal["grey", "rgb"] | None = None
    test_fraction: Annotated[float, Meta(gt=0, lt=0.9)] = 0.2
    test_seed: Seed = 0
    records: Literal["pixels", "encoded"] = "pixels"
    workers: Annotated[int, Meta(ge=0, le=64)] | None = None
    classes: Annotated[int, Meta(ge=2, le=65_536)] | None = None
    enlarge: bool = False


class Train(_Section):
    """Length, batch and rate of a run.

    Attributes
    ----------
    batch_size : int
        Samples per step, at least 2: batch norm of one sample is constant. The upper bound keeps
        sums of int8 products over a batch in 32 bits.
    learning_rate : float
        Peak rate; the schedule multiplies it.
    threads : int
        0 stands for all cores that the process may use.
    """

    epochs: Count
    batch_size: Annotated[int, Meta(ge=2, le=65_536)] = 100
    learning_rate: Positive = 1e-3
    schedule: Schedule = Schedule()
    optimizer: Optimizer = Optimizer()
    label_smoothing: BelowOne = 0.0
    seed: Seed = 0
    threads: Annotated[int, Meta(ge=0, le=256)] = 0


class Meters(_Section):
    """What is measured beside the training; it does not influence the weights.

    Attributes
    ----------
    memory : bool
        Sample the memory of the process into ``memory.dat``.
    memory_backend : str
        What is asked for it: the kernel's own table (``built-in``), or ``memory-profiler``.
    memory_kind : str
        ``rss``, the resident set size; ``pss``, with shared pages in equal parts; ``uss``, what no
        other process shares. The last two and `memory_children` need ``memory-profiler``.
    memory_children : bool
        Count the processes that the run starts too.
    memory_interval, interval : float
        Seconds between two samples of memory, and of power.
    energy : str
        The meter: ``auto`` takes the first that works, ``none`` measures no energy.
    idle : float
        Seconds of baseline before and after the training.
    bus, address : int
        Where an INA219 is: number of the I2C bus (``/dev/i2c-1``) and address on it.
    shunt_ohm : float
        Resistance of the shunt in ohm, as ``bnntrain energy calibrate`` found it.
    bus_range : int
        Highest voltage of the INA219's bus side, in volts.
    gain : int
        Divider in front of its shunt side: 1, 2, 4, 8 measure up to 40, 80, 160, 320 mV.
    averaging : int
        Conversions of 0.532 ms that one reading of the shunt is the mean of.
    file : str
        Recording that ``replay`` plays.
    """

    memory: bool = True
    memory_backend: Literal["built-in", "memory-profiler"] = "built-in"
    memory_kind: Literal["rss", "pss", "uss"] = "rss"
    memory_children: bool = False
    memory_interval: Annotated[float, Meta(ge=0.001, le=3600)] = 0.1
    energy: Literal["none", "auto", "ina219", "hwmon", "pmic", "rapl", "replay"] = "none"
    interval: Annotated[float, Meta(ge=0.001, le=3600)] = 0.05
    idle: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    bus: Annotated[int, Meta(ge=0, le=255)] = 1
    address: Annotated[int, Meta(ge=0x40, le=0x4F, extra={"allowed": ADDRESS_FORM})] = 0x40
    shunt_ohm: Annotated[float, Meta(gt=0, le=100)] = 0.1
    bus_range: Literal[16, 32] = 32
    gain: Literal[1, 2, 4, 8] = 8
    averaging: Literal[1, 2, 4, 8, 16, 32, 64, 128] = 64
    file: Annotated[str, Meta(min_length=1, extra={"allowed": RECORDING_FORM})] | None = None


class Model(_Section):
    """A network as a list of layers, first to last, with nested lists as they were written."""

    name: str
    layers: Items


class ConfigFile(_Section):
    """The keys of a configuration file, before names and models are resolved."""

    model: Annotated[object, Meta(extra={"allowed": MODEL_FORMS})]
    data: Data
    train: Train
    name: Name | None = None
    method: Literal["standard", "wang2021", "efficient"] = "efficient"
    representation: Representation = Representation()
    meters: Meters = Meters()


class Config(msgspec.Struct, frozen=True, eq=False):
    """A resolved configuration: all that a run needs to know.

    Attributes
    ----------
    name : str
        What the run is called; the file's name where it gives none.
    model : Model
        The layers themselves, wherever they were written.
    method : str
        Row of `bnntrain.method.METHODS`.
    source : str
        File that it was read from, for later messages.
    overridden : frozenset of str
        Dotted keys whose values did not come from there. Like `source`, neither written out nor
        compared.
    """

    name: str
    model: Model
    data: Data
    train: Train
    method: str = "efficient"
    representation: Representation = Representation()
    meters: Meters = Meters()
    source: str = ""
    overridden: frozenset[str] = frozenset()

    def __eq__(self, other: object) -> bool:
        """Compare everything but `source` and `overridden`."""
        if not isinstance(other, Config):
            return NotImplemented
        apart = ("source", "overridden")
        names = (name for name in self.__struct_fields__ if name not in apart)
        return all(getattr(self, name) == getattr(other, name) for name in names)

    __hash__ = None  # a model's options are dicts
