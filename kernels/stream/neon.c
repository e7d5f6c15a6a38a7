/* neon.c: the stream's forward loops and its sums (what is scaled and rounded backwards stands in neon_round.c).
 *
 * What belongs to the columns of a block stays in registers over the rows.  Columns past the last whole block are left to the
 * loops of loops.h.
 *
 *   per 16 elements        instructions (128 bits; A53 does one a cycle and half an ldr, A72 one or two)
 *   stream_add_i16         4 ldr, 4 scvtf, 4 fmul, 4 fadd, 4 fminnm, 4 fcvtns, 4 sqxtn, 2 smax, 2 str; and where the former r
 *                          stays 2 ldr, 2 sqadd, 2 smax
 *   stream_within_i16_u1   2 ldr, 2 abs, 2 cmhs, uzp1, and, addp
 *   stream_sums_i16        6 ldr, 4 sshll, 4 add, 8 smlal
 */
#if defined(__aarch64__)
#include "neon.h"

bnn_stream_add_i16_fn bnn_stream_add_i16_portable;
bnn_stream_sums_i16_fn bnn_stream_sums_i16_portable;

/* n rows of 8 columns; of: its sums are those of r. */
static BNN_INLINE void add_rows(const int32_t *y, size_t stride, const struct bnn_neon_affine *of, size_t n, int add,
                                int16_t *r, size_t r_stride)
{
    float32x4_t z[BNN_NEON_MOST];
    int16x8_t sum[BNN_NEON_ROWS];
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) z[i] = vcvtq_f32_s32(vld1q_s32(y + i / 2 * stride + 4 * (i % 2)));
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) z[i] = vmulq_f32(z[i], of->b[i % 2]);
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) z[i] = vaddq_f32(z[i], of->c0[i % 2]);
    BNN_UNROLL for (size_t i = 0; i < n; i++) sum[i] = limited_words(z + 2 * i);
    if (add) {
        BNN_UNROLL for (size_t i = 0; i < n; i++) sum[i] = add_limited(vld1q_s16(r + i * r_stride), sum[i]);
    }
    BNN_UNROLL for (size_t i = 0; i < n; i++) vst1q_s16(r + i * r_stride, sum[i]);
}

static BNN_INLINE void add_block(const int32_t *y, size_t rows, size_t stride, const struct bnn_neon_affine *of, int add,
                                 int16_t *r, size_t r_stride)
{
    for (; rows >= BNN_NEON_ROWS; rows -= BNN_NEON_ROWS, y += BNN_NEON_ROWS * stride, r += BNN_NEON_ROWS * r_stride)
        add_rows(y, stride, of, BNN_NEON_ROWS, add, r, r_stride);
    for (; rows; rows--, y += stride, r += r_stride) add_rows(y, stride, of, 1, add, r, r_stride);
}

void BNN_NAME(stream_add_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, const float *scale,
                              const float *shift, int add, int16_t *r, size_t r_stride)
{
    const size_t whole = columns - columns % BNN_NEON_WIDTH;
    EACH_BLOCK(BNN_NEON_WIDTH) {
        const int32_t *y_at = y + row0 * stride + c;
        int16_t *r_at = r + row0 * r_stride + c;
        struct bnn_neon_affine of = bnn_neon_affine_of(scale + c, scale + c, shift + c);
        /* Factors that are too large for that: none that training meets. */
        if (!bnn_neon_scale(&of, (float)BNN_STREAM_ONE))
            bnn_stream_add_i16_portable(y_at, end - row0, BNN_NEON_WIDTH, stride, scale + c, shift + c, add, r_at, r_stride);
        else if (add) add_block(y_at, end - row0, stride, &of, 1, r_at, r_stride);
        else add_block(y_at, end - row0, stride, &of, 0, r_at, r_stride);
    }
    if (whole < columns)
        bnn_stream_add_i16_portable(y + whole, rows, columns - whole, stride, scale + whole, shift + whole, add, r + whole,
                                    r_stride);
}

/* Bytes of 16 columns: the bit that each has in its byte, where |r| <= BNN_STREAM_ONE.  The least of int16 has itself, 2^15
 * without a sign, as its size. */
static BNN_INLINE uint8x16_t within(const int16_t *r)
{
    const uint8x16_t own = vreinterpretq_u8_u64(vdupq_n_u64(UINT64_C(0x8040201008040201)));
    const uint16x8_t most = vdupq_n_u16(BNN_STREAM_ONE);
    const uint16x8_t low = vcleq_u16(vreinterpretq_u16_s16(vabsq_s16(vld1q_s16(r))), most);
    const uint16x8_t high = vcleq_u16(vreinterpretq_u16_s16(vabsq_s16(vld1q_s16(r + 8))), most);
    return vandq_u8(vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high)), own);
}

static BNN_INLINE uint64_t within_whole(const int16_t *r)
{
    uint8x16_t bits[4];
    BNN_UNROLL for (size_t i = 0; i < 4; i++) bits[i] = within(r + LANES * i);
    const uint8x16_t quarters = vpaddq_u8(vpaddq_u8(bits[0], bits[1]), vpaddq_u8(bits[2], bits[3]));
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(quarters, quarters)), 0);
}

/* Up to 63 columns. */
static uint64_t within_part(const int16_t *r, size_t count)
{
    uint64_t word = 0;
    size_t c = 0;
    for (; c + LANES <= count; c += LANES) {
        const uint8x16_t bits = within(r + c);
        word |= (uint64_t)vaddv_u8(vget_low_u8(bits)) << c | (uint64_t)vaddv_u8(vget_high_u8(bits)) << (c + 8);
    }
    return word | within_word(r + c, count - c) << c;
}

void BNN_NAME(stream_within_i16_u1)(const int16_t *r, size_t rows, size_t columns, size_t stride, uint64_t *bits,
                                    size_t stride_words)
{
    const size_t whole = columns - columns % BNN_WORD_BITS;
    for (size_t row = 0; row < rows; row++, r += stride, bits += stride_words) {
        for (size_t c = 0; c < whole; c += BNN_WORD_BITS) bits[c / BNN_WORD_BITS] = within_whole(r + c);
        if (whole < columns) bits[whole / BNN_WORD_BITS] = within_part(r + whole, columns - whole);
    }
}

void BNN_NAME(stream_sums_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, const int16_t *g,
                               size_t g_stride, int64_t *sum_g, int64_t *sum_gy)
{
    const size_t whole = columns - columns % LANES;
    EACH_BLOCK(LANES) {
        /* |g| <= 2^15: RUN rows stay below 2^22. */
        int32x4_t sums[QUARTER] = {0};
        int64x2_t low[QUARTER] = {0}, high[QUARTER] = {0};
        for (size_t row = row0; row < end; row++) {
            const int16_t *at = g + row * g_stride + c;
            const int16x8_t words[2] = {vld1q_s16(at), vld1q_s16(at + 8)};
            BNN_UNROLL for (size_t i = 0; i < QUARTER; i++) {
                const int32x4_t value = vld1q_s32(y + row * stride + c + 4 * i);
                const int32x4_t slopes = i % 2 ? vmovl_high_s16(words[i / 2]) : vmovl_s16(vget_low_s16(words[i / 2]));
                sums[i] = vaddq_s32(sums[i], slopes);
                low[i] = vmlal_s32(low[i], vget_low_s32(slopes), vget_low_s32(value));
                high[i] = vmlal_high_s32(high[i], slopes, value);
            }
        }
        for (size_t i = 0; i < QUARTER; i++) {
            bnn_neon_add_lanes(sum_g + c + 4 * i, sums[i]);
            bnn_neon_add_wide(sum_gy + c + 4 * i, low[i]), bnn_neon_add_wide(sum_gy + c + 4 * i + 2, high[i]);
        }
    }
    if (whole < columns)
        bnn_stream_sums_i16_portable(y + whole, rows, columns - whole, stride, g + whole, g_stride, sum_g + whole,
                                     sum_gy + whole);
}
#endif
