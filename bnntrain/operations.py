"""What a training step asks of the kernels: every operation, with its sizes and how often.

Follows `kernels/dense`, `kernels/conv` and `kernels/loss` call by call; tests hold it against the
calls of real steps. Knows the all-integer step of ``efficient`` (its optimisers, 6 and 8 gradient
bits); a step that is not the run's first, which also measures scales.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from bnntrain.errors import UsageError
from bnntrain.layers import GRADIENT_LIMITS, Block, ConvBlock
from bnntrain.layers.block import has_integer_update
from bnntrain.method import Method
from bnntrain.plan import Plan

TILE = 64
"""Channels of a product (BNN_TILE)."""

_ROWS = 192  # positions of a pass, BNN_CONV_ROWS
_CHUNK = 256  # positions of a piece of dW, BNN_CONV_CHUNK
_DW_WORDS = 2  # BNN_CONV_DW_WORDS
_INPUT_ROWS, _DY_ROWS = 48, 32  # of kernels/conv/input_gradient.c
_BLOCK_OF_ROWS = 6  # shares of dX are multiples of it
_UPDATE_ROWS = 8  # BNN_UPDATE_ROWS
_LOSS_ROWS = 64  # CHUNK of kernels/loss/loss.c
_GROUP = 16  # BNN_LOOKUP_GROUP
_TABLE_BYTES, _PANEL_BYTES = 64, 256  # of a group: BNN_LOOKUP_TABLE_BYTES, BNN_LOOKUP_PANEL_BYTES
_POOL_ROWS = 4
_DW_TAPS = 9  # larger windows take one word of channels at a time

_PRODUCT = ("rows", "columns", "depth")
SIZES: dict[str, tuple[str, ...]] = {
    "xnor_gemm_u1_i32": _PRODUCT,
    "gemm_i8_u1_i32": (*_PRODUCT, "reuse"),
    "gemm_i8_i8_i32": (*_PRODUCT, "reuse"),
    "lookup_gemm_i32": ("rows", "columns", "taps", "groups", "add"),
    "lookup_tables_i8": ("rows", "depth"),
    "lookup_lay_u1": ("depth", "columns"),
    "softmax_f32": ("rows", "classes"),
    "quantise_f32_i8": ("count",),
    "adam_f32": ("count",),
}
"""Parameters of an operation, as its C header names them, that a `Call` gives in this order; those
of the operations that are not listed are ``rows`` and ``columns``."""

_ELEMENT = ("rows", "columns")
_UPDATES = {
    "channel-momentum": "update_channel_momentum_i8",
    "sign-momentum": "update_sign_momentum_i8",
    "sign": "update_sign_i8",
}


@dataclass(frozen=True)
class Call:
    """One call of a kernel: the operation, and its sizes in the order of `sizes_of`."""

    op: str
    sizes: tuple[int, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates; 0 for what is no product."""
        if self.op == "lookup_gemm_i32":
            rows, columns, taps, groups, _ = self.sizes
            return rows * columns * taps * groups * _GROUP
        if "gemm" in self.op:
            rows, columns, depth = self.sizes[:3]
            return rows * columns * depth
        return 0

    @property
    def work(self) -> int:
        """Multiply-accumulates of a product, otherwise the values that it works on."""
        if self.macs:
            return self.macs
        count = 1
        for size in self.sizes:
            count *= size
        return count


@dataclass(frozen=True)
class Traffic:
    """An array that a pass goes over: its bytes, and the bytes of it that the pass moves."""

    size: int
    moved: int


@dataclass
class Pass:
    """One pass over the data of a block.

    Attributes
    ----------
    layer : str
        Name of the block; ``all`` for the loss.
    name : str
        Which pass it is.
    calls : Counter of Call
        What it asks of the kernels, on all threads together.
    traffic : list of Traffic
        The arrays of the arena that it reads or writes. Scratch of a thread counts as cached.
    units : int
        Equal pieces that threads share; 0 where there are many more than threads.
    """

    layer: str
    name: str
    calls: Counter[Call] = field(default_factory=Counter)
    traffic: list[Traffic] = field(default_factory=list)
    units: int = 0

    def add(self, op: str, *sizes: int, times: int = 1) -> None:
        """Count calls."""
        if times:
            self.calls[Call(op, sizes)] += times

    def stream(self, size: int, times: float = 1) -> None:
        """Count an array of `size` bytes that is gone over `times` times."""
        self.traffic.append(Traffic(size, int(size * times)))

    def bytes_beyond(self, cache: int) -> int:
        """Bytes moved of arrays that are larger than a cache of `cache` bytes."""
        return sum(t.moved for t in self.traffic if t.size > cache)


def sizes_of(op: str) -> tuple[str, ...]:
    """Return the names of the parameters whose values are the sizes of a `Call`."""
    return SIZES.get(op, _ELEMENT)


def count_operations(blocks: Sequence[Block], plan: Plan) -> list[Pass]:
    """List what one training step does.

    Parameters
    ----------
    blocks : sequence of Block
        The network that the plan was made for.
    plan : Plan
        Its batch, threads and buffers: whether y of a convolution is multiplied again depends on
        the room that they leave.

    Returns
    -------
    list of Pass
        In the order in which they run.

    Raises
    ------
    UsageError
        A method other than ``efficient`` with its integer optimisers.
    """
    check_method(plan.method)
    counted = [
        (_ConvCounter if isinstance(block, ConvBlock) else _DenseCounter)(block, plan)
        for block in blocks
    ]
    found = [one for block in counted for one in block.forward()]
    found.append(_loss(blocks[-1], plan.batch_size))
    for block in reversed(counted):
        found += block.backward()
    for block in counted:
        found.append(block.update())
    return found


def check_method(method: Method) -> None:
    """Refuse methods whose steps are not counted here."""
    cells = (method.activation, method.mask, method.norm, method.gradient, method.gradient_scale)
    known = ("bit", "recompute", "l2", "int8", "delayed")
    if cells != known or not has_integer_update(method):
        raise UsageError(
            f"the operations of method '{method.name}' with these representations are not counted. "
            "Give 'efficient'"
        )


def _loss(last: Block, batch: int) -> Pass:
    classes = last.outputs
    one = Pass("all", "loss", units=1)
    for rows, times in _pieces(batch, _LOSS_ROWS):
        one.add("softmax_f32", rows, classes, times=times)
    one.add("quantise_f32_i8", batch * classes)
    return one


def _pieces(count: int, most: int) -> list[tuple[int, int]]:
    """Cut `count` into pieces of `most`: sizes and how many there are of each."""
    whole, rest = divmod(count, most)
    return [(size, times) for size, times in ((most, whole), (rest, 1)) if size and times]


def _ceil(count: int, by: int) -> int:
    return -(-count // by)


class _Counter:
    """What both kinds of block share."""

    def __init__(self, block: Block, plan: Plan) -> None:
        self.block, self.plan, self.batch = block, plan, plan.batch_size
        self.inputs, self.outputs = block.fan_in, block.channels
        self.limit = GRADIENT_LIMITS[plan.method.gradient_bits]
        self.updates = _UPDATES[plan.method.optimizer]
        self.momenta = plan.method.momenta

    def new(self, name: str, units: int = 0) -> Pass:
        return Pass(self.block.name, name, units=units)

    @property
    def tiles(self) -> list[tuple[int, int]]:
        """Widths of the tiles of output channels."""
        return _pieces(self.outputs, TILE)

    def pack_rows(self, one: Pass) -> None:
        """Signs of W as a dense block packs them, and its transposition for int8 inputs."""
        for width, times in self.tiles:
            one.add("pack_i8_u1", width, self.inputs, times=times)
            if self.block.is_first:
                one.add("transpose_u1", width, self.inputs, times=times)
        one.stream(self.block.weights)

    def stream_weights(self, one: Pass) -> None:
        """Latent weights and momenta, read and written."""
        one.stream(self.block.weights, 2)
        if self.momenta:
            one.stream(self.block.weights * self.momenta, 2)

    def update(self) -> Pass:
        one = self.new("update", 1)
        one.add("adam_f32", self.outputs, times=2 if self.block.has_gamma else 1)
        return one


class _DenseCounter(_Counter):
    """The calls of kernels/dense."""

    def product(self, one: Pass) -> None:
        for width, times in self.tiles:
            if self.block.is_first:
                one.add("gemm_i8_u1_i32", self.batch, width, self.inputs, 0, times=times)
            else:
                one.add("xnor_gemm_u1_i32", self.batch, width, self.inputs, times=times)
        one.stream(self._x_bytes, _ceil(self.outputs, TILE))

    @property
    def _x_bytes(self) -> int:
        return self.batch * (self.inputs if self.block.is_first else 8 * _ceil(self.inputs, 64))

    def forward(self) -> Iterator[Pass]:
        one = self.new("pack", _ceil(self.outputs, TILE))
        self.pack_rows(one)
        yield one
        one = self.new("forward", _ceil(self.outputs, TILE))
        self.product(one)
        yield one
        one = self.new("activate", _ceil(self.outputs, TILE))
        for width, times in self.tiles:
            one.add("norm_sums_i32", self.batch, width, times=times)
            op = "normalise_i32_f32" if self.block.is_last else "binarise_i32_u1"
            one.add(op, self.batch, width, times=times)
        yield one

    def backward(self) -> Iterator[Pass]:
        batch, outputs = self.batch, self.outputs
        one = self.new("pack again", _ceil(self.outputs, TILE))
        self.pack_rows(one)
        yield one
        one = self.new("recompute", _ceil(self.outputs, TILE))
        self.product(one)
        yield one
        one = self.new("norm backward", _ceil(self.outputs, TILE))
        for width, times in self.tiles:
            for op in ("norm_cancel_i8", "norm_affine_i8", "transpose_i8"):
                one.add(op, batch, width, times=times)
        one.stream(batch * outputs, 2)
        one.stream(batch * outputs)
        yield one
        if not self.block.is_first:
            yield self._input_gradient()
        yield from self._weight_gradient()

    def _input_gradient(self) -> Pass:
        one = self.new("input gradient", _ceil(self.inputs, TILE))
        for width, times in _pieces(self.inputs, TILE):
            one.add("gemm_i8_u1_i32", self.batch, width, self.outputs, 0, times=times)
            one.add("largest_i32", self.batch, width, times=times)
            one.add("requantise_i32_i8", self.batch, width, times=times)
        one.stream(self.batch * self.outputs, _ceil(self.inputs, TILE))
        one.stream(self.batch * self.inputs)
        return one

    def _weight_gradient(self) -> Iterator[Pass]:
        units = _ceil(self.inputs, TILE)
        one, steps = self.new("weight gradient", units), self.new("weight update", units)
        op = "gemm_i8_i8_i32" if self.block.is_first else "gemm_i8_u1_i32"
        for width, columns in _pieces(self.inputs, TILE):
            first = 1
            for rows, times in self.tiles:
                # The panel of X is laid for the first block of rows.
                one.add(op, rows, width, self.batch, 0, times=first * columns)
                one.add(op, rows, width, self.batch, 1, times=(times - first) * columns)
                steps.add(self.updates, rows, width, times=times * columns)
                first = 0
        one.stream(self.batch * self.outputs, _ceil(self.inputs, TILE))
        one.stream(self._x_bytes)
        self.stream_weights(steps)
        yield one
        yield steps


class _ConvCounter(_Counter):
    """The calls of kernels/conv."""

    block: ConvBlock

    def __init__(self, block: ConvBlock, plan: Plan) -> None:
        super().__init__(block, plan)
        self.window, self.pool = block.window, block.shape.pool
        self.taps, self.channels = block.shape.taps, block.shape.input[2]
        self.after = self.pool in ("before_sign", "after_sign")
        self.parts = 2 if self.limit > GRADIENT_LIMITS[6] else 1
        self.keeps_forward, self.keeps_backward = block.keeps_y(
            {placed.buffer.name: placed.buffer.bytes for placed in plan.placed}, plan.batch_size
        )
        self.group = block.group(plan.threads)

    @property
    def words(self) -> list[tuple[int, int]]:
        """Widths of the words of input channels."""
        return _pieces(self.channels, TILE)

    # Bytes of arrays of the whole batch.

    @property
    def _x_bytes(self) -> int:
        inputs = self.batch * self.window.inputs
        return inputs * (self.channels if self.block.is_first else 8 * _ceil(self.channels, 64))

    @property
    def _norm_values(self) -> int:
        return self.batch * self.block.norm_values

    @property
    def _out_bytes(self) -> int:
        return self.batch * self.window.out_positions * 8 * _ceil(self.outputs, 64)

    def pieces(self, images: int) -> list[tuple[int, int, bool]]:
        """Rows of the pieces of a pass, how many there are, and whether pooling takes them."""
        positions, pooled = self.window.positions, _POOL_ROWS * self.window.windows
        if self.pool == "none" or pooled == positions:
            windows = self.pool != "none"
            return [(r, n, windows) for r, n in _pieces(images * positions, _ROWS)]
        found = [(r, n * images, True) for r, n in _pieces(pooled, _ROWS)]
        return found + [(r, n * images, False) for r, n in _pieces(positions - pooled, _ROWS)]

    def parts_of(self, images: int) -> Iterator[tuple[int, int, bool, int, int]]:
        """Rows, values of batch norm, pooling, tile width and number of pieces times tiles."""
        for rows, pieces, windows in self.pieces(images):
            seen = rows // _POOL_ROWS if self.pool == "before_norm" else rows
            for width, tiles in self.tiles:
                yield rows, seen, windows, width, pieces * tiles

    def pack(self, name: str) -> Pass:
        one = self.new(name)
        if self.block.is_first:
            self.pack_rows(one)
        else:
            one.add("pack_i8_u1", self.taps, self.channels, times=self.outputs)
            one.stream(self.block.weights)
        return one

    def y(self, one: Pass, source: str, images: int) -> None:
        """Y of all pieces of a pass: ``multiply``, ``keep`` or ``read``."""
        for rows, seen, _, width, times in self.parts_of(images):
            if source == "read":
                one.add("widen_i16_i32", seen, width, times=times)
                continue
            if self.block.is_first:
                one.add("gemm_i8_u1_i32", rows, width, self.inputs, 0, times=times)
            else:
                depth = self.taps * TILE * _ceil(self.channels, TILE)
                one.add("xnor_gemm_u1_i32", rows, width, depth, times=times)
            if self.pool == "before_norm":
                one.add("pool_max_i32", seen, width, times=times)
            if source == "keep":
                one.add("narrow_i32_i16", seen, width, times=times)

    def stream_y(self, one: Pass, source: str) -> None:
        if source != "read":
            one.stream(self._x_bytes)
        if source != "multiply":
            one.stream(2 * self._norm_values)

    def choose(self, one: Pass, images: int) -> None:
        """Add what pooling after the norm chooses from."""
        for rows, _, windows, width, times in self.parts_of(images):
            if not windows:
                continue
            if self.pool == "before_sign":
                one.add("pool_max_i32", rows // _POOL_ROWS, width, times=times)
            else:
                one.add("binarise_i32_u1", rows, width, times=times)

    def forward(self) -> Iterator[Pass]:
        yield self.pack("pack")
        source = "keep" if self.keeps_forward else "multiply"
        one = self.new("forward")
        self.y(one, source, self.batch)
        self.stream_y(one, source)
        yield one
        one = self.new("statistics")
        for _, seen, _, width, times in self.parts_of(self.batch):
            one.add("norm_sums_i32", seen, width, times=times)
        yield one
        source = "read" if self.keeps_forward else "multiply"
        one = self.new("forward again")
        self.y(one, source, self.batch)
        self.stream_y(one, source)
        yield one
        yield self._activate()

    def _activate(self) -> Pass:
        one = self.new("activate")
        if self.after:
            self.choose(one, self.batch)
        for rows, seen, windows, width, times in self.parts_of(self.batch):
            if self.after and not windows:
                continue
            going_out = rows // _POOL_ROWS if self.after else seen
            if self.block.is_last:
                one.add("normalise_i32_f32", going_out, width, times=times)
            elif self.pool != "after_sign":
                one.add("binarise_i32_u1", going_out, width, times=times)
        one.stream(self._out_bytes)
        return one

    def backward(self) -> Iterator[Pass]:
        yield self.pack("pack again")
        yield from self._sums()
        yield from self._output_gradient()
        yield from self._weight_gradient()
        if not self.block.is_first:
            yield from self._input_gradient()

    def _sums(self) -> Iterator[Pass]:
        source = "keep" if self.keeps_backward else "multiply"
        one = self.new("recompute")
        self.y(one, source, self.batch)
        self.stream_y(one, source)
        yield one
        one = self.new("sums of g")
        self._spread(one, self.batch)
        for _, seen, _, width, times in self.parts_of(self.batch):
            one.add("norm_cancel_i8", seen, width, times=times)
        one.stream(self.batch * self.window.out_positions * self.outputs, 2)
        yield one

    def _output_gradient(self) -> Iterator[Pass]:
        source = "read" if self.keeps_backward else "multiply"
        y, one = self.new("recompute again"), self.new("norm backward")
        # With pooling after the norm groups of images come one after the other.
        images = self.group if self.after else self.batch
        for count, times in _pieces(self.batch, images):
            for _ in range(times):
                self.y(y, source, count)
                self._spread(one, count)
                for _, seen, _, width, number in self.parts_of(count):
                    if self.after:
                        one.add("norm_cancel_i8", seen, width, times=number)
                    one.add("norm_affine_i8", seen, width, times=number)
        self.stream_y(y, source)
        one.stream(self._norm_values, 2)
        yield y
        yield one

    def _spread(self, one: Pass, images: int) -> None:
        """Add what brings g of pooled values to where it came from, behind the norm."""
        if not self.after:
            return
        self.choose(one, images)
        for rows, _, windows, width, times in self.parts_of(images):
            if windows:
                one.add("pool_spread_i8", rows // _POOL_ROWS, width, times=times)

    def _weight_gradient(self) -> Iterator[Pass]:
        lay, one, steps = (
            self.new(name) for name in ("tables of dY", "weight gradient", "weight update")
        )
        positions, first = self.batch * self.window.positions, self.block.is_first
        few = 1 if self.taps > _DW_TAPS else _DW_WORDS
        word_blocks = 1 if first else _ceil(self.channels, TILE * few)
        for width, tiles in self.tiles:
            for rows, pieces in _pieces(positions, _CHUNK):
                times = tiles * pieces
                blocks = times * word_blocks
                if self.pool == "before_norm":
                    lay.add("pool_spread_i8", rows // _POOL_ROWS, width, times=blocks)
                lay.add("transpose_i8", rows, width, times=blocks)
                if first:
                    one.add("gemm_i8_i8_i32", width, self.inputs, rows, 0, times=times)
                    continue
                lay.add("lookup_tables_i8", width, rows, times=blocks * self.parts)
                for columns, words in self.words:
                    number = times * words * self.taps * self.parts
                    groups = _ceil(rows, _GROUP)
                    lay.add("lookup_lay_u1", rows, columns, times=number)
                    one.add("lookup_gemm_i32", width, columns, 1, groups, 1, times=number)
            for rows, number in _pieces(width, _UPDATE_ROWS):
                lines = _pieces(self.inputs, TILE) if first else self.words
                for columns, words in lines:
                    times = tiles * number * words * (1 if first else self.taps)
                    steps.add(self.updates, rows, columns, times=times)
        tiles = _ceil(self.outputs, TILE)
        one.stream(self._x_bytes, tiles)
        lay.stream(self._norm_values, word_blocks)
        self.stream_weights(steps)
        yield lay
        yield one
        yield steps

    def _input_gradient(self) -> Iterator[Pass]:
        lay, one, out = (
            self.new(name) for name in ("tables of dX", "input gradient", "requantise")
        )
        outputs, window, groups = self.outputs, self.window, _ceil(self.outputs, _GROUP)
        lay.add("lookup_tables_i8", 1, outputs, times=self.parts)
        for width, words in self.words:
            lay.add("lookup_lay_u1", outputs, width, times=words * self.taps)
        table = groups * _TABLE_BYTES * self.parts
        for images, times in _pieces(self.batch, self.group):
            for rows, number in _pieces(images * window.positions, _DY_ROWS):
                if self.pool == "before_norm":
                    for width, tiles in self.tiles:
                        lay.add(
                            "pool_spread_i8", rows // _POOL_ROWS, width,
                            times=times * number * tiles,
                        )  # fmt: skip
                lay.add("lookup_tables_i8", rows, outputs, times=times * number * self.parts)
            for rows, number in _pieces(images * window.inputs, self._share(images)):
                for width, words in self.words:
                    count = times * number * words
                    for part in range(self.parts):
                        one.add(
                            "lookup_gemm_i32", rows, width, self.taps, groups, part, times=count
                        )
                    out.add("largest_i32", rows, width, times=count)
                    out.add("requantise_i32_i8", rows, width, times=count)
        # Tables of a group of images are written and read before those of the next are made.
        moved = self.batch / self.group
        group_bytes = self.group * window.positions * table
        lay.stream(self._norm_values)
        lay.stream(group_bytes, moved)
        one.stream(group_bytes, moved)
        panels = _ceil(self.channels, TILE) * self.taps * groups * _PANEL_BYTES
        one.stream(panels, moved * _ceil(self.group * window.inputs, self._share(self.group)))
        out.stream(self.batch * self.block.inputs)
        yield lay
        yield one
        yield out

    def _share(self, images: int) -> int:
        """Inputs of a group of images that a thread works on at a time."""
        count, threads = images * self.window.inputs, self.plan.threads
        pieces = _ceil(_ceil(count, _INPUT_ROWS), threads) * threads
        rows = _ceil(_ceil(count, pieces), _BLOCK_OF_ROWS) * _BLOCK_OF_ROWS
        return min(_INPUT_ROWS, rows)
