/* neon.h: what the products of neon.c and neondot.c share: columns of b as bytes, and the product cut into blocks. */
#ifndef BNN_GRAD_NEON_H
#define BNN_GRAD_NEON_H

#include "../common/neon.h"
#include "grad.h"

enum bnn_neon_kind { BNN_neon_signs, BNN_neon_bytes };

/* A block of b, up to BNN_TILE columns wide and BNN_PANEL_DEPTH long. */
struct bnn_neon_block {
    int8_t *panel;
    const void *b;
    size_t stride, depth, width;
};

/* The 64 signs of a word as bytes -1 and 1. */
static inline int8x16x4_t bnn_neon_signs_of(uint64_t word)
{
    static const uint8_t own[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    static const uint8_t byte[4][16] = {
        {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1}, {2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3, 3, 3},
        {4, 4, 4, 4, 4, 4, 4, 4, 5, 5, 5, 5, 5, 5, 5, 5}, {6, 6, 6, 6, 6, 6, 6, 6, 7, 7, 7, 7, 7, 7, 7, 7}};
    const uint8x16_t bytes = vreinterpretq_u8_u64(vdupq_n_u64(word)), bits = vld1q_u8(own), one = vdupq_n_u8(1);
    int8x16x4_t signs;
    _Pragma("GCC unroll 4") for (int v = 0; v < 4; v++)
        signs.val[v] = vreinterpretq_s8_u8(vorrq_u8(vtstq_u8(vqtbl1q_u8(bytes, vld1q_u8(byte[v])), bits), one));
    return signs;
}

/* Columns j ... j + 15 at depth k of bytes, those past the last as anything; 0 past the last depth. */
static inline int8x16_t bnn_neon_columns(const struct bnn_neon_block *block, size_t k, size_t j)
{
    if (k >= block->depth) return vdupq_n_s8(0);
    return bnn_neon_load_part((const int8_t *)block->b + k * block->stride + j, block->width - j);
}

/* Four columns of c, or as many as there are, set or added to. */
static inline void bnn_neon_put(int32x4_t sum, int32_t *c, size_t columns, int add)
{
    if (columns >= 4) vst1q_s32(c, add ? vaddq_s32(sum, vld1q_s32(c)) : sum);
    else {
        uint32_t last[4]; /* may wrap */
        vst1q_u32(last, vreinterpretq_u32_s32(sum));
        for (size_t j = 0; j < columns; j++) c[j] = (int32_t)((add ? (uint32_t)c[j] : 0) + last[j]);
    }
}

typedef void bnn_neon_lay_fn(const struct bnn_neon_block *block);
typedef void bnn_neon_rows_fn(const int8_t *a, size_t rows, size_t a_stride, const struct bnn_neon_block *block,
                              int32_t *c, size_t c_stride, int add);

/* The product in blocks; `unit`: depths that the panel is a multiple of; `most`: depths that it has room for. */
static inline __attribute__((always_inline)) void bnn_neon_blocks(
    enum bnn_neon_kind kind, bnn_neon_lay_fn *lay, bnn_neon_rows_fn *all_rows, size_t unit, size_t most,
    const int8_t *a, size_t rows, size_t a_stride, const void *b, size_t b_stride, size_t columns, size_t depth, int32_t *c,
    size_t c_stride, void *panel, int reuse)
{
    const size_t pieces = bnn_max(1, bnn_ceil_div(depth, most));
    const size_t piece = bnn_max(unit, bnn_round_up(bnn_ceil_div(depth, pieces), unit));
    reuse = reuse && columns <= BNN_TILE && depth <= most;
    for (size_t j = 0; j < columns; j += BNN_TILE)
        for (size_t k0 = 0; k0 == 0 || k0 < depth; k0 += piece) {
            const uint64_t *words = (const uint64_t *)b + k0 * b_stride + j / BNN_TILE;
            const int8_t *bytes = (const int8_t *)b + k0 * b_stride + j;
            const void *from = kind == BNN_neon_signs ? (const void *)words : bytes;
            const struct bnn_neon_block block = {panel, from, b_stride, bnn_min(piece, depth - k0),
                                                 bnn_min(BNN_TILE, columns - j)};
            if (!reuse) lay(&block);
            all_rows(a + k0, rows, a_stride, &block, c + j, c_stride, k0 != 0);
        }
}

#endif
