/* neondot.c: products of int8 values with signs (as bytes -1 and 1) or with int8 values, by SDOT.
 *
 * A step is 4 depths: 4 bytes of each of 4 rows of a, one vector, [step][4 rows][4], and 4 bytes of each of 16 columns
 * of b, [16 columns][step][column][4] in the panel; both are padded with zeros.  A tile is 4 rows by 16 columns.
 *
 *   per step of a tile (256 MAC)        instructions     per cycle on A76
 *   sdot                                16               2
 *   ldr q                               5                2
 *   The limit is 32 MAC a cycle.
 */
#if defined(__aarch64__)
#pragma GCC target("arch=armv8.2-a+dotprod")
#include "neon.h"

enum { ROWS = 4, STEP = 4, LANES = 4, GROUP = 16, VECTORS = GROUP / LANES, GROUP_BYTES = GROUP * STEP };
#define UNROLL _Pragma("GCC unroll 4")

static void lay_signs(const struct bnn_neon_block *block)
{
    const size_t steps = bnn_ceil_div(block->depth, STEP);
    for (size_t step = 0; step < steps; step++) {
        const uint64_t *b = (const uint64_t *)block->b + step * STEP * block->stride;
        int8x16x4_t depth[STEP] = {0};
        UNROLL for (size_t i = 0; i < STEP; i++)
            if (step * STEP + i < block->depth) depth[i] = bnn_neon_signs_of(b[i * block->stride]);
        UNROLL for (int v = 0; v < BNN_TILE / GROUP; v++) {
            const int8x16x4_t depths = {{depth[0].val[v], depth[1].val[v], depth[2].val[v], depth[3].val[v]}};
            vst4q_s8(block->panel + (v * steps + step) * GROUP_BYTES, depths);
        }
    }
}

static void lay_bytes(const struct bnn_neon_block *block)
{
    const size_t steps = bnn_ceil_div(block->depth, STEP), whole_steps = block->depth / STEP;
    for (size_t j = 0; j < block->width; j += GROUP) {
        const int8_t *from = (const int8_t *)block->b + j;
        int8_t *to = block->panel + j * steps * STEP;
        size_t step = 0;
        int8x16x4_t depths;
        if (j + GROUP <= block->width)
            for (; step < whole_steps; step++, from += STEP * block->stride, to += GROUP_BYTES) {
                UNROLL for (size_t i = 0; i < STEP; i++) depths.val[i] = vld1q_s8(from + i * block->stride);
                vst4q_s8(to, depths);
            }
        for (; step < steps; step++, to += GROUP_BYTES) {
            UNROLL for (size_t i = 0; i < STEP; i++) depths.val[i] = bnn_neon_columns(block, step * STEP + i, j);
            vst4q_s8(to, depths);
        }
    }
}

/* Up to four rows of a, the others 0, in whole vectors of 16 depths. */
static void interleave(const int8_t *a, size_t stride, size_t rows, size_t depth, int8_t *to)
{
    for (size_t k = 0; k < depth; k += 16) {
        int32x4x4_t words;
        UNROLL for (size_t row = 0; row < ROWS; row++)
            words.val[row] = row < rows ? vreinterpretq_s32_s8(bnn_neon_load_part(a + row * stride + k, depth - k))
                                        : vdupq_n_s32(0);
        vst4q_s32((int32_t *)to + k, words);
    }
}

static void tile(const int8_t *a, const int8_t *panel, size_t steps, size_t rows, size_t columns,
                 int32_t *c, size_t c_stride, int add)
{
    int32x4_t sum_i32x4[ROWS][VECTORS];
    UNROLL for (int i = 0; i < ROWS; i++)
        UNROLL for (int v = 0; v < VECTORS; v++) sum_i32x4[i][v] = vdupq_n_s32(0);
    for (size_t step = 0; step < steps; step++, a += ROWS * STEP, panel += GROUP_BYTES) {
        const int8x16_t row = vld1q_s8(a);
        UNROLL for (int v = 0; v < VECTORS; v++) {
            const int8x16_t column = vld1q_s8(panel + 16 * v);
            sum_i32x4[0][v] = vdotq_laneq_s32(sum_i32x4[0][v], column, row, 0);
            sum_i32x4[1][v] = vdotq_laneq_s32(sum_i32x4[1][v], column, row, 1);
            sum_i32x4[2][v] = vdotq_laneq_s32(sum_i32x4[2][v], column, row, 2);
            sum_i32x4[3][v] = vdotq_laneq_s32(sum_i32x4[3][v], column, row, 3);
        }
    }
    UNROLL for (size_t i = 0; i < ROWS; i++) {
        if (i >= rows) break;
        UNROLL for (size_t v = 0; v < VECTORS; v++)
            if (columns > LANES * v)
                bnn_neon_put(sum_i32x4[i][v], c + i * c_stride + LANES * v, columns - LANES * v, add);
    }
}

static void all_rows(const int8_t *a, size_t rows, size_t a_stride, const struct bnn_neon_block *block,
                     int32_t *c, size_t c_stride, int add)
{
    const size_t steps = bnn_ceil_div(block->depth, STEP);
    int32_t some[BNN_PANEL_DEPTH * ROWS / STEP];
    for (size_t row = 0; row < rows; row += ROWS) {
        interleave(a + row * a_stride, a_stride, rows - row, block->depth, (int8_t *)some);
        for (size_t j = 0; j < block->width; j += GROUP)
            tile((const int8_t *)some, block->panel + j * STEP * steps, steps, rows - row, block->width - j,
                 c + row * c_stride + j, c_stride, add);
    }
}

void bnn_gemm_i8_u1_i32_neondot(const int8_t *a, size_t rows, size_t a_stride, const uint64_t *b,
                                size_t b_stride_words, size_t columns, size_t depth,
                                int32_t *c, size_t c_stride, void *panel, int reuse)
{
    bnn_neon_blocks(BNN_neon_signs, lay_signs, all_rows, STEP, BNN_PANEL_DEPTH, a, rows, a_stride, b, b_stride_words, columns,
                    depth, c, c_stride, panel, reuse);
}

void bnn_gemm_i8_i8_i32_neondot(const int8_t *a, size_t rows, size_t a_stride, const int8_t *b,
                                size_t b_stride, size_t columns, size_t depth,
                                int32_t *c, size_t c_stride, void *panel, int reuse)
{
    bnn_neon_blocks(BNN_neon_bytes, lay_bytes, all_rows, STEP, BNN_PANEL_DEPTH, a, rows, a_stride, b, b_stride, columns,
                    depth, c, c_stride, panel, reuse);
}
#endif
