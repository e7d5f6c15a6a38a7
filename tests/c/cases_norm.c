/* cases_norm.c: batch normalisation, forward and backward. */
#include <math.h>
#include <stdlib.h>

#include "cases.h"

enum { MOST = 60000, Y_LIMIT = (1 << 17) - 1 };

/* The operands of one case: a tile y, int8 and float gradients, and what belongs to a column. */
struct operands {
    size_t rows, columns, stride, g_stride, bits_stride, bits_count, g_count, y_count;
    int32_t *y, *low, *high;
    uint8_t *flip;
    int8_t *g;
    float *g_f32, *a, *b, *c0;
    uint64_t *mask;
    enum fill fill;
};

static struct operands operands(size_t i)
{
    const struct shape s = check_plane(i, MOST);
    struct operands o = {.rows = s.rows, .columns = s.columns, .fill = (enum fill)(i % FILL_count)};
    o.stride = check_stride(o.columns), o.g_stride = check_stride(o.columns);
    o.bits_stride = check_stride(bnn_words(o.columns));
    o.y_count = check_span(o.rows, o.columns, o.stride), o.g_count = check_span(o.rows, o.columns, o.g_stride);
    o.bits_count = check_span(o.rows, bnn_words(o.columns), o.bits_stride);
    o.y = check_i32(o.y_count, o.fill, i % 2 || o.fill >= FILL_lowest ? Y_LIMIT : 300);
    o.low = check_i32(o.columns, FILL_random, i % 2 ? Y_LIMIT : 300);
    o.high = check_i32(o.columns, FILL_random, i % 2 ? Y_LIMIT : 300);
    o.flip = check_block(o.columns, 1);
    for (size_t c = 0; c < o.columns; c++) {
        o.flip[c] &= 1;
        /* The extremes pass in most columns, so that the sums go as far as they can. */
        const int wide = o.fill >= FILL_lowest && check_random() % 4;
        if (wide || check_random() % 8 == 0) o.low[c] = INT32_MIN;
        if (wide || check_random() % 8 == 0) o.high[c] = INT32_MAX;
        if (o.y_count && !wide && check_random() % 4 == 0) o.low[c] = o.high[c] = o.y[c];
    }
    o.g = check_i8(o.g_count, o.fill >= FILL_lowest ? FILL_lowest : (enum fill)(i / 2 % FILL_count));
    o.g_f32 = check_f32(o.g_count, 1.0);
    o.a = check_f32(o.columns, 2.0), o.b = check_f32(o.columns, 0.5), o.c0 = check_f32(o.columns, 30.0);
    o.mask = check_bits(o.rows, o.columns, o.bits_stride, (enum fill)(i / 3 % 3));
    return o;
}

static double *doubles_of(size_t columns)
{
    double *sums = check_block(columns, 8);
    for (size_t c = 0; c < columns; c++) sums[c] = check_uniform(-1.0, 1.0);
    return sums;
}

/* A case per shape: BODY calls run and expected with operands o. */
#define TEST(OP, ...)                                                  \
    void test_##OP(bnn_##OP##_fn *run, bnn_##OP##_fn *expected)        \
    {                                                                  \
        for (size_t i = 0; i < check_shapes; i++, check_release()) {   \
            struct operands o = operands(i);                           \
            __VA_ARGS__                                                 \
        }                                                              \
    }

void naive_norm_sums_i32(const int32_t *y, size_t rows, size_t columns, size_t stride, int64_t *sum, int64_t *sum_squares)
{
    EACH sum[c] += y[r * stride + c], sum_squares[c] += (int64_t)y[r * stride + c] * (int64_t)y[r * stride + c];
}

TEST(norm_sums_i32, {
    int64_t *sum = check_sums(o.columns), *want = COPY(sum, o.columns);
    int64_t *squares = check_sums(o.columns), *want_squares = COPY(squares, o.columns);
    run(o.y, o.rows, o.columns, o.stride, sum, squares);
    expected(o.y, o.rows, o.columns, o.stride, want, want_squares);
    CHECK_SAME(sum, want, o.columns);
    CHECK_SAME(squares, want_squares, o.columns);
})

void naive_norm_deviation_i32(const int32_t *y, size_t rows, size_t columns, size_t stride, int64_t n, const int64_t *sum,
                              int64_t *deviation)
{
    EACH deviation[c] += llabs(n * y[r * stride + c] - sum[c]);
}

TEST(norm_deviation_i32, {
    int64_t *sum = check_sums(o.columns), *deviation = check_sums(o.columns), *want = COPY(deviation, o.columns);
    run(o.y, o.rows, o.columns, o.stride, (int64_t)o.rows, sum, deviation);
    expected(o.y, o.rows, o.columns, o.stride, (int64_t)o.rows, sum, want);
    CHECK_SAME(deviation, want, o.columns);
})

void naive_norm_magnitude_i32(const int32_t *y, size_t rows, size_t columns, size_t stride, const float *scale,
                              const float *shift, double *magnitude)
{
    EACH magnitude[c] += (double)fabsf((float)y[r * stride + c] * scale[c] + shift[c]);
}

TEST(norm_magnitude_i32, {
    double *magnitude = doubles_of(o.columns), *want = COPY(magnitude, o.columns);
    run(o.y, o.rows, o.columns, o.stride, o.a, o.c0, magnitude);
    expected(o.y, o.rows, o.columns, o.stride, o.a, o.c0, want);
    CHECK_SAME(magnitude, want, o.columns);
})

void naive_binarise_i32_u1(const int32_t *y, size_t rows, size_t columns, size_t stride, const int32_t *threshold,
                           const uint8_t *flip, uint64_t *bits, size_t stride_words)
{
    EACH naive_set(bits, stride_words, r, c, (y[r * stride + c] < threshold[c]) != (flip[c] != 0));
}

TEST(binarise_i32_u1, {
    uint64_t *bits = check_block(o.bits_count, 8), *want = COPY(bits, o.bits_count);
    run(o.y, o.rows, o.columns, o.stride, o.low, o.flip, bits, o.bits_stride);
    expected(o.y, o.rows, o.columns, o.stride, o.low, o.flip, want, o.bits_stride);
    CHECK_SAME(bits, want, o.bits_count);
})

void naive_within_i32_u1(const int32_t *y, size_t rows, size_t columns, size_t stride, const int32_t *low,
                         const int32_t *high, uint64_t *bits, size_t stride_words)
{
    EACH naive_set(bits, stride_words, r, c, low[c] <= y[r * stride + c] && y[r * stride + c] <= high[c]);
}

TEST(within_i32_u1, {
    uint64_t *bits = check_block(o.bits_count, 8), *want = COPY(bits, o.bits_count);
    run(o.y, o.rows, o.columns, o.stride, o.low, o.high, bits, o.bits_stride);
    expected(o.y, o.rows, o.columns, o.stride, o.low, o.high, want, o.bits_stride);
    CHECK_SAME(bits, want, o.bits_count);
})

void naive_normalise_i32_f32(const int32_t *y, size_t rows, size_t columns, size_t stride, const float *scale,
                             const float *shift, float *z, size_t z_stride)
{
    EACH {
        float product = (float)y[r * stride + c] * scale[c];
        z[r * z_stride + c] = product + shift[c];
    }
}

TEST(normalise_i32_f32, {
    float *z = check_block(o.g_count, 4), *want = COPY(z, o.g_count);
    run(o.y, o.rows, o.columns, o.stride, o.a, o.c0, z, o.g_stride);
    expected(o.y, o.rows, o.columns, o.stride, o.a, o.c0, want, o.g_stride);
    CHECK_SAME(z, want, o.g_count);
})

void naive_norm_cancel_i8(const int32_t *y, size_t rows, size_t columns, size_t stride, const int32_t *low,
                          const int32_t *high, int8_t *g, size_t g_stride, int64_t *sum_g, int64_t *sum_gy)
{
    EACH {
        int8_t *at = &g[r * g_stride + c];
        if (y[r * stride + c] < low[c] || y[r * stride + c] > high[c]) *at = 0;
        sum_g[c] += *at;
        sum_gy[c] += (int64_t)*at * y[r * stride + c];
    }
}

TEST(norm_cancel_i8, {
    for (size_t k = 0; i % 2 && k < o.y_count; k++) o.y[k] *= 64; /* to 2^23: g*y of many rows leaves int32 */
    int64_t *sum = check_sums(o.columns), *want_sum = COPY(sum, o.columns);
    int64_t *sum_y = check_sums(o.columns), *want_sum_y = COPY(sum_y, o.columns);
    int8_t *want = COPY(o.g, o.g_count);
    run(o.y, o.rows, o.columns, o.stride, o.low, o.high, o.g, o.g_stride, sum, sum_y);
    expected(o.y, o.rows, o.columns, o.stride, o.low, o.high, want, o.g_stride, want_sum, want_sum_y);
    CHECK_SAME(o.g, want, o.g_count);
    CHECK_SAME(sum, want_sum, o.columns);
    CHECK_SAME(sum_y, want_sum_y, o.columns);
})

void naive_sign_tile_i32(int32_t *y, size_t rows, size_t columns, size_t stride, const int32_t *threshold,
                         const uint8_t *flip)
{
    EACH y[r * stride + c] = (y[r * stride + c] < threshold[c]) != (flip[c] != 0) ? -1 : 1;
}

TEST(sign_tile_i32, {
    int32_t *want = COPY(o.y, o.y_count);
    run(o.y, o.rows, o.columns, o.stride, o.low, o.flip);
    expected(want, o.rows, o.columns, o.stride, o.low, o.flip);
    CHECK_SAME(o.y, want, o.y_count);
})

void naive_norm_measure_i8(const int32_t *t, size_t rows, size_t columns, size_t stride, const float *a, const float *b,
                           const float *c0, const int8_t *g, size_t g_stride, float *largest)
{
    EACH *largest = fmaxf(*largest, fabsf(naive_affine(a[c], g[r * g_stride + c], b[c], (float)t[r * stride + c], c0[c])));
}

TEST(norm_measure_i8, {
    float largest = (float)check_uniform(0.0, 5.0), want = largest;
    run(o.y, o.rows, o.columns, o.stride, o.a, o.b, o.c0, o.g, o.g_stride, &largest);
    expected(o.y, o.rows, o.columns, o.stride, o.a, o.b, o.c0, o.g, o.g_stride, &want);
    CHECK_SAME(&largest, &want, 1);
})

void naive_norm_affine_i8(const int32_t *t, size_t rows, size_t columns, size_t stride, const float *a, const float *b,
                          const float *c0, int8_t *g, size_t g_stride, int limit, uint64_t key, uint32_t index,
                          float *largest)
{
    EACH {
        int8_t *at = &g[r * g_stride + c];
        const float v = naive_affine(a[c], *at, b[c], (float)t[r * stride + c], c0[c]);
        *largest = fmaxf(*largest, fabsf(v));
        const double limited = fmax(fmin(v, limit), -limit);
        *at = (int8_t)naive_round(limited, index + (uint32_t)(r * g_stride), c, key);
    }
}

TEST(norm_affine_i8, {
    static const int limits[] = {127, 31, 7};
    const uint64_t key = i % 3 ? check_random() | 1 : 0;
    const uint32_t index = (uint32_t)check_random();
    float largest = (float)check_uniform(0.0, 5.0), want_largest = largest;
    if (i % 2 == 0) for (size_t c = 0; c < o.columns; c++) o.a[c] = 0.5f, o.b[c] = 1.0f, o.c0[c] = 0.0f; /* halves */
    if (i % 5 == 0) { /* values that are too small or large for floats of usual exponents */
        static const float sizes[] = {0x1p-75f, 0x1p-128f, 0x1p112f, 0x1p126f};
        const float size = sizes[i / 5 % 4];
        largest = want_largest = 0.0f;
        for (size_t c = 0; c < o.columns; c++)
            if (c / 8 % 3 < 2) o.a[c] *= size, o.b[c] *= size, o.c0[c] *= size;
    }
    int8_t *want = COPY(o.g, o.g_count);
    run(o.y, o.rows, o.columns, o.stride, o.a, o.b, o.c0, o.g, o.g_stride, limits[i % 3], key, index, &largest);
    expected(o.y, o.rows, o.columns, o.stride, o.a, o.b, o.c0, want, o.g_stride, limits[i % 3], key, index,
             &want_largest);
    CHECK_SAME(o.g, want, o.g_count);
    CHECK_SAME(&largest, &want_largest, 1);
})

void naive_requantise_i32_i8(const int32_t *v, size_t rows, size_t columns, size_t stride, float multiplier, int8_t *q,
                             size_t q_stride, uint64_t key, uint32_t index)
{
    EACH {
        const float scaled = (float)v[r * stride + c] * multiplier;
        const double limited = fmax(fmin(scaled, 127.0), -127.0);
        q[r * q_stride + c] = (int8_t)naive_round(limited, index + (uint32_t)(r * q_stride), c, key);
    }
}

TEST(requantise_i32_i8, {
    const float multiplier = i % 3 ? (float)check_uniform(0.0, 0.5) : 0.5f;
    int8_t *want = COPY(o.g, o.g_count);
    const uint64_t key = i % 2 ? UINT64_C(0x123456789abcdef) * (uint64_t)(i + 1) : 0;
    const uint32_t index = i % 5 ? 1000 : UINT32_MAX - 3;
    run(o.y, o.rows, o.columns, o.stride, multiplier, o.g, o.g_stride, key, index);
    expected(o.y, o.rows, o.columns, o.stride, multiplier, want, o.g_stride, key, index);
    CHECK_SAME(o.g, want, o.g_count);
})

void naive_largest_i32(const int32_t *v, size_t rows, size_t columns, size_t stride, int32_t *largest)
{
    EACH if (llabs(v[r * stride + c]) > *largest) *largest = (int32_t)llabs(v[r * stride + c]);
}

TEST(largest_i32, {
    int32_t *wide = check_i32(o.y_count, o.fill, INT32_MAX);
    int32_t largest = (int32_t)check_between(0, 200), want = largest;
    run(i % 2 ? wide : o.y, o.rows, o.columns, o.stride, &largest);
    expected(i % 2 ? wide : o.y, o.rows, o.columns, o.stride, &want);
    CHECK_SAME(&largest, &want, 1);
})

void naive_mask_i8(const uint64_t *bits, size_t stride_words, size_t rows, size_t columns, int8_t *g, size_t g_stride)
{
    EACH if (!naive_bit(bits, stride_words, r, c)) g[r * g_stride + c] = 0;
}

TEST(mask_i8, {
    int8_t *want = COPY(o.g, o.g_count);
    run(o.mask, o.bits_stride, o.rows, o.columns, o.g, o.g_stride);
    expected(o.mask, o.bits_stride, o.rows, o.columns, want, o.g_stride);
    CHECK_SAME(o.g, want, o.g_count);
})

void naive_norm_cancel_f32(const int32_t *y, size_t rows, size_t columns, size_t stride, const int32_t *low,
                           const int32_t *high, float *g, size_t g_stride)
{
    EACH if (y[r * stride + c] < low[c] || y[r * stride + c] > high[c]) g[r * g_stride + c] = 0.0f;
}

TEST(norm_cancel_f32, {
    float *want = COPY(o.g_f32, o.g_count);
    run(o.y, o.rows, o.columns, o.stride, o.low, o.high, o.g_f32, o.g_stride);
    expected(o.y, o.rows, o.columns, o.stride, o.low, o.high, want, o.g_stride);
    CHECK_SAME(o.g_f32, want, o.g_count);
})

void naive_mask_f32(const uint64_t *bits, size_t stride_words, size_t rows, size_t columns, float *g, size_t g_stride)
{
    EACH if (!naive_bit(bits, stride_words, r, c)) g[r * g_stride + c] = 0.0f;
}

TEST(mask_f32, {
    float *want = COPY(o.g_f32, o.g_count);
    run(o.mask, o.bits_stride, o.rows, o.columns, o.g_f32, o.g_stride);
    expected(o.mask, o.bits_stride, o.rows, o.columns, want, o.g_stride);
    CHECK_SAME(o.g_f32, want, o.g_count);
})

void naive_norm_sums_f32(const int32_t *t, size_t rows, size_t columns, size_t stride, const float *g, size_t g_stride,
                         double *sum_g, double *sum_gt)
{
    EACH {
        const double value = g[r * g_stride + c], product = value * t[r * stride + c];
        sum_g[c] += value;
        sum_gt[c] += product;
    }
}

TEST(norm_sums_f32, {
    double *sum = doubles_of(o.columns), *want = COPY(sum, o.columns);
    double *sum_t = doubles_of(o.columns), *want_t = COPY(sum_t, o.columns);
    run(o.y, o.rows, o.columns, o.stride, o.g_f32, o.g_stride, sum, sum_t);
    expected(o.y, o.rows, o.columns, o.stride, o.g_f32, o.g_stride, want, want_t);
    CHECK_SAME(sum, want, o.columns);
    CHECK_SAME(sum_t, want_t, o.columns);
})

void naive_norm_affine_f32(const int32_t *t, size_t rows, size_t columns, size_t stride, const float *a, const float *b,
                           const float *c0, float *g, size_t g_stride)
{
    EACH {
        float *at = &g[r * g_stride + c];
        *at = naive_affine(a[c], *at, b[c], (float)t[r * stride + c], c0[c]);
    }
}

TEST(norm_affine_f32, {
    float *want = COPY(o.g_f32, o.g_count);
    run(o.y, o.rows, o.columns, o.stride, o.a, o.b, o.c0, o.g_f32, o.g_stride);
    expected(o.y, o.rows, o.columns, o.stride, o.a, o.b, o.c0, want, o.g_stride);
    CHECK_SAME(o.g_f32, want, o.g_count);
})
