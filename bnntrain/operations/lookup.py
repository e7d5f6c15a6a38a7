"""The calls of kernels/dense/lookup.c: products of rows of small integers with signs."""

from __future__ import annotations

from dataclasses import dataclass

from bnntrain.operations.calls import GROUP, Pass
from bnntrain.operations.counter import TILE, ceil_div, pieces_of, shares_of

_TABLE_ROW, _PANEL_GROUP = 64, 256  # BNN_LOOKUP_TABLE_BYTES, BNN_LOOKUP_PANEL_BYTES
_TABLES = 32768  # BNN_PANEL_BYTES
_ROWS = 32  # BNN_LOOKUP_ROWS
_SUMS, _INDICES = 8192, 16384  # BNN_LOOKUP_SUM_BYTES, BNN_LOOKUP_INDEX_BYTES
_INT32 = 4


@dataclass(frozen=True)
class SignedProduct:
    """A product [rows][columns] over a depth, and the batch that scratch is made for."""

    rows: int
    columns: int
    depth: int
    batch: int
    threads: int

    @property
    def _piece(self) -> int:
        return min(self.depth, _INDICES // _PANEL_GROUP * GROUP)

    @property
    def _groups(self) -> int:
        return ceil_div(self._piece, GROUP)

    @property
    def _most_rows(self) -> int:
        return min(_ROWS, _TABLES // (self._groups * _TABLE_ROW))

    @property
    def _most_tiles(self) -> int:
        """Tiles of columns whose indices are laid together."""
        if self._piece < self.depth:
            return 1
        room = max(max(self.batch, TILE) * TILE * _INT32, _SUMS + _INDICES) - _SUMS
        return room // (self._groups * _PANEL_GROUP)

    def _row_blocks(self) -> list[tuple[int, int]]:
        return [
            (rows, shares * times)
            for share, shares in shares_of(self.rows, self.threads)
            for rows, times in pieces_of(share, self._most_rows)
        ]

    def blocks(self) -> list[tuple[int, int, int]]:
        """Rows and columns of the blocks in which the product comes, and how many there are."""
        return [
            (rows, width, times * tiles)
            for rows, times in self._row_blocks()
            for width, tiles in pieces_of(self.columns, TILE)
        ]

    def count(self, tables: Pass, product: Pass) -> None:
        """Add its calls."""
        pieces = pieces_of(self.depth, self._piece)
        shares = sum(times for _, times in shares_of(self.rows, self.threads))
        tile_groups = ceil_div(ceil_div(self.columns, TILE), self._most_tiles)
        in_pieces = self._piece < self.depth
        for depth, number in pieces:
            for width, tiles in pieces_of(self.columns, TILE):
                blocks = sum(times for _, times in self._row_blocks()) if in_pieces else shares
                tables.add("lookup_lay_u1", depth, width, times=number * tiles * blocks)
            for rows, times in self._row_blocks():
                tables.add("lookup_tables_i8", rows, depth, times=number * times * tile_groups)
        for rows, width, times in self.blocks():
            done = 0
            for depth, number in pieces:
                for _ in range(number):
                    groups = ceil_div(depth, GROUP)
                    product.add(
                        "lookup_gemm_i32", rows, width, 1, groups, min(done, 1), times=times
                    )
                    done += 1
