/* neon.c: products of int8 values with signs (as bytes -1 and 1) or with int8 values.
 *
 * A step is 16 depths: a vector of a row, and one of a column, for which b is transposed.  Rows of a, four at a time,
 * and columns of b, in fours in the panel, lie as [step][4][16] bytes, padded with zeros.  A tile is 4 by 4.
 *   signs   smlal, smlal2: sums of 16 bits, which gain 2 * 128 a step and in the 32 steps of a block reach 8192
 *   int8    smull, smlal2 add two products, within 2 * 127 * 128 = 32512 if no value of the rows is -128; sadalp adds
 *           them up in 32 bits.  Rows with a -128 take smull, sadalp, smull2, sadalp
 *
 *   per step of a tile (256 MAC)        instructions     cycles on A53     on A72
 *   smull, smlal                        32               32                32
 *   sadalp (int8)                       16               32                16, beside
 *   ldr q                               8                16                8, beside
 *   The limits are 5.3 (signs) and 3.2 (int8) MAC a cycle on A53, 8 and 6.9 (3 slots of 64 bits a cycle) on A72.
 */
#if defined(__aarch64__)
#include "neon.h"

enum { ROWS = 4, STEP = 16, QUAD = ROWS * STEP, STEPS = BNN_PANEL_DEPTH / STEP };
enum sums { SIGNS, BYTES, ANY_BYTES };
#define UNROLL _Pragma("GCC unroll 16")
/* sum += the pairs of x, in place: gcc 12 copies and spills sums of vpadalq_s16. */
#define ADD_PAIRS(sum_i32x4, x_i16x8) __asm__("sadalp %0.4s, %1.8h" : "+w"(sum_i32x4) : "w"(x_i16x8))

static void lay(const struct bnn_neon_block *block)
{
    const size_t steps = bnn_ceil_div(block->depth, STEP);
    for (size_t step = 0; step < steps; step++)
        for (size_t j = 0; j < block->width; j += STEP) {
            int8x16_t square[STEP];
            UNROLL for (size_t i = 0; i < STEP; i++) square[i] = bnn_neon_columns(block, step * STEP + i, j);
            bnn_neon_transpose_bytes(square);
            for (size_t i = 0; i < STEP; i++)
                vst1q_s8(block->panel + ((j + i) / ROWS * steps + step) * QUAD + i % ROWS * STEP, square[i]);
        }
}

/* Up to four rows of a, the others 0; returns the least of their values. */
static int8_t interleave(const int8_t *a, size_t stride, size_t rows, size_t depth, int8_t *to)
{
    int8x16_t least = vdupq_n_s8(0);
    for (size_t row = 0; row < ROWS; row++)
        for (size_t k = 0; k < depth; k += STEP) {
            const int8x16_t value = row < rows ? bnn_neon_load_part(a + row * stride + k, depth - k) : vdupq_n_s8(0);
            least = vminq_s8(least, value);
            vst1q_s8(to + k * ROWS + row * STEP, value);
        }
    return vminvq_s8(least);
}

/* sum_i16x8 for signs, sum_i32x4 for values: one of them is used. */
static inline __attribute__((always_inline)) void tile(const enum sums kind, const int8_t *a, const int8_t *panel,
                                                       size_t steps, size_t rows, size_t columns,
                                                       int32_t *c, size_t c_stride, int add)
{
    int16x8_t sum_i16x8[ROWS][ROWS];
    int32x4_t sum_i32x4[ROWS][ROWS];
    UNROLL for (int i = 0; i < ROWS; i++)
        UNROLL for (int j = 0; j < ROWS; j++) sum_i16x8[i][j] = vdupq_n_s16(0), sum_i32x4[i][j] = vdupq_n_s32(0);
    for (size_t step = 0; step < steps; step++, a += QUAD, panel += QUAD) {
        int8x16_t column[ROWS];
        UNROLL for (int j = 0; j < ROWS; j++) column[j] = vld1q_s8(panel + j * STEP);
        UNROLL for (int i = 0; i < ROWS; i++) {
            const int8x16_t row = vld1q_s8(a + i * STEP);
            UNROLL for (int j = 0; j < ROWS; j++) {
                if (kind == SIGNS) {
                    sum_i16x8[i][j] = vmlal_s8(sum_i16x8[i][j], vget_low_s8(row), vget_low_s8(column[j]));
                    sum_i16x8[i][j] = vmlal_high_s8(sum_i16x8[i][j], row, column[j]);
                    continue;
                }
                if (kind == BYTES && i) BNN_NEON_AFTER(column[j], sum_i32x4[i - 1][j]);
                const int16x8_t low = vmull_s8(vget_low_s8(row), vget_low_s8(column[j]));
                if (kind == BYTES) ADD_PAIRS(sum_i32x4[i][j], vmlal_high_s8(low, row, column[j]));
                else {
                    ADD_PAIRS(sum_i32x4[i][j], low);
                    ADD_PAIRS(sum_i32x4[i][j], vmull_high_s8(row, column[j]));
                }
            }
        }
    }
    int32x4_t all[ROWS];
    UNROLL for (int i = 0; i < ROWS; i++) {
        UNROLL for (int j = 0; j < ROWS && kind == SIGNS; j++) sum_i32x4[i][j] = vpaddlq_s16(sum_i16x8[i][j]);
        all[i] = vpaddq_s32(vpaddq_s32(sum_i32x4[i][0], sum_i32x4[i][1]), vpaddq_s32(sum_i32x4[i][2], sum_i32x4[i][3]));
    }
    for (size_t i = 0; i < ROWS && i < rows; i++) bnn_neon_put(all[i], c + i * c_stride, columns, add);
}

static void all_rows(const int8_t *a, size_t rows, size_t a_stride, const struct bnn_neon_block *block,
                     int32_t *c, size_t c_stride, int add)
{
    const size_t steps = bnn_ceil_div(block->depth, STEP);
    int8_t some[STEPS * QUAD];
    for (size_t row = 0; row < rows; row += ROWS) {
        const int8_t least = interleave(a + row * a_stride, a_stride, rows - row, block->depth, some);
        for (size_t j = 0; j < block->width; j += ROWS) {
            const int8_t *panel = block->panel + j * STEP * steps;
            const size_t left = rows - row, width = block->width - j;
            int32_t *to = c + row * c_stride + j;
            if (block->kind == BNN_neon_signs) tile(SIGNS, some, panel, steps, left, width, to, c_stride, add);
            else if (least > INT8_MIN) tile(BYTES, some, panel, steps, left, width, to, c_stride, add);
            else tile(ANY_BYTES, some, panel, steps, left, width, to, c_stride, add);
        }
    }
}

void bnn_gemm_i8_u1_i32_neon(const int8_t *a, size_t rows, size_t a_stride, const uint64_t *b,
                             size_t b_stride_words, size_t columns, size_t depth,
                             int32_t *c, size_t c_stride, void *panel, int reuse)
{
    bnn_neon_blocks(BNN_neon_signs, lay, all_rows, STEP, a, rows, a_stride, b, b_stride_words, columns, depth,
                    c, c_stride, panel, reuse);
}

void bnn_gemm_i8_i8_i32_neon(const int8_t *a, size_t rows, size_t a_stride, const int8_t *b,
                             size_t b_stride, size_t columns, size_t depth,
                             int32_t *c, size_t c_stride, void *panel, int reuse)
{
    bnn_neon_blocks(BNN_neon_bytes, lay, all_rows, STEP, a, rows, a_stride, b, b_stride, columns, depth,
                    c, c_stride, panel, reuse);
}
#endif
