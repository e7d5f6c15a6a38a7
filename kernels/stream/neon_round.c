/* neon_round.c: what is scaled and rounded backwards, to bytes by blocks of 8 columns and four rows, to int16 by 32 columns of
 * a row.  Columns past the last whole block are left to the loops of loops.h.
 *
 *   per 16 elements        instructions (128 bits; A53 does one a cycle and half an ldr, A72 one or two)
 *   stream_measure_i16     6 ldr, 4 sshll, 8 scvtf, 8 fmul, 8 fadd, 4 fabs, 4 fmaxnm
 *   stream_affine_i16      that; 4 fminnm, 4 fcvtns, 6 sqxtn, smax, 2 str d; and if stochastic 2 uaddw, uzp2 in place of
 *                          2 sqxtn, a hash: 2 mul, 3 ushr, 3 eor, 2 add
 *   stream_gradient_i16    4 ldr, 4 scvtf, 4 fmul, 4 fminnm, 4 fcvtns, 4 sqxtn, 2 smax, dup, 2 cmtst, 2 and, 2 abs, 2 smax,
 *                          2 str; where the former g stays 2 ldr, 2 sqadd, 2 smax; and if stochastic 2 ushll, 4 uaddw,
 *                          4 sqshrn in place of 4 sqxtn, a hash
 */
#if defined(__aarch64__)
#include "neon.h"

bnn_stream_measure_i16_fn bnn_stream_measure_i16_portable;
bnn_stream_affine_i16_fn bnn_stream_affine_i16_portable;

enum { WIDTH = BNN_NEON_WIDTH, PER_ROW = BNN_NEON_PER_ROW, SOME_ROWS = BNN_NEON_ROWS, MOST = BNN_NEON_MOST };

/* Rows of y and g. */
struct tile {
    const int32_t *y;
    const int16_t *g;
    size_t stride, g_stride;
};

static BNN_INLINE void advance(struct tile *at, size_t rows) { at->y += rows * at->stride, at->g += rows * at->g_stride; }

/* v of n rows of 8 columns, and the largest of their sizes. */
static BNN_INLINE void apply(float32x4_t v[], const struct bnn_neon_affine *of, const struct tile *at, size_t n,
                             float32x4_t most[PER_ROW])
{
    int16x8_t slopes[SOME_ROWS];
    BNN_UNROLL for (size_t i = 0; i < n; i++) slopes[i] = vld1q_s16(at->g + i * at->g_stride);
    bnn_neon_apply(v, of, at->y, at->stride, slopes, n);
    bnn_neon_enlarge(most, v, n);
}

void BNN_NAME(stream_measure_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, const float *a,
                                  const float *b, const float *c0, const int16_t *g, size_t g_stride, float *largest)
{
    const size_t whole = columns - columns % WIDTH;
    float32x4_t most[PER_ROW] = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)}, v[MOST];
    EACH_BLOCK(WIDTH) {
        const struct bnn_neon_affine of = bnn_neon_affine_of(a + c, b + c, c0 + c);
        struct tile at = {y + row0 * stride + c, g + row0 * g_stride + c, stride, g_stride};
        size_t row = row0;
        for (; row + SOME_ROWS <= end; row += SOME_ROWS, advance(&at, SOME_ROWS)) apply(v, &of, &at, SOME_ROWS, most);
        for (; row < end; row++, advance(&at, 1)) apply(v, &of, &at, 1, most);
    }
    *largest = bnn_neon_largest_of(most, *largest);
    if (whole < columns)
        bnn_stream_measure_i16_portable(y + whole, rows, columns - whole, stride, a + whole, b + whole, c0 + whole,
                                        g + whole, g_stride, largest);
}

/* key and scaled as in bnn_neon_store_rows. */
static BNN_INLINE void affine_block(struct tile at, size_t rows, const struct bnn_neon_affine *of, int8_t *q, size_t q_stride,
                                    int limit, uint64_t key, int scaled, uint32_t index, float32x4_t most[PER_ROW])
{
    const uint32_t step = (uint32_t)q_stride;
    uint32x4_t place = bnn_neon_places_of_rows((uint32_t)key + index, step);
    float32x4_t v[MOST];
    for (; rows >= SOME_ROWS; rows -= SOME_ROWS, advance(&at, SOME_ROWS), q += SOME_ROWS * q_stride) {
        apply(v, of, &at, SOME_ROWS, most);
        bnn_neon_store_rows(q, q_stride, v, SOME_ROWS, limit, key, scaled, place);
        place = vaddq_u32(place, vdupq_n_u32(SOME_ROWS * step));
    }
    for (; rows; rows--, advance(&at, 1), q += q_stride, place = vaddq_u32(place, vdupq_n_u32(step))) {
        apply(v, of, &at, 1, most);
        bnn_neon_store_rows(q, q_stride, v, 1, limit, key, scaled, place);
    }
}

void BNN_NAME(stream_affine_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, const float *a,
                                 const float *b, const float *c0, const int16_t *g, size_t g_stride, int8_t *q,
                                 size_t q_stride, int limit, uint64_t key, uint32_t index, float *largest)
{
    const size_t whole = columns - columns % WIDTH;
    float32x4_t most[PER_ROW] = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)};
    float32x4_t most256[PER_ROW] = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)}; /* of the values that are scaled */
    EACH_BLOCK(WIDTH) {
        struct bnn_neon_affine of = bnn_neon_affine_of(a + c, b + c, c0 + c);
        const struct tile at = {y + row0 * stride + c, g + row0 * g_stride + c, stride, g_stride};
        int8_t *q_at = q + row0 * q_stride + c;
        const uint32_t first = index + (uint32_t)(row0 * q_stride + c);
        if (!key) affine_block(at, end - row0, &of, q_at, q_stride, limit, 0, 0, first, most);
        else if (bnn_neon_scale(&of, 256.0f))
            affine_block(at, end - row0, &of, q_at, q_stride, limit, key, 1, first, most256);
        else affine_block(at, end - row0, &of, q_at, q_stride, limit, key, 0, first, most);
    }
    BNN_UNROLL for (size_t i = 0; i < PER_ROW; i++) most[i] = vmaxnmq_f32(most[i], vmulq_n_f32(most256[i], 0x1p-8f));
    *largest = bnn_neon_largest_of(most, *largest);
    if (whole < columns)
        bnn_stream_affine_i16_portable(y + whole, rows, columns - whole, stride, a + whole, b + whole, c0 + whole, g + whole,
                                       g_stride, q + whole, q_stride, limit, key, index + (uint32_t)whole, largest);
}

enum { GROUPS = BNN_NEON_GROUPS };

/* 8 values: floor((round(256 v) + u) / 256), within +-BNN_STREAM_LIMIT.  Saturation keeps what is below int16 there, and the
 * least of int32 has room for u. */
static inline int16x8_t dithered_words(const float32x4_t v256[2], uint16x8_t u)
{
    const float32x4_t most = vdupq_n_f32(256.0f * BNN_STREAM_LIMIT);
    const uint32x4_t low = vreinterpretq_u32_s32(bnn_neon_at_most(v256[0], most));
    const uint32x4_t high = vreinterpretq_u32_s32(bnn_neon_at_most(v256[1], most));
    const int16x4_t first = vqshrn_n_s32(vreinterpretq_s32_u32(vaddw_u16(low, vget_low_u16(u))), 8);
    return at_least(vqshrn_high_n_s32(first, vreinterpretq_s32_u32(vaddw_high_u16(high, u)), 8));
}

/* n groups of 16 columns, whose bits are the lowest of `word`; lanes of place: the indices, with the lower half of the key, of
 * columns 0, 4, 8, 12.  most: the largest |g|, which int16 holds, as g is never its least. */
static BNN_INLINE void gradient_groups(const int32_t *y, size_t n, float factor, uint64_t word, int add, int16_t *g,
                                       uint64_t key, uint32x4_t place, int16x8_t most[2])
{
    static const uint16_t bits[LANES] = {1,   2,   4,    8,    16,   32,   64,    128,
                                         256, 512, 1024, 2048, 4096, 8192, 16384, 32768};
    float32x4_t v[MOST];
    uint32x4_t u[GROUPS];
    int16x8_t sum[2 * GROUPS];
    BNN_UNROLL for (size_t i = 0; i < 4 * n; i++) v[i] = vcvtq_f32_s32(vld1q_s32(y + 4 * i));
    BNN_UNROLL for (size_t i = 0; i < 4 * n; i++) v[i] = vmulq_n_f32(v[i], factor);
    if (key) {
        BNN_UNROLL for (size_t i = 0; i < n; i++) u[i] = i ? vaddq_u32(place, vdupq_n_u32(LANES)) : place;
        bnn_hash32_neon_mixed(u, n, key);
        BNN_UNROLL for (size_t i = 0; i < n; i++) {
            const uint8x16_t bytes = vreinterpretq_u8_u32(u[i]);
            sum[2 * i] = dithered_words(v + 4 * i, vmovl_u8(vget_low_u8(bytes)));
            sum[2 * i + 1] = dithered_words(v + 4 * i + 2, vmovl_high_u8(bytes));
        }
    } else {
        BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) sum[i] = limited_words(v + 2 * i);
    }
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) {
        const uint16x8_t own = vdupq_n_u16((uint16_t)(word >> i / 2 * LANES));
        sum[i] = vandq_s16(sum[i], vreinterpretq_s16_u16(vtstq_u16(own, vld1q_u16(bits + i % 2 * 8))));
    }
    if (add) {
        BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) sum[i] = add_limited(vld1q_s16(g + 8 * i), sum[i]);
    }
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) most[i % 2] = vmaxq_s16(most[i % 2], vabsq_s16(sum[i]));
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) vst1q_s16(g + 8 * i, sum[i]);
}

/* Whole groups.  256 * (y * multiplier) is y * (256 * multiplier) to the bit, unless 256 * multiplier overflows; products that
 * are too small for that to hold round to 0 either way. */
static BNN_INLINE void gradient_row(const int32_t *y, size_t columns, float multiplier, const uint64_t *bits, int add,
                                    int16_t *g, uint64_t key, uint32_t index, int16x8_t most[2])
{
    static const uint32_t lanes[QUARTER] = {0, 4, 8, 12};
    const float factor = key ? 256.0f * multiplier : multiplier;
    uint32x4_t place = vaddq_u32(vdupq_n_u32((uint32_t)key + index), vld1q_u32(lanes));
    size_t c = 0;
    for (; c + GROUPS * LANES <= columns; c += GROUPS * LANES, place = vaddq_u32(place, vdupq_n_u32(GROUPS * LANES)))
        gradient_groups(y + c, GROUPS, factor, bits[c / BNN_WORD_BITS] >> c % BNN_WORD_BITS, add, g + c, key, place, most);
    if (c < columns)
        gradient_groups(y + c, 1, factor, bits[c / BNN_WORD_BITS] >> c % BNN_WORD_BITS, add, g + c, key, place, most);
}

void BNN_NAME(stream_gradient_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, float multiplier,
                                   const uint64_t *bits, size_t stride_words, int add, int16_t *g, size_t g_stride,
                                   uint64_t key, uint32_t index, int32_t *largest)
{
    /* 2^80 and more, infinities and NaN: none that training meets. */
    const int plain = multiplier < 0x1p80f && multiplier > -0x1p80f;
    const size_t whole = plain ? columns - columns % LANES : 0;
    int16x8_t most[2] = {vdupq_n_s16(0), vdupq_n_s16(0)};
    for (size_t row = 0; row < rows; row++) {
        const int32_t *y_at = y + row * stride;
        const uint64_t *bits_at = bits + row * stride_words;
        int16_t *g_at = g + row * g_stride;
        const uint32_t first = index + (uint32_t)(row * g_stride);
        if (key) gradient_row(y_at, whole, multiplier, bits_at, add, g_at, key, first, most);
        else gradient_row(y_at, whole, multiplier, bits_at, add, g_at, 0, first, most);
    }
    const int32_t size = vmaxvq_s16(vmaxq_s16(most[0], most[1]));
    *largest = gradient_from(whole, y, rows, columns, stride, multiplier, bits, stride_words, add, g, g_stride, key, index,
                             size > *largest ? size : *largest);
}
#endif
