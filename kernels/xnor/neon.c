/* neon.c: the product of two binary matrices; bits are counted by byte.
 *
 * A step is 128 depths: 16 bytes of a row.  Rows of a, four at a time, and the columns of b, in fours in the panel, are
 * copied to [step][4][16] bytes, padded with zeros, which differ nowhere.  A tile is 4 by 4: 16 sums of bytes, 4
 * vectors of each operand.  A byte gains at most 8 a step and holds 31 of them.
 *
 *   per step of a tile (2048 MAC)       instructions     cycles on A53     on A72     on A76
 *   ldr q                               8                16                8          4
 *   eor                                 16               16                10.7       8
 *   cnt                                 16               16                16         8
 *   add                                 16               16                10.7       8
 *   The limits are 32 MAC a cycle on A53, 53 on A72 (3 slots of 64 bits a cycle) and 85 on A76.
 */
#if defined(__aarch64__)
#include "../common/neon.h"
#include "xnor.h"

enum { ROWS = 4, STEP_WORDS = 2, STEP_BYTES = 16, PIECE_WORDS = 31 * STEP_WORDS };
#define UNROLL _Pragma("GCC unroll 4")

/* Rows as [step][4][16 bytes]; what is missing is 0. */
static void interleave(const uint64_t *from, size_t stride, size_t rows, size_t words, uint64_t *to)
{
    for (size_t i = 0; i < ROWS; i++, from += stride, to += STEP_WORDS) {
        uint64_t *at = to;
        for (size_t k = 0; k < words; k += STEP_WORDS, at += ROWS * STEP_WORDS) {
            at[0] = i < rows ? from[k] : 0;
            at[1] = i < rows && k + 1 < words ? from[k + 1] : 0;
        }
    }
}

/* The set bits of four rows of bytes, one number each. */
static inline int32x4_t total(const uint8x16_t count_u8x16[4])
{
    uint16x8_t pair[4];
    UNROLL for (int i = 0; i < 4; i++) pair[i] = vpaddlq_u8(count_u8x16[i]);
    const uint16x8_t all = vpaddq_u16(vpaddq_u16(pair[0], pair[1]), vpaddq_u16(pair[2], pair[3]));
    return vreinterpretq_s32_u32(vpaddlq_u16(all));
}

/* y[rows][columns] = base - 2 * popcount, or that subtracted from y; at most four of each exist. */
static void tile(const uint64_t *a_words, const uint64_t *panel, size_t words, int32_t base,
                 int32_t *y, size_t y_stride, size_t rows, size_t columns, int add)
{
    const uint8_t *a = (const uint8_t *)a_words, *b = (const uint8_t *)panel;
    uint8x16_t count_u8x16[ROWS][ROWS];
    UNROLL for (int i = 0; i < ROWS; i++)
        UNROLL for (int j = 0; j < ROWS; j++) count_u8x16[i][j] = vdupq_n_u8(0);
    for (size_t k = 0; k < words; k += STEP_WORDS, a += ROWS * STEP_BYTES, b += ROWS * STEP_BYTES) {
        uint8x16_t column[ROWS];
        UNROLL for (int j = 0; j < ROWS; j++) column[j] = vld1q_u8(b + j * STEP_BYTES);
        UNROLL for (int i = 0; i < ROWS; i++) {
            uint8x16_t row = vld1q_u8(a + i * STEP_BYTES);
            if (i >= 2) BNN_NEON_AFTER(row, count_u8x16[i - 2][ROWS - 1]);
            UNROLL for (int j = 0; j < ROWS; j++)
                count_u8x16[i][j] = vaddq_u8(count_u8x16[i][j], vcntq_u8(veorq_u8(row, column[j])));
        }
    }
    int32x4_t differing[ROWS];
    UNROLL for (int i = 0; i < ROWS; i++) differing[i] = total(count_u8x16[i]);
    if (columns >= ROWS) {
        for (size_t i = 0; i < ROWS && i < rows; i++, y += y_stride)
            vst1q_s32(y, vmlsq_n_s32(add ? vld1q_s32(y) : vdupq_n_s32(base), differing[i], 2));
    } else {
        for (size_t i = 0; i < ROWS && i < rows; i++, y += y_stride) {
            int32_t last[ROWS];
            vst1q_s32(last, differing[i]);
            for (size_t j = 0; j < columns; j++) y[j] = (add ? y[j] : base) - 2 * last[j];
        }
    }
}

void bnn_xnor_gemm_u1_i32_neon(const uint64_t *a, size_t rows, size_t a_stride_words,
                               const uint64_t *b, size_t columns, size_t b_stride_words, size_t depth,
                               int32_t *y, size_t y_stride, void *panel)
{
    /* Pieces of equal length, of whole steps. */
    const size_t all_words = bnn_words(depth), pieces = bnn_max(1, bnn_ceil_div(all_words, PIECE_WORDS));
    const size_t piece = bnn_max(STEP_WORDS, bnn_round_up(bnn_ceil_div(all_words, pieces), STEP_WORDS));
    uint64_t some[ROWS * PIECE_WORDS];
    for (size_t j = 0; j < columns; j += BNN_TILE)
        for (size_t k0 = 0; k0 == 0 || k0 < all_words; k0 += piece) {
            const size_t words = bnn_min(piece, all_words - k0), width = bnn_min(BNN_TILE, columns - j);
            const size_t quad_words = ROWS * bnn_round_up(words, STEP_WORDS);
            for (size_t i = 0; i < width; i += ROWS)
                interleave(b + (j + i) * b_stride_words + k0, b_stride_words, width - i, words,
                           (uint64_t *)panel + i / ROWS * quad_words);
            for (size_t row = 0; row < rows; row += ROWS) {
                interleave(a + row * a_stride_words + k0, a_stride_words, rows - row, words, some);
                for (size_t i = 0; i < width; i += ROWS)
                    tile(some, (const uint64_t *)panel + i / ROWS * quad_words, words, (int32_t)depth,
                         y + row * y_stride + j + i, y_stride, rows - row, width - i, k0 != 0);
            }
        }
}
#endif
