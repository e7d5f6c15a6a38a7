"""The calls of kernels/conv."""

from __future__ import annotations

from collections.abc import Iterator

from bnntrain.operations.calls import GROUP, Pass
from bnntrain.operations.counter import TILE, BlockCounter, ceil_div, pieces_of, shares_of
from bnntrain.plan import Plan
from bnntrain.steps import GRADIENT_LIMITS, ConvStep

_ROWS = 192  # positions of a pass, BNN_CONV_ROWS
_CHUNK = 256  # positions of a piece of dW, BNN_CONV_CHUNK
_DW_WORDS = 2  # BNN_CONV_DW_WORDS
_INPUT_ROWS, _DY_ROWS = 48, 32  # of kernels/conv/input_gradient.c
_BLOCK_OF_ROWS = 6  # shares of dX are multiples of it
_UPDATE_ROWS = 8  # BNN_UPDATE_ROWS
_PAIR = 2  # rows of a thread's share of dW come in pairs
_TABLE_BYTES, _PANEL_BYTES = 64, 256  # of a group: BNN_LOOKUP_TABLE_BYTES, BNN_LOOKUP_PANEL_BYTES
_POOL_ROWS = 4
_DW_TAPS = 9  # larger windows take one word of channels at a time


class ConvCounter(BlockCounter):
    """The calls of kernels/conv."""

    block: ConvStep

    def __init__(self, block: ConvStep, plan: Plan) -> None:
        super().__init__(block, plan)
        self.window, self.pool = block.window, block.fused.pool
        self.taps, self.channels = block.product.taps, block.fused.input.size[2]
        self.after = self.pool in ("before_sign", "after_sign")
        self.parts = 2 if self.limit > GRADIENT_LIMITS[6] else 1
        self.keeps_forward, self.keeps_backward = block.keeps_y(
            {placed.buffer.name: placed.buffer.bytes for placed in plan.placed}, plan.batch_size
        )
        self.group = block.group(plan.threads)

    @property
    def words(self) -> list[tuple[int, int]]:
        """Widths of the words of input channels."""
        return pieces_of(self.channels, TILE)

    # Bytes of arrays of the whole batch.

    @property
    def _x_bytes(self) -> int:
        inputs = self.batch * self.window.inputs
        return inputs * (self.channels if self.block.is_first else 8 * ceil_div(self.channels, 64))

    @property
    def _norm_values(self) -> int:
        return self.batch * self.block.norm_values

    @property
    def _out_bytes(self) -> int:
        return self.batch * self.window.out_positions * 8 * ceil_div(self.outputs, 64)

    def pieces(self, images: int) -> list[tuple[int, int, bool]]:
        """Rows of the pieces of a pass, how many there are, and whether pooling takes them."""
        positions, pooled = self.window.positions, _POOL_ROWS * self.window.windows
        if self.pool == "none" or pooled == positions:
            windows = self.pool != "none"
            return [(r, n, windows) for r, n in pieces_of(images * positions, _ROWS)]
        found = [(r, n * images, True) for r, n in pieces_of(pooled, _ROWS)]
        return found + [(r, n * images, False) for r, n in pieces_of(positions - pooled, _ROWS)]

    def parts_of(self, images: int) -> Iterator[tuple[int, int, bool, int, int]]:
        """Rows, values of batch norm, pooling, tile width and number of pieces times tiles."""
        for rows, pieces, windows in self.pieces(images):
            seen = rows // _POOL_ROWS if self.pool == "before_norm" else rows
            for width, tiles in self.tiles:
                yield rows, seen, windows, width, pieces * tiles

    def pack(self) -> Pass:
        one = self.new("pack")
        if self.block.is_first:
            self.pack_rows(one)
        else:
            one.add("pack_i8_u1", self.taps, self.channels, times=self.outputs)
            one.stream(self.block.product.weights)
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
                depth = self.taps * TILE * ceil_div(self.channels, TILE)
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
        yield self.pack()
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
        one = self.new("forward")
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
        yield self.pack()
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
        one = self.new("norm_backward")
        self._spread(one, self.batch)
        for _, seen, _, width, times in self.parts_of(self.batch):
            one.add("norm_cancel_i8", seen, width, times=times)
        one.stream(self.batch * self.window.out_positions * self.outputs, 2)
        yield one

    def _output_gradient(self) -> Iterator[Pass]:
        source = "read" if self.keeps_backward else "multiply"
        y, one = self.new("recompute"), self.new("norm_backward")
        # With pooling after the norm groups of images come one after the other.
        images = self.group if self.after else self.batch
        for count, times in pieces_of(self.batch, images):
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
            self.new(name) for name in ("tables", "weight_gradient", "update")
        )
        positions, first = self.batch * self.window.positions, self.block.is_first
        few = 1 if self.taps > _DW_TAPS else _DW_WORDS
        word_blocks = 1 if first else ceil_div(self.channels, TILE * few)
        for width, tiles in self.tiles:
            for rows, pieces in pieces_of(positions, _CHUNK):
                times = tiles * pieces
                if first:
                    self._turn(lay, rows, width, times)
                    one.add("gemm_i8_i8_i32", width, self.inputs, rows, 0, times=times)
                    continue
                for share, number in shares_of(rows, self.plan.threads, GROUP):
                    self._turn(lay, share, width, times * word_blocks * number)
                self._sign_products(lay, one, rows, width, times, word_blocks)
            for rows, number in pieces_of(width, _UPDATE_ROWS):
                lines = pieces_of(self.inputs, TILE) if first else self.words
                for columns, words in lines:
                    times = tiles * number * words * (1 if first else self.taps)
                    steps.add(self.updates, rows, columns, times=times)
        tiles = ceil_div(self.outputs, TILE)
        one.stream(self._x_bytes, tiles)
        lay.stream(self._norm_values, word_blocks)
        self.stream_weights(steps)
        yield lay
        yield one
        yield steps

    def _turn(self, lay: Pass, rows: int, width: int, times: int) -> None:
        """Rows of dY transposed."""
        if self.pool == "before_norm":
            lay.add("pool_spread_i8", rows // _POOL_ROWS, width, times=times)
        lay.add("transpose_i8", rows, width, times=times)

    def _sign_products(
        self, lay: Pass, one: Pass, rows: int, width: int, times: int, word_blocks: int
    ) -> None:
        """Add the products of a piece of the batch, by rows of the threads."""
        groups = ceil_div(rows, GROUP)
        for columns, words in self.words:
            lay.add("lookup_lay_u1", rows, columns, times=times * words * self.taps)
        for share, number in shares_of(width, self.plan.threads, _PAIR):
            count = times * number * self.parts
            lay.add("lookup_tables_i8", share, rows, times=count * word_blocks)
            for columns, words in self.words:
                one.add(
                    "lookup_gemm_i32", share, columns, 1, groups, 1,
                    times=count * words * self.taps,
                )  # fmt: skip

    def _input_gradient(self) -> Iterator[Pass]:
        lay, one, out = (
            self.new(name) for name in ("tables", "input_gradient", "requantise")
        )
        outputs, window, groups = self.outputs, self.window, ceil_div(self.outputs, GROUP)
        lay.add("lookup_tables_i8", 1, outputs, times=self.parts)
        for width, words in self.words:
            lay.add("lookup_lay_u1", outputs, width, times=words * self.taps)
        table = groups * _TABLE_BYTES * self.parts
        for images, times in pieces_of(self.batch, self.group):
            for rows, number in pieces_of(images * window.positions, _DY_ROWS):
                if self.pool == "before_norm":
                    for width, tiles in self.tiles:
                        lay.add(
                            "pool_spread_i8", rows // _POOL_ROWS, width,
                            times=times * number * tiles,
                        )  # fmt: skip
                lay.add("lookup_tables_i8", rows, outputs, times=times * number * self.parts)
            for rows, number in pieces_of(images * window.inputs, self._share(images)):
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
        panels = ceil_div(self.channels, TILE) * self.taps * groups * _PANEL_BYTES
        one.stream(panels, moved * ceil_div(self.group * window.inputs, self._share(self.group)))
        out.stream(self.batch * self.block.inputs)
        yield lay
        yield one
        yield out

    def _share(self, images: int) -> int:
        """Inputs of a group of images that a thread works on at a time."""
        count, threads = images * self.window.inputs, self.plan.threads
        pieces = ceil_div(ceil_div(count, _INPUT_ROWS), threads) * threads
        rows = ceil_div(ceil_div(count, pieces), _BLOCK_OF_ROWS) * _BLOCK_OF_ROWS
        return min(_INPUT_ROWS, rows)
