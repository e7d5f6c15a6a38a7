/* neon.c: batch normalisation's sums by hand where narrow types meet wide ones (bits stand in neon_bits.c, what is
 * rounded in neon_round.c); the others in portable.c as gcc vectorises them.
 *
 * What belongs to the columns of a block stays in registers over the rows.  Columns past the last whole block are left to
 * the portable functions.
 *
 *   per 16 elements        instructions (128 bits; A53 does one a cycle and half an ldr, A72 one or two)
 *   norm_sums_i32          4 ldr, 4 add, 8 smlal
 *   norm_cancel_i8         5 ldr, 4 sub, 4 cmhs, 3 uzp1, and, 2 add, 6 sshll, 4 mla, str
 *   largest_i32            4 ldr, 4 abs, 4 smax
 */
#if defined(__aarch64__)
#include "neon.h"
#include "safe_rows.h"

bnn_norm_sums_i32_fn bnn_norm_sums_i32_portable;
bnn_norm_cancel_i8_fn bnn_norm_cancel_i8_portable;
bnn_largest_i32_fn bnn_largest_i32_portable;

void BNN_NAME(norm_sums_i32)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                             int64_t *sum, int64_t *sum_squares)
{
    const size_t whole = columns - columns % LANES;
    EACH_BLOCK(LANES) {
        /* |y| < 2^17: RUN rows stay below 2^24. */
        int32x4_t sums[QUARTER] = {0};
        int64x2_t low[QUARTER] = {0}, high[QUARTER] = {0};
        for (size_t row = row0; row < end; row++)
            for (size_t i = 0; i < QUARTER; i++) {
                const int32x4_t value = vld1q_s32(y + row * stride + c + 4 * i);
                sums[i] = vaddq_s32(sums[i], value);
                low[i] = vmlal_s32(low[i], vget_low_s32(value), vget_low_s32(value));
                high[i] = vmlal_high_s32(high[i], value, value);
            }
        for (size_t i = 0; i < QUARTER; i++) {
            bnn_neon_add_lanes(sum + c + 4 * i, sums[i]);
            bnn_neon_add_wide(sum_squares + c + 4 * i, low[i]), bnn_neon_add_wide(sum_squares + c + 4 * i + 2, high[i]);
        }
    }
    if (whole < columns)
        bnn_norm_sums_i32_portable(y + whole, rows, columns - whole, stride, sum + whole, sum_squares + whole);
}

enum { SOME_ROWS = 2 };

/* 16 masks of 32 bits become masks of bytes. */
static inline int8x16_t byte_masks(const uint32x4_t masks[QUARTER])
{
    const uint16x8_t low = vuzp1q_u16(vreinterpretq_u16_u32(masks[0]), vreinterpretq_u16_u32(masks[1]));
    const uint16x8_t high = vuzp1q_u16(vreinterpretq_u16_u32(masks[2]), vreinterpretq_u16_u32(masks[3]));
    return vuzp1q_s8(vreinterpretq_s8_u16(low), vreinterpretq_s8_u16(high));
}

/* Sums over rows of 16 columns. */
struct sums {
    int32x4_t gy[QUARTER];
    int16x8_t g[2];
};

/* n rows: what one waits for, on cores that start instructions in order, the other hides. */
static BNN_INLINE void cancel_rows(const int32_t *y, size_t stride, const struct intervals *is, int8_t *g, size_t g_stride,
                                   size_t n, struct sums *sums)
{
    int32x4_t value[SOME_ROWS][QUARTER];
    int8x16_t passed[SOME_ROWS];
    BNN_UNROLL for (size_t j = 0; j < n; j++) {
        BNN_UNROLL for (size_t i = 0; i < QUARTER; i++) value[j][i] = vld1q_s32(y + j * stride + 4 * i);
        passed[j] = vld1q_s8(g + j * g_stride);
    }
    BNN_UNROLL for (size_t j = 0; j < n; j++) {
        uint32x4_t masks[QUARTER];
        BNN_UNROLL for (size_t i = 0; i < QUARTER; i++) masks[i] = inside(value[j][i], is, i);
        passed[j] = vandq_s8(passed[j], byte_masks(masks));
    }
    BNN_UNROLL for (size_t j = 0; j < n; j++) vst1q_s8(g + j * g_stride, passed[j]);
    BNN_UNROLL for (size_t j = 0; j < n; j++) {
        const int16x8_t low = vmovl_s8(vget_low_s8(passed[j])), high = vmovl_high_s8(passed[j]);
        sums->g[0] = vaddq_s16(sums->g[0], low), sums->g[1] = vaddq_s16(sums->g[1], high);
        sums->gy[0] = vmlaq_s32(sums->gy[0], vmovl_s16(vget_low_s16(low)), value[j][0]);
        sums->gy[1] = vmlaq_s32(sums->gy[1], vmovl_high_s16(low), value[j][1]);
        sums->gy[2] = vmlaq_s32(sums->gy[2], vmovl_s16(vget_low_s16(high)), value[j][2]);
        sums->gy[3] = vmlaq_s32(sums->gy[3], vmovl_high_s16(high), value[j][3]);
    }
}

/* y = INT32_MAX only meets g = 0, as |y| <= 2^23: nothing to cancel in an empty interval. */
void BNN_NAME(norm_cancel_i8)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                              const int32_t *low, const int32_t *high, int8_t *g, size_t g_stride,
                              int64_t *sum_g, int64_t *sum_gy)
{
    const size_t whole = columns - columns % LANES, safe = bnn_safe_rows(low, high, whole, RUN);
    EACH_BLOCK(LANES) {
        uint32x4_t filled[QUARTER];
        const struct intervals is = intervals_of(low + c, high + c, filled);
        for (size_t row = row0; row < end;) {
            const size_t stop = bnn_min(end, row + safe);
            /* |g| <= 2^7: 120 rows stay below 2^14. */
            struct sums sums;
            BNN_UNROLL for (size_t i = 0; i < QUARTER; i++) sums.gy[i] = vdupq_n_s32(0);
            sums.g[0] = sums.g[1] = vdupq_n_s16(0);
            for (; row + SOME_ROWS <= stop; row += SOME_ROWS)
                cancel_rows(y + row * stride + c, stride, &is, g + row * g_stride + c, g_stride, SOME_ROWS, &sums);
            if (row < stop) cancel_rows(y + row * stride + c, stride, &is, g + row * g_stride + c, g_stride, 1, &sums);
            row = stop;
            BNN_UNROLL for (size_t i = 0; i < 2; i++) {
                bnn_neon_add_lanes(sum_g + c + 8 * i, vmovl_s16(vget_low_s16(sums.g[i])));
                bnn_neon_add_lanes(sum_g + c + 8 * i + 4, vmovl_high_s16(sums.g[i]));
            }
            BNN_UNROLL for (size_t i = 0; i < QUARTER; i++) bnn_neon_add_lanes(sum_gy + c + 4 * i, sums.gy[i]);
        }
    }
    if (whole < columns)
        bnn_norm_cancel_i8_portable(y + whole, rows, columns - whole, stride, low + whole, high + whole, g + whole,
                                    g_stride, sum_g + whole, sum_gy + whole);
}

/* n vectors. */
static BNN_INLINE void enlarge(int32x4_t most[QUARTER], const int32_t *v, size_t n)
{
    int32x4_t size[2 * QUARTER];
    BNN_UNROLL for (size_t i = 0; i < n; i++) size[i] = vld1q_s32(v + 4 * i);
    BNN_UNROLL for (size_t i = 0; i < n; i++) size[i] = vabsq_s32(size[i]);
    BNN_UNROLL for (size_t i = 0; i < n; i++) most[i % QUARTER] = vmaxq_s32(most[i % QUARTER], size[i]);
}

void BNN_NAME(largest_i32)(const int32_t *v, size_t rows, size_t columns, size_t stride, int32_t *largest)
{
    const size_t whole = columns - columns % LANES;
    int32x4_t most[QUARTER];
    for (size_t i = 0; i < QUARTER; i++) most[i] = vdupq_n_s32(*largest);
    for (size_t row = 0; row < rows; row++) {
        const int32_t *at = v + row * stride;
        size_t c = 0;
        for (; c + 2 * LANES <= whole; c += 2 * LANES) enlarge(most, at + c, 2 * QUARTER);
        if (c < whole) enlarge(most, at + c, QUARTER);
    }
    *largest = vmaxvq_s32(vmaxq_s32(vmaxq_s32(most[0], most[1]), vmaxq_s32(most[2], most[3])));
    if (whole < columns) bnn_largest_i32_portable(v + whole, rows, columns - whole, stride, largest);
}

#endif
