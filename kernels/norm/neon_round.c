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
#include "../common/neon_round.h"
#include "neon.h"

bnn_norm_measure_i8_fn bnn_norm_measure_i8_portable;
bnn_norm_affine_i8_fn bnn_norm_affine_i8_portable;
bnn_requantise_i32_i8_fn bnn_requantise_i32_i8_portable;

enum {
    WIDTH = BNN_NEON_WIDTH,
    PER_ROW = BNN_NEON_PER_ROW,
    SOME_ROWS = BNN_NEON_ROWS,
    MOST = BNN_NEON_MOST,
    GROUPS = BNN_NEON_GROUPS
};

/* Rows of t and g. */
struct tile {
    const int32_t *t;
    int8_t *g;
    size_t stride, g_stride;
};

static BNN_INLINE void apply(float32x4_t v[], const struct bnn_neon_affine *of, const struct tile *at, size_t n)
{
    int16x8_t slopes[SOME_ROWS];
    BNN_UNROLL for (size_t i = 0; i < n; i++) slopes[i] = vmovl_s8(vld1_s8(at->g + i * at->g_stride));
    bnn_neon_apply(v, of, at->t, at->stride, slopes, n);
}

void BNN_NAME(norm_measure_i8)(const int32_t *t, size_t rows, size_t columns, size_t stride,
                               const float *a, const float *b, const float *c0,
                               const int8_t *g, size_t g_stride, float *largest)
{
    const size_t whole = columns - columns % WIDTH;
    float32x4_t most[PER_ROW] = {vdupq_n_f32(*largest), vdupq_n_f32(*largest)}, v[MOST];
    EACH_BLOCK(WIDTH) {
        const struct bnn_neon_affine of = bnn_neon_affine_of(a + c, b + c, c0 + c);
        /* g is only read. */
        struct tile at = {t + row0 * stride + c, (int8_t *)(uintptr_t)(g + row0 * g_stride + c), stride, g_stride};
        size_t row = row0;
        for (; row + SOME_ROWS <= end; row += SOME_ROWS, at.t += SOME_ROWS * stride, at.g += SOME_ROWS * g_stride) {
            apply(v, &of, &at, SOME_ROWS);
            bnn_neon_enlarge(most, v, SOME_ROWS);
        }
        for (; row < end; row++, at.t += stride, at.g += g_stride) {
            apply(v, &of, &at, 1);
            bnn_neon_enlarge(most, v, 1);
        }
    }
    *largest = bnn_neon_largest_of(most, *largest);
    if (whole < columns)
        bnn_norm_measure_i8_portable(t + whole, rows, columns - whole, stride, a + whole, b + whole, c0 + whole,
                                     g + whole, g_stride, largest);
}

/* n rows; key, scaled and place as in bnn_neon_store_rows. */
static BNN_INLINE void affine_rows(const struct tile *at, const struct bnn_neon_affine *of, size_t n, int limit, uint64_t key,
                                   int scaled, uint32x4_t place, float32x4_t most[PER_ROW])
{
    float32x4_t v[MOST];
    apply(v, of, at, n);
    bnn_neon_enlarge(most, v, n);
    bnn_neon_store_rows(at->g, at->g_stride, v, n, limit, key, scaled, place);
}

static BNN_INLINE void affine_block(struct tile at, size_t rows, const struct bnn_neon_affine *of, int limit, uint64_t key,
                                    int scaled, uint32_t index, float32x4_t most[PER_ROW])
{
    const uint32_t step = (uint32_t)at.g_stride;
    uint32x4_t place = bnn_neon_places_of_rows((uint32_t)key + index, step);
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
        struct bnn_neon_affine of = bnn_neon_affine_of(a + c, b + c, c0 + c);
        const struct tile at = {t + row0 * stride + c, g + row0 * g_stride + c, stride, g_stride};
        const uint32_t first = index + (uint32_t)(row0 * g_stride + c);
        if (!key) affine_block(at, end - row0, &of, limit, 0, 0, first, most);
        else if (bnn_neon_scale(&of, 256.0f)) affine_block(at, end - row0, &of, limit, key, 1, first, most256);
        else affine_block(at, end - row0, &of, limit, key, 0, first, most);
    }
    BNN_UNROLL for (size_t i = 0; i < PER_ROW; i++) most[i] = vmaxnmq_f32(most[i], vmulq_n_f32(most256[i], 0x1p-8f));
    *largest = bnn_neon_largest_of(most, *largest);
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
        bnn_neon_dither_groups(rounded, scaled, u, n, 127);
    } else {
        bnn_neon_round_groups(rounded, scaled, n, 127);
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
