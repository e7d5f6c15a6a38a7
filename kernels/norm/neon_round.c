/* neon_round.c: gradients scaled and rounded to bytes, 32 at a time.
 *
 * Of a block of 8 columns, what belongs to a column stays in registers over the rows, of which four go side by side: what
 * one waits for, on cores that start instructions in order, the others hide.  Columns past the last whole block are left
 * to the portable functions.
 *
 *   per 16 elements        instructions (128 bits; A53 does one a cycle and half an ldr, A72 one or two)
 *   norm_measure_i8        4 ldr, 6 sshll, 8 scvtf, 8 fmul, 8 fadd, 4 fabs, 4 fmaxnm; 2 ldr d
 *   norm_affine_i8         norm_measure_i8's; 4 fminnm, 4 fcvtns, 6 sqxtn, smax, 2 str d; and if stochastic
 *                          2 uaddw, uzp2 in place of 2 sqxtn, a hash: 2 mul, 3 ushr, 3 eor, 2 add
 *   requantise_i32_i8      4 ldr, 4 scvtf, 4 fmul; the rest of norm_affine_i8
 */
#if defined(__aarch64__)
#include "../common/rng_neon.h"
#include "neon.h"

bnn_norm_measure_i8_fn bnn_norm_measure_i8_portable;
bnn_norm_affine_i8_fn bnn_norm_affine_i8_portable;
bnn_requantise_i32_i8_fn bnn_requantise_i32_i8_portable;

enum { WIDTH = 8, PER_ROW = 2, SOME_ROWS = 4, MOST = SOME_ROWS * PER_ROW, GROUPS = MOST / QUARTER };

/* What belongs to 8 columns. */
struct affine {
    float32x4_t a[PER_ROW], b[PER_ROW], c0[PER_ROW];
};

static inline struct affine affine_of(const float *a, const float *b, const float *c0)
{
    return (struct affine){{vld1q_f32(a), vld1q_f32(a + 4)},
                           {vld1q_f32(b), vld1q_f32(b + 4)},
                           {vld1q_f32(c0), vld1q_f32(c0 + 4)}};
}

/* Makes v 256 times as large, to the bit, unless a factor is so large (or no number) that a value may overflow.  Nothing
 * is lost below: g and t are integers, so that products and sums are multiples of the least float as the factors are.
 * Returns whether it did. */
static inline int scale(struct affine *of)
{
    const float32x4_t most = vdupq_n_f32(0x1p60f);
    uint32x4_t all = vdupq_n_u32(UINT32_MAX);
    BNN_UNROLL for (size_t i = 0; i < PER_ROW; i++) {
        const uint32x4_t some = vandq_u32(vcaleq_f32(of->a[i], most), vcaleq_f32(of->b[i], most));
        all = vandq_u32(all, vandq_u32(some, vcaleq_f32(of->c0[i], most)));
    }
    if (vminvq_u32(all) == 0) return 0;
    BNN_UNROLL for (size_t i = 0; i < PER_ROW; i++) {
        of->a[i] = vmulq_n_f32(of->a[i], 256.0f);
        of->b[i] = vmulq_n_f32(of->b[i], 256.0f);
        of->c0[i] = vmulq_n_f32(of->c0[i], 256.0f);
    }
    return 1;
}

/* Rows of t and g. */
struct tile {
    const int32_t *t;
    int8_t *g;
    size_t stride, g_stride;
};

/* v = a*g + (b*t + c0) of 8 columns and n rows, each operation rounded. */
static BNN_INLINE void apply(float32x4_t v[], const struct affine *of, const struct tile *at, size_t n)
{
    float32x4_t right[MOST];
    BNN_UNROLL for (size_t i = 0; i < n; i++) {
        right[2 * i] = vcvtq_f32_s32(vld1q_s32(at->t + i * at->stride));
        right[2 * i + 1] = vcvtq_f32_s32(vld1q_s32(at->t + i * at->stride + 4));
    }
    BNN_UNROLL for (size_t i = 0; i < n; i++) {
        const int16x8_t slopes = vmovl_s8(vld1_s8(at->g + i * at->g_stride));
        v[2 * i] = vcvtq_f32_s32(vmovl_s16(vget_low_s16(slopes)));
        v[2 * i + 1] = vcvtq_f32_s32(vmovl_high_s16(slopes));
    }
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) right[i] = vmulq_f32(of->b[i % 2], right[i]);
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) v[i] = vmulq_f32(of->a[i % 2], v[i]);
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) right[i] = vaddq_f32(right[i], of->c0[i % 2]);
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) v[i] = vaddq_f32(v[i], right[i]);
}

/* FMAXNM takes the number where one is none, and so do the comparisons of loops.h: no size is greater than NaN. */
static BNN_INLINE void enlarge(float32x4_t most[PER_ROW], const float32x4_t v[], size_t n)
{
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++) most[i % 2] = vmaxnmq_f32(most[i % 2], vabsq_f32(v[i]));
}

/* `largest` last, which stays if it is no number. */
static inline float largest_of(const float32x4_t most[PER_ROW], float largest)
{
    float lanes[QUARTER];
    vst1q_f32(lanes, vmaxnmq_f32(most[0], most[1]));
    for (size_t i = 0; i < QUARTER; i++) largest = lanes[i] > largest ? lanes[i] : largest;
    return largest;
}

void BNN_NAME(norm_measure_i8)(const int32_t *t, size_t rows, size_t columns, size_t stride,
                               const float *a, const float *b, const float *c0,
                               const int8_t *g, size_t g_stride, float *largest)
{
    const size_t whole = columns - columns % WIDTH;
    float32x4_t most[PER_ROW] = {vdupq_n_f32(*largest), vdupq_n_f32(*largest)}, v[MOST];
    EACH_BLOCK(WIDTH) {
        const struct affine of = affine_of(a + c, b + c, c0 + c);
        /* g is only read. */
        struct tile at = {t + row0 * stride + c, (int8_t *)(uintptr_t)(g + row0 * g_stride + c), stride, g_stride};
        size_t row = row0;
        for (; row + SOME_ROWS <= end; row += SOME_ROWS, at.t += SOME_ROWS * stride, at.g += SOME_ROWS * g_stride) {
            apply(v, &of, &at, SOME_ROWS);
            enlarge(most, v, SOME_ROWS);
        }
        for (; row < end; row++, at.t += stride, at.g += g_stride) {
            apply(v, &of, &at, 1);
            enlarge(most, v, 1);
        }
    }
    *largest = largest_of(most, *largest);
    if (whole < columns)
        bnn_norm_measure_i8_portable(t + whole, rows, columns - whole, stride, a + whole, b + whole, c0 + whole,
                                     g + whole, g_stride, largest);
}

/* v rounded half to even, at most `limit`, which also stands for what is no number (as in bnn_clip).  Below the lower
 * limit conversion and narrowing saturate; for that limit there is time after the rounding, which is monotonic. */
static inline int32x4_t at_most(float32x4_t v, float32x4_t limit) { return vcvtnq_s32_f32(vminnmq_f32(v, limit)); }

/* n groups of 16 values, rounded within +-limit, at most 127. */
static BNN_INLINE void round_groups(int8x16_t q[], const float32x4_t v[], size_t n, int limit)
{
    const float32x4_t most = vdupq_n_f32((float)limit);
    BNN_UNROLL for (size_t i = 0; i < n; i++) {
        const int16x8_t low = vqmovn_high_s32(vqmovn_s32(at_most(v[4 * i], most)), at_most(v[4 * i + 1], most));
        const int16x8_t high = vqmovn_high_s32(vqmovn_s32(at_most(v[4 * i + 2], most)), at_most(v[4 * i + 3], most));
        q[i] = vmaxq_s8(vqmovn_high_s16(vqmovn_s16(low), high), vdupq_n_s8((int8_t)-limit));
    }
}

/* floor((round(256 v) + u) / 256) within +-limit.  256 * 127 + u fits 16 bits, of which the upper 8 are the quotient;
 * what saturates becomes -128. */
static BNN_INLINE void dither_groups(int8x16_t q[], const float32x4_t v256[], const uint32x4_t u[], size_t n, int limit)
{
    const float32x4_t most = vdupq_n_f32((float)(256 * limit));
    uint16x8_t steps[2 * GROUPS];
    BNN_UNROLL for (size_t i = 0; i < 2 * n; i++)
        steps[i] = vreinterpretq_u16_s16(
            vqmovn_high_s32(vqmovn_s32(at_most(v256[2 * i], most)), at_most(v256[2 * i + 1], most)));
    BNN_UNROLL for (size_t i = 0; i < n; i++) {
        const uint8x16_t bytes = vreinterpretq_u8_u32(u[i]);
        steps[2 * i] = vaddw_u8(steps[2 * i], vget_low_u8(bytes));
        steps[2 * i + 1] = vaddw_high_u8(steps[2 * i + 1], bytes);
    }
    BNN_UNROLL for (size_t i = 0; i < n; i++)
        q[i] = vmaxq_s8(vuzp2q_s8(vreinterpretq_s8_u16(steps[2 * i]), vreinterpretq_s8_u16(steps[2 * i + 1])),
                        vdupq_n_s8((int8_t)-limit));
}

/* n rows, two to a group; lanes of place: the indices, with the lower half of the key, of the first two rows' columns
 * 0 and 4. */
static BNN_INLINE void affine_rows(const struct tile *at, const struct affine *of, size_t n, int limit, uint64_t key,
                                   int scaled, uint32x4_t place, float32x4_t most[PER_ROW])
{
    const size_t groups = (n + 1) / 2;
    float32x4_t v[MOST];
    uint32x4_t u[GROUPS];
    int8x16_t q[GROUPS];
    apply(v, of, at, n);
    enlarge(most, v, n);
    if (n == 1) v[2] = v[3] = vdupq_n_f32(0.0f);
    if (key) {
        BNN_UNROLL for (size_t i = 0; i < 4 * groups; i++) v[i] = scaled ? v[i] : vmulq_n_f32(v[i], 256.0f);
        BNN_UNROLL for (size_t i = 0; i < groups; i++)
            u[i] = i ? vaddq_u32(place, vdupq_n_u32((uint32_t)(2 * at->g_stride))) : place;
        bnn_hash32_neon_mixed(u, groups, key);
        dither_groups(q, v, u, groups, limit);
    } else {
        round_groups(q, v, groups, limit);
    }
    BNN_UNROLL for (size_t i = 0; i < n; i++)
        vst1_s8(at->g + i * at->g_stride, i % 2 ? vget_high_s8(q[i / 2]) : vget_low_s8(q[i / 2]));
}

/* Two rows' columns 0 and 4. */
static inline uint32x4_t places_of_rows(uint32_t first, uint32_t stride)
{
    const uint32_t lanes[QUARTER] = {0, 4, stride, stride + 4};
    return vaddq_u32(vdupq_n_u32(first), vld1q_u32(lanes));
}

static BNN_INLINE void affine_block(struct tile at, size_t rows, const struct affine *of, int limit, uint64_t key,
                                    int scaled, uint32_t index, float32x4_t most[PER_ROW])
{
    const uint32_t step = (uint32_t)at.g_stride;
    uint32x4_t place = places_of_rows((uint32_t)key + index, step);
    size_t row = 0;
    for (; row + SOME_ROWS <= rows; row += SOME_ROWS) {
        affine_rows(&at, of, SOME_ROWS, limit, key, scaled, place, most);
        at.t += SOME_ROWS * at.stride, at.g += SOME_ROWS * at.g_stride;
        place = vaddq_u32(place, vdupq_n_u32(SOME_ROWS * step));
    }
    for (; row < rows; row++, at.t += at.stride, at.g += at.g_stride, place = vaddq_u32(place, vdupq_n_u32(step)))
        affine_rows(&at, of, 1, limit, key, scaled, place, most);
}

void BNN_NAME(norm_affine_i8)(const int32_t *t, size_t rows, size_t columns, size_t stride,
                              const float *a, const float *b, const float *c0,
                              int8_t *g, size_t g_stride, int limit, uint64_t key, uint32_t index, float *largest)
{
    const size_t whole = columns - columns % WIDTH;
    float32x4_t most[PER_ROW] = {vdupq_n_f32(*largest), vdupq_n_f32(*largest)};
    float32x4_t most256[PER_ROW] = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)}; /* of the values that are scaled */
    EACH_BLOCK(WIDTH) {
        struct affine of = affine_of(a + c, b + c, c0 + c);
        const struct tile at = {t + row0 * stride + c, g + row0 * g_stride + c, stride, g_stride};
        const uint32_t first = index + (uint32_t)(row0 * g_stride + c);
        if (!key) affine_block(at, end - row0, &of, limit, 0, 0, first, most);
        else if (scale(&of)) affine_block(at, end - row0, &of, limit, key, 1, first, most256);
        else affine_block(at, end - row0, &of, limit, key, 0, first, most);
    }
    BNN_UNROLL for (size_t i = 0; i < PER_ROW; i++) most[i] = vmaxnmq_f32(most[i], vmulq_n_f32(most256[i], 0x1p-8f));
    *largest = largest_of(most, *largest);
    if (whole < columns)
        bnn_norm_affine_i8_portable(t + whole, rows, columns - whole, stride, a + whole, b + whole, c0 + whole,
                                    g + whole, g_stride, limit, key, index + (uint32_t)whole, largest);
}

/* n groups of 16 columns; lanes of place: the indices, with the lower half of the key, of columns 0, 4, 8, 12. */
static BNN_INLINE void requantise_groups(const int32_t *v, size_t n, float factor, int8_t *q, uint64_t key,
                                         uint32x4_t place)
{
    float32x4_t scaled[MOST];
    uint32x4_t u[GROUPS];
    int8x16_t rounded[GROUPS];
    BNN_UNROLL for (size_t i = 0; i < 4 * n; i++) scaled[i] = vcvtq_f32_s32(vld1q_s32(v + 4 * i));
    BNN_UNROLL for (size_t i = 0; i < 4 * n; i++) scaled[i] = vmulq_n_f32(scaled[i], factor);
    if (key) {
        BNN_UNROLL for (size_t i = 0; i < n; i++) u[i] = i ? vaddq_u32(place, vdupq_n_u32(LANES)) : place;
        bnn_hash32_neon_mixed(u, n, key);
        dither_groups(rounded, scaled, u, n, 127);
    } else {
        round_groups(rounded, scaled, n, 127);
    }
    BNN_UNROLL for (size_t i = 0; i < n; i++) vst1q_s8(q + LANES * i, rounded[i]);
}

/* 256 * (v * multiplier) is v * (256 * multiplier) to the bit, unless 256 * multiplier overflows; products that are too
 * small for that to hold round to 0 either way. */
static BNN_INLINE void requantise_row(const int32_t *v, size_t columns, float multiplier, int8_t *q, uint64_t key,
                                      uint32_t index)
{
    static const uint32_t lanes[QUARTER] = {0, 4, 8, 12};
    const float factor = key ? 256.0f * multiplier : multiplier;
    uint32x4_t place = vaddq_u32(vdupq_n_u32((uint32_t)key + index), vld1q_u32(lanes));
    size_t c = 0;
    for (; c + GROUPS * LANES <= columns; c += GROUPS * LANES, place = vaddq_u32(place, vdupq_n_u32(GROUPS * LANES)))
        requantise_groups(v + c, GROUPS, factor, q + c, key, place);
    if (c < columns) requantise_groups(v + c, 1, factor, q + c, key, place);
}

void BNN_NAME(requantise_i32_i8)(const int32_t *v, size_t rows, size_t columns, size_t stride,
                                 float multiplier, int8_t *q, size_t q_stride, uint64_t key, uint32_t index)
{
    /* 2^100 and more, infinities and NaN: none that training meets. */
    const int plain = multiplier < 0x1p100f && multiplier > -0x1p100f;
    const size_t whole = plain ? columns - columns % LANES : 0;
    for (size_t row = 0; row < rows; row++) {
        const uint32_t first = index + (uint32_t)(row * q_stride);
        if (key) requantise_row(v + row * stride, whole, multiplier, q + row * q_stride, key, first);
        else requantise_row(v + row * stride, whole, multiplier, q + row * q_stride, 0, first);
    }
    if (whole < columns)
        bnn_requantise_i32_i8_portable(v + whole, rows, columns - whole, stride, multiplier, q + whole, q_stride, key,
                                       index + (uint32_t)whole);
}
#endif
