"""The calls of kernels/dense."""

from __future__ import annotations

from collections.abc import Iterator

from bnntrain.operations.calls import Pass
from bnntrain.operations.counter import TILE, BlockCounter, ceil_div, pieces_of, shares_of
from bnntrain.operations.lookup import SignedProduct
from bnntrain.steps import GRADIENT_LIMITS


class DenseCounter(BlockCounter):
    """The calls of kernels/dense."""

    def product(self, one: Pass) -> None:
        for width, times in self.tiles:
            if self.block.is_first:
                one.add("gemm_i8_u1_i32", self.batch, width, self.inputs, 0, times=times)
            else:
                one.add("xnor_gemm_u1_i32", self.batch, width, self.inputs, times=times)
        one.stream(self._x_bytes, ceil_div(self.outputs, TILE))

    @property
    def _x_bytes(self) -> int:
        return self.batch * (self.inputs if self.block.is_first else 8 * ceil_div(self.inputs, 64))

    def forward(self) -> Iterator[Pass]:
        one = self.new("pack", ceil_div(self.outputs, TILE))
        self.pack_rows(one)
        yield one
        one = self.new("forward", ceil_div(self.outputs, TILE))
        self.product(one)
        yield one
        sums, one = (
            self.new(name, ceil_div(self.outputs, TILE)) for name in ("statistics", "activate")
        )
        op = "normalise_i32_f32" if self.block.is_last else "binarise_i32_u1"
        for width, times in self.tiles:
            sums.add("norm_sums_i32", self.batch, width, times=times)
            one.add(op, self.batch, width, times=times)
        yield sums
        yield one

    def backward(self) -> Iterator[Pass]:
        batch, outputs = self.batch, self.outputs
        one = self.new("pack", ceil_div(self.outputs, TILE))
        self.pack_rows(one)
        yield one
        one = self.new("recompute", ceil_div(self.outputs, TILE))
        self.product(one)
        yield one
        one, turned = (
            self.new(name, ceil_div(self.outputs, TILE)) for name in ("norm_backward", "pack")
        )
        for width, times in self.tiles:
            for op in ("norm_cancel_i8", "norm_affine_i8"):
                one.add(op, batch, width, times=times)
            turned.add("transpose_i8", batch, width, times=times)
        one.stream(batch * outputs, 2)
        turned.stream(batch * outputs)
        yield one
        yield turned
        if not self.block.is_first:
            yield from self._input_gradient()
        yield from self._weight_gradient()

    @property
    def _looks_up(self) -> bool:
        return self.limit <= GRADIENT_LIMITS[6]

    def _input_gradient(self) -> Iterator[Pass]:
        batch, inputs, outputs = self.batch, self.inputs, self.outputs
        units = 0 if self._looks_up else ceil_div(inputs, TILE)
        lay, one, out = (
            self.new(name, units) for name in ("tables", "input_gradient", "requantise")
        )
        blocks = [(batch, width, times) for width, times in pieces_of(inputs, TILE)]
        if self._looks_up:
            product = SignedProduct(batch, inputs, outputs, batch, self.plan.threads)
            product.count(lay, one)
            blocks = product.blocks()
            yield lay
        for rows, width, times in blocks:
            if not self._looks_up:
                one.add("gemm_i8_u1_i32", rows, width, outputs, 0, times=times)
            out.add("largest_i32", rows, width, times=times)
            out.add("requantise_i32_i8", rows, width, times=times)
        one.stream(batch * outputs, ceil_div(inputs, TILE))
        out.stream(batch * inputs)
        yield one
        yield out

    def _weight_gradient(self) -> Iterator[Pass]:
        first = self.block.is_first
        if not first and self._looks_up:
            yield from self._weight_gradient_by_look_up()
            return
        row_blocks = ceil_div(self.outputs, TILE)
        blocks = row_blocks * ceil_div(self.inputs, TILE)
        one, steps = self.new("weight_gradient", blocks), self.new("update", blocks)
        op = "gemm_i8_i8_i32" if first else "gemm_i8_u1_i32"
        share = ceil_div(blocks, self.plan.threads)
        for block in range(blocks):
            rows = min(TILE, self.outputs - block % row_blocks * TILE)
            width = min(TILE, self.inputs - block // row_blocks * TILE)
            # The panel of X is laid for the first block of a tile, and of a thread.
            reuse = int(block % share > 0 and block % row_blocks > 0)
            one.add(op, rows, width, self.batch, reuse)
            steps.add(self.updates, rows, width)
        one.stream(self.batch * self.outputs, ceil_div(self.inputs, TILE))
        one.stream(self._x_bytes)
        self.stream_weights(steps)
        yield one
        yield steps

    def _weight_gradient_by_look_up(self) -> Iterator[Pass]:
        batch, inputs, outputs, threads = self.batch, self.inputs, self.outputs, self.plan.threads
        units = sum(times for _, times in shares_of(outputs, threads))
        lay, one, steps = (
            self.new(name, units) for name in ("tables", "weight_gradient", "update")
        )
        product = SignedProduct(outputs, inputs, batch, batch, threads)
        product.count(lay, one)
        for rows, width, times in product.blocks():
            steps.add(self.updates, rows, width, times=times)
        lay.stream(batch * outputs)
        lay.stream(self._x_bytes, units)
        self.stream_weights(steps)
        yield lay
        yield one
        yield steps
