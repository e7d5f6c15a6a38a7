/* neon.c: batch normalisation's loops by hand where narrow types meet wide ones; the others in portable.c as gcc
 * vectorises them.
 *
 * A block is RUN rows by 16 columns: what belongs to a column stays in registers over the rows, and the rows' y
 * (30 KiB at 64 columns) in the first-level cache over the blocks.  Columns past the last whole block (or word) are
 * left to the portable functions.
 *
 *   per 16 elements        instructions (128 bits; A53 does one a cycle and half an ldr, A72 one or two)
 *   norm_sums_i32          4 ldr, 4 add, 8 smlal
 *   norm_cancel_i8         5 ldr, 4 sub, 4 cmhs, 3 uzp1, and, 2 saddw, 6 sshll, 4 mla, str
 *   norm_measure_i8        5 ldr, 6 sshll, 8 scvtf, 8 fmul, 8 fadd, 4 fabs, 4 fmaxnm
 *   norm_affine_i8         norm_measure_i8's; 4 fminnm, 4 fcvtns, 6 sqxtn, smax, str; and if stochastic 4 fmul,
 *                          2 ushll, 4 uaddw, sqshrn in place of 4 sqxtn, a hash: 2 mul, 3 ushr, 3 eor, 3 add
 *   requantise_i32_i8      4 ldr, 4 scvtf, 4 fmul; the rest of norm_affine_i8 without its last 4 fmul
 *   largest_i32            4 ldr, 4 abs, 4 smax
 *   per 64 elements
 *   binarise_i32_u1        16 ldr, 16 cmgt, 12 uzp1, 4 and, 4 addp, eor
 *   within_i32_u1          16 ldr, 16 sub, 16 cmhs, 12 uzp1, 4 and, 6 addp, 2 and
 *   mask_i8                4 ldr, 4 tbl, 4 cmtst, 4 and, 4 str
 */
#if defined(__aarch64__)
#include <arm_neon.h>

#include "../common/rng_neon.h"
#include "norm.h"

#define BNN_NAME(op) bnn_##op##_neon

bnn_norm_sums_i32_fn bnn_norm_sums_i32_portable;
bnn_binarise_i32_u1_fn bnn_binarise_i32_u1_portable;
bnn_within_i32_u1_fn bnn_within_i32_u1_portable;
bnn_norm_cancel_i8_fn bnn_norm_cancel_i8_portable;
bnn_norm_measure_i8_fn bnn_norm_measure_i8_portable;
bnn_norm_affine_i8_fn bnn_norm_affine_i8_portable;
bnn_requantise_i32_i8_fn bnn_requantise_i32_i8_portable;
bnn_largest_i32_fn bnn_largest_i32_portable;
bnn_mask_i8_fn bnn_mask_i8_portable;

enum { LANES = 16, QUARTER = 4, HALF_WORD = 32, RUN = 120 };

/* Blocks of rows row0 ... end - 1 and columns c ... c + 15. */
#define EACH_BLOCK                                                                                           \
    for (size_t row0 = 0, end = bnn_min(RUN, rows); row0 < rows; row0 = end, end = bnn_min(rows, end + RUN)) \
        for (size_t c = 0; c < whole; c += LANES)

/* to[0 ... 3] += values. */
static inline void add_lanes(int64_t *to, int32x4_t values)
{
    vst1q_s64(to, vaddw_s32(vld1q_s64(to), vget_low_s32(values)));
    vst1q_s64(to + 2, vaddw_high_s32(vld1q_s64(to + 2), values));
}

static inline void add_wide(int64_t *to, int64x2_t values) { vst1q_s64(to, vaddq_s64(vld1q_s64(to), values)); }

void BNN_NAME(norm_sums_i32)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                             int64_t *sum, int64_t *sum_squares)
{
    const size_t whole = columns - columns % LANES;
    EACH_BLOCK {
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
            add_lanes(sum + c + 4 * i, sums[i]);
            add_wide(sum_squares + c + 4 * i, low[i]), add_wide(sum_squares + c + 4 * i + 2, high[i]);
        }
    }
    if (whole < columns)
        bnn_norm_sums_i32_portable(y + whole, rows, columns - whole, stride, sum + whole, sum_squares + whole);
}

/* 16 masks of 32 bits become masks of bytes. */
static inline uint8x16_t byte_masks(const uint32x4_t masks[QUARTER])
{
    const uint16x8_t low = vuzp1q_u16(vreinterpretq_u16_u32(masks[0]), vreinterpretq_u16_u32(masks[1]));
    const uint16x8_t high = vuzp1q_u16(vreinterpretq_u16_u32(masks[2]), vreinterpretq_u16_u32(masks[3]));
    return vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high));
}

/* Byte i: 1 << i % 8. */
static inline uint8x16_t bit_of_byte(void) { return vreinterpretq_u8_u64(vdupq_n_u64(UINT64_C(0x8040201008040201))); }

/* The bits of 32 masks of bytes, two a byte: pairwise sums complete the bytes. */
static inline uint8x16_t pairs_of(uint8x16_t low, uint8x16_t high)
{
    return vpaddq_u8(vandq_u8(low, bit_of_byte()), vandq_u8(high, bit_of_byte()));
}

/* y < threshold of 16 columns. */
static inline uint8x16_t below(const int32_t *y, const int32x4_t threshold[QUARTER])
{
    uint32x4_t masks[QUARTER];
    for (size_t i = 0; i < QUARTER; i++) masks[i] = vcltq_s32(vld1q_s32(y + 4 * i), threshold[i]);
    return byte_masks(masks);
}

void BNN_NAME(binarise_i32_u1)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                               const int32_t *threshold, const uint8_t *flip, uint64_t *bits, size_t stride_words)
{
    const size_t whole = columns - columns % BNN_WORD_BITS, words = whole / BNN_WORD_BITS;
    for (size_t c = 0; c < whole; c += BNN_WORD_BITS) {
        int32x4_t limits[LANES];
        for (size_t i = 0; i < LANES; i++) limits[i] = vld1q_s32(threshold + c + 4 * i);
        uint64_t flips = 0;
        for (size_t i = 0; i < BNN_WORD_BITS; i++) flips |= (uint64_t)flip[c + i] << i;
        for (size_t row = 0; row < rows; row++) {
            const int32_t *at = y + row * stride + c;
            const uint8x16_t low = pairs_of(below(at, limits), below(at + 16, limits + 4));
            const uint8x16_t high = pairs_of(below(at + 32, limits + 8), below(at + 48, limits + 12));
            const uint8x16_t fours = vpaddq_u8(low, high);
            const uint64x2_t word = vreinterpretq_u64_u8(vpaddq_u8(fours, fours));
            bits[row * stride_words + c / BNN_WORD_BITS] = vgetq_lane_u64(word, 0) ^ flips;
        }
    }
    if (whole < columns)
        bnn_binarise_i32_u1_portable(y + whole, rows, columns - whole, stride, threshold + whole, flip + whole,
                                     bits + words, stride_words);
}

/* The intervals of 16 columns: y is in [low, high] if y - low <= span without signs; for an empty interval, low > high,
 * if y = INT32_MAX. */
struct intervals {
    uint32x4_t low[QUARTER], span[QUARTER];
};

/* filled: masks of the columns whose interval is not empty. */
static inline struct intervals intervals_of(const int32_t *low, const int32_t *high, uint32x4_t filled[QUARTER])
{
    struct intervals is;
    for (size_t i = 0; i < QUARTER; i++) {
        const int32x4_t least = vld1q_s32(low + 4 * i), most = vld1q_s32(high + 4 * i);
        filled[i] = vcleq_s32(least, most);
        is.low[i] = vbslq_u32(filled[i], vreinterpretq_u32_s32(least), vdupq_n_u32(INT32_MAX));
        is.span[i] = vandq_u32(filled[i], vreinterpretq_u32_s32(vsubq_s32(most, least)));
    }
    return is;
}

static inline uint8x16_t inside(const int32x4_t y[QUARTER], const struct intervals *is)
{
    uint32x4_t masks[QUARTER];
    for (size_t i = 0; i < QUARTER; i++)
        masks[i] = vcleq_u32(vsubq_u32(vreinterpretq_u32_s32(y[i]), is->low[i]), is->span[i]);
    return byte_masks(masks);
}

/* y[i] = four values each. */
static inline void load_values(int32x4_t y[QUARTER], const int32_t *from)
{
    for (size_t i = 0; i < QUARTER; i++) y[i] = vld1q_s32(from + 4 * i);
}

static inline uint8x16_t inside_at(const int32_t *at, const struct intervals *is)
{
    int32x4_t y[QUARTER];
    load_values(y, at);
    return inside(y, is);
}

static inline uint32_t half_word(uint8x16_t low, uint8x16_t high)
{
    const uint8x16_t pairs = pairs_of(low, high), fours = vpaddq_u8(pairs, pairs);
    return vgetq_lane_u32(vreinterpretq_u32_u8(vpaddq_u8(fours, fours)), 0);
}

/* Half words, whose intervals fit the registers. */
void BNN_NAME(within_i32_u1)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                             const int32_t *low, const int32_t *high, uint64_t *bits, size_t stride_words)
{
    const size_t whole = columns - columns % BNN_WORD_BITS, words = whole / BNN_WORD_BITS;
    for (size_t c = 0; c < whole; c += HALF_WORD) {
        uint32x4_t near[QUARTER], far[QUARTER];
        const struct intervals first = intervals_of(low + c, high + c, near);
        const struct intervals second = intervals_of(low + c + LANES, high + c + LANES, far);
        const uint64_t filled = half_word(byte_masks(near), byte_masks(far));
        for (size_t row = 0; row < rows; row++) {
            const int32_t *at = y + row * stride + c;
            uint64_t *word = bits + row * stride_words + c / BNN_WORD_BITS;
            const uint64_t half = half_word(inside_at(at, &first), inside_at(at + LANES, &second)) & filled;
            *word = c % BNN_WORD_BITS ? *word | half << HALF_WORD : half;
        }
    }
    if (whole < columns)
        bnn_within_i32_u1_portable(y + whole, rows, columns - whole, stride, low + whole, high + whole, bits + words,
                                   stride_words);
}

/* 16 bytes as 32-bit lanes. */
static inline void widen(int32x4_t to[QUARTER], int8x16_t bytes)
{
    const int16x8_t low = vmovl_s8(vget_low_s8(bytes)), high = vmovl_high_s8(bytes);
    to[0] = vmovl_s16(vget_low_s16(low)), to[1] = vmovl_high_s16(low);
    to[2] = vmovl_s16(vget_low_s16(high)), to[3] = vmovl_high_s16(high);
}

/* y = INT32_MAX only meets g = 0, as |g*y| < 2^24: nothing to cancel in an empty interval. */
void BNN_NAME(norm_cancel_i8)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                              const int32_t *low, const int32_t *high, int8_t *g, size_t g_stride,
                              int64_t *sum_g, int64_t *sum_gy)
{
    const size_t whole = columns - columns % LANES;
    EACH_BLOCK {
        uint32x4_t filled[QUARTER];
        const struct intervals is = intervals_of(low + c, high + c, filled);
        /* |g*y| < 2^24: RUN = 120 rows stay below 2^31; and |g| <= 2^7, below 2^14. */
        int32x4_t sums_gy[QUARTER] = {0};
        int16x8_t near = vdupq_n_s16(0), far = near;
        for (size_t row = row0; row < end; row++) {
            int8_t *at = g + row * g_stride + c;
            int32x4_t values[QUARTER], pushes[QUARTER];
            load_values(values, y + row * stride + c);
            const int8x16_t passed = vandq_s8(vld1q_s8(at), vreinterpretq_s8_u8(inside(values, &is)));
            vst1q_s8(at, passed);
            near = vaddw_s8(near, vget_low_s8(passed)), far = vaddw_high_s8(far, passed);
            widen(pushes, passed);
            for (size_t i = 0; i < QUARTER; i++) sums_gy[i] = vmlaq_s32(sums_gy[i], pushes[i], values[i]);
        }
        add_lanes(sum_g + c, vmovl_s16(vget_low_s16(near))), add_lanes(sum_g + c + 4, vmovl_high_s16(near));
        add_lanes(sum_g + c + 8, vmovl_s16(vget_low_s16(far))), add_lanes(sum_g + c + 12, vmovl_high_s16(far));
        for (size_t i = 0; i < QUARTER; i++) add_lanes(sum_gy + c + 4 * i, sums_gy[i]);
    }
    if (whole < columns)
        bnn_norm_cancel_i8_portable(y + whole, rows, columns - whole, stride, low + whole, high + whole, g + whole,
                                    g_stride, sum_g + whole, sum_gy + whole);
}

/* What belongs to 16 columns. */
struct affine {
    float32x4_t a[QUARTER], b[QUARTER], c0[QUARTER];
};

static inline struct affine affine_of(const float *a, const float *b, const float *c0)
{
    struct affine of;
    for (size_t i = 0; i < QUARTER; i++) {
        of.a[i] = vld1q_f32(a + 4 * i);
        of.b[i] = vld1q_f32(b + 4 * i);
        of.c0[i] = vld1q_f32(c0 + 4 * i);
    }
    return of;
}

/* v = a*g + (b*t + c0), each operation rounded. */
static inline void apply(float32x4_t v[QUARTER], const struct affine *of, const int32_t *t, const int8_t *g)
{
    int32x4_t slopes[QUARTER];
    widen(slopes, vld1q_s8(g));
    for (size_t i = 0; i < QUARTER; i++) {
        const float32x4_t right = vaddq_f32(vmulq_f32(of->b[i], vcvtq_f32_s32(vld1q_s32(t + 4 * i))), of->c0[i]);
        v[i] = vaddq_f32(vmulq_f32(of->a[i], vcvtq_f32_s32(slopes[i])), right);
    }
}

/* FMAXNM takes the number where one is none, and so do the comparisons of loops.h: no size is greater than NaN. */
static inline float32x4_t larger(float32x4_t most, const float32x4_t v[QUARTER])
{
    for (size_t i = 0; i < QUARTER; i++) most = vmaxnmq_f32(most, vabsq_f32(v[i]));
    return most;
}

/* `largest` last, which stays if it is no number. */
static inline float largest_of(float32x4_t most, float largest)
{
    float lanes[QUARTER];
    vst1q_f32(lanes, most);
    for (size_t i = 0; i < QUARTER; i++) largest = lanes[i] > largest ? lanes[i] : largest;
    return largest;
}

void BNN_NAME(norm_measure_i8)(const int32_t *t, size_t rows, size_t columns, size_t stride,
                               const float *a, const float *b, const float *c0,
                               const int8_t *g, size_t g_stride, float *largest)
{
    const size_t whole = columns - columns % LANES;
    float32x4_t most = vdupq_n_f32(*largest);
    EACH_BLOCK {
        const struct affine of = affine_of(a + c, b + c, c0 + c);
        for (size_t row = row0; row < end; row++) {
            float32x4_t v[QUARTER];
            apply(v, &of, t + row * stride + c, g + row * g_stride + c);
            most = larger(most, v);
        }
    }
    *largest = largest_of(most, *largest);
    if (whole < columns)
        bnn_norm_measure_i8_portable(t + whole, rows, columns - whole, stride, a + whole, b + whole, c0 + whole,
                                     g + whole, g_stride, largest);
}

/* v rounded half to even, at most `limit`, which also stands for what is no number (as in bnn_clip).  Below the lower
 * limit conversion and narrowing saturate; for that limit there is time after the rounding, which is monotonic. */
static inline int32x4_t at_most(float32x4_t v, float limit)
{
    return vcvtnq_s32_f32(vminnmq_f32(v, vdupq_n_f32(limit)));
}

/* Rounded within +-limit, at most 127. */
static inline int8x16_t rounded(const float32x4_t v[QUARTER], int limit)
{
    const float most = (float)limit;
    const int16x8_t low = vqmovn_high_s32(vqmovn_s32(at_most(v[0], most)), at_most(v[1], most));
    const int16x8_t high = vqmovn_high_s32(vqmovn_s32(at_most(v[2], most)), at_most(v[3], most));
    return vmaxq_s8(vqmovn_high_s16(vqmovn_s16(low), high), vdupq_n_s8((int8_t)-limit));
}

/* Four values of 256 v, rounded; with their random bytes, widened, they cannot overflow: INT32_MIN is the least. */
static inline int32x4_t steps_of(float32x4_t v256, int limit, uint16x4_t u)
{
    return vreinterpretq_s32_u32(vaddw_u16(vreinterpretq_u32_s32(at_most(v256, (float)(256 * limit))), u));
}

/* floor((round(256 v) + u) / 256) within +-limit; lane i of place is the index of the elements 4i ... 4i + 3. */
static inline int8x16_t dithered(const float32x4_t v256[QUARTER], int limit, uint32x4_t place, uint64_t key)
{
    const uint8x16_t u = vreinterpretq_u8_u32(bnn_hash32_neon(place, key));
    const uint16x8_t u_low = vmovl_u8(vget_low_u8(u)), u_high = vmovl_high_u8(u);
    const int16x8_t low = vqshrn_high_n_s32(vqshrn_n_s32(steps_of(v256[0], limit, vget_low_u16(u_low)), 8),
                                            steps_of(v256[1], limit, vget_high_u16(u_low)), 8);
    const int16x8_t high = vqshrn_high_n_s32(vqshrn_n_s32(steps_of(v256[2], limit, vget_low_u16(u_high)), 8),
                                             steps_of(v256[3], limit, vget_high_u16(u_high)), 8);
    return vmaxq_s8(vqmovn_high_s16(vqmovn_s16(low), high), vdupq_n_s8((int8_t)-limit));
}

/* The indices of the first elements of four hashes. */
static inline uint32x4_t places_of(uint32_t first)
{
    static const uint32_t lanes[QUARTER] = {0, 4, 8, 12};
    return vaddq_u32(vdupq_n_u32(first), vld1q_u32(lanes));
}

/* `rows` rows of 16 columns; returns the largest magnitudes. */
static inline __attribute__((always_inline)) float32x4_t affine_block(const int32_t *t, size_t rows, size_t stride,
                                                                      const struct affine *of, int8_t *g,
                                                                      size_t g_stride, int limit, uint64_t key,
                                                                      uint32_t index, float32x4_t most)
{
    uint32x4_t place = places_of(index);
    for (size_t row = 0; row < rows; row++, t += stride, g += g_stride) {
        float32x4_t v[QUARTER];
        apply(v, of, t, g);
        most = larger(most, v);
        if (key) {
            for (size_t i = 0; i < QUARTER; i++) v[i] = vmulq_n_f32(v[i], 256.0f);
            vst1q_s8(g, dithered(v, limit, place, key));
            place = vaddq_u32(place, vdupq_n_u32((uint32_t)g_stride));
        } else {
            vst1q_s8(g, rounded(v, limit));
        }
    }
    return most;
}

void BNN_NAME(norm_affine_i8)(const int32_t *t, size_t rows, size_t columns, size_t stride,
                              const float *a, const float *b, const float *c0,
                              int8_t *g, size_t g_stride, int limit, uint64_t key, uint32_t index, float *largest)
{
    const size_t whole = columns - columns % LANES;
    float32x4_t most = vdupq_n_f32(*largest);
    EACH_BLOCK {
        const struct affine of = affine_of(a + c, b + c, c0 + c);
        const int32_t *t_at = t + row0 * stride + c;
        int8_t *g_at = g + row0 * g_stride + c;
        const uint32_t first = index + (uint32_t)(row0 * g_stride + c);
        if (key) most = affine_block(t_at, end - row0, stride, &of, g_at, g_stride, limit, key, first, most);
        else most = affine_block(t_at, end - row0, stride, &of, g_at, g_stride, limit, 0, first, most);
    }
    *largest = largest_of(most, *largest);
    if (whole < columns)
        bnn_norm_affine_i8_portable(t + whole, rows, columns - whole, stride, a + whole, b + whole, c0 + whole,
                                    g + whole, g_stride, limit, key, index + (uint32_t)whole, largest);
}

static inline void multiplied(float32x4_t to[QUARTER], const int32_t *from, float factor)
{
    for (size_t i = 0; i < QUARTER; i++) to[i] = vmulq_n_f32(vcvtq_f32_s32(vld1q_s32(from + 4 * i)), factor);
}

/* 256 * (v * multiplier) is v * (256 * multiplier) to the bit, unless 256 * multiplier overflows; products that are too
 * small for that to hold round to 0 either way. */
static void requantise_row(const int32_t *v, size_t columns, float multiplier, int8_t *q, uint64_t key, uint32_t index)
{
    const float factor = key ? 256.0f * multiplier : multiplier;
    float32x4_t scaled[QUARTER];
    if (key) {
        uint32x4_t place = places_of(index);
        for (size_t c = 0; c < columns; c += LANES, place = vaddq_u32(place, vdupq_n_u32(LANES))) {
            multiplied(scaled, v + c, factor);
            vst1q_s8(q + c, dithered(scaled, 127, place, key));
        }
    } else {
        for (size_t c = 0; c < columns; c += LANES) {
            multiplied(scaled, v + c, factor);
            vst1q_s8(q + c, rounded(scaled, 127));
        }
    }
}

void BNN_NAME(requantise_i32_i8)(const int32_t *v, size_t rows, size_t columns, size_t stride,
                                 float multiplier, int8_t *q, size_t q_stride, uint64_t key, uint32_t index)
{
    /* 2^100 and more, infinities and NaN: none that training meets. */
    const int plain = multiplier < 0x1p100f && multiplier > -0x1p100f;
    const size_t whole = plain ? columns - columns % LANES : 0;
    for (size_t row = 0; row < rows; row++)
        requantise_row(v + row * stride, whole, multiplier, q + row * q_stride, key,
                       index + (uint32_t)(row * q_stride));
    if (whole < columns)
        bnn_requantise_i32_i8_portable(v + whole, rows, columns - whole, stride, multiplier, q + whole, q_stride, key,
                                       index + (uint32_t)whole);
}

void BNN_NAME(largest_i32)(const int32_t *v, size_t rows, size_t columns, size_t stride, int32_t *largest)
{
    const size_t whole = columns - columns % LANES;
    int32x4_t most[QUARTER];
    for (size_t i = 0; i < QUARTER; i++) most[i] = vdupq_n_s32(*largest);
    for (size_t row = 0; row < rows; row++)
        for (size_t c = 0; c < whole; c += LANES)
            for (size_t i = 0; i < QUARTER; i++)
                most[i] = vmaxq_s32(most[i], vabsq_s32(vld1q_s32(v + row * stride + c + 4 * i)));
    *largest = vmaxvq_s32(vmaxq_s32(vmaxq_s32(most[0], most[1]), vmaxq_s32(most[2], most[3])));
    if (whole < columns) bnn_largest_i32_portable(v + whole, rows, columns - whole, stride, largest);
}

void BNN_NAME(mask_i8)(const uint64_t *bits, size_t stride_words, size_t rows, size_t columns,
                       int8_t *g, size_t g_stride)
{
    const uint8x16_t bit = bit_of_byte();
    /* Byte i: i / 8, the byte of the word that holds its bit. */
    const uint8x16_t spread = vcombine_u8(vdup_n_u8(0), vdup_n_u8(1));
    const size_t whole = columns - columns % BNN_WORD_BITS;
    for (size_t row = 0; row < rows; row++)
        for (size_t c = 0; c < whole; c += BNN_WORD_BITS) {
            const uint8x16_t word = vreinterpretq_u8_u64(vdupq_n_u64(bits[row * stride_words + c / BNN_WORD_BITS]));
            int8_t *at = g + row * g_stride + c;
            for (uint8_t i = 0; i < QUARTER; i++) {
                const uint8x16_t own = vqtbl1q_u8(word, vaddq_u8(spread, vdupq_n_u8(2 * i)));
                const int8x16_t kept = vreinterpretq_s8_u8(vtstq_u8(own, bit));
                vst1q_s8(at + LANES * i, vandq_s8(vld1q_s8(at + LANES * i), kept));
            }
        }
    if (whole < columns)
        bnn_mask_i8_portable(bits + whole / BNN_WORD_BITS, stride_words, rows, columns - whole, g + whole, g_stride);
}
#endif
