/* cases_stream.c: the real stream of a residual network, forward and backward. */
#include <stdlib.h>

#include "cases.h"

enum { MOST = 60000, PIXELS = 1 << 23 };

/* The operands of one case: a tile y, int16 streams and gradients, factors of the columns, random bytes. */
struct operands {
    size_t rows, columns, stride, g_stride, q_stride, bits_stride, y_count, g_count, q_count, bits_count;
    int32_t *y;
    int16_t *g;
    int8_t *q;
    float *a, *b, *c0;
    uint64_t *bits, key;
    uint32_t index;
};

/* Factors of every third block of eight columns stay what they are, others become too small or too large for floats of usual
 * exponents. */
static void make_extreme(struct operands *o, size_t i)
{
    static const float sizes[] = {0x1p-75f, 0x1p-128f, 0x1p100f, 0x1p126f};
    for (size_t c = 0; c < o->columns; c++)
        if (c / 8 % 3 < 2) o->a[c] *= sizes[i % 4], o->b[c] *= sizes[i % 4], o->c0[c] *= sizes[i % 4];
}

static struct operands operands(size_t i)
{
    const struct shape s = check_plane(i, MOST);
    const enum fill fill = (enum fill)(i % FILL_count);
    struct operands o = {.rows = s.rows, .columns = s.columns, .key = i % 3 ? check_random() | 1 : 0};
    o.index = i % 5 ? (uint32_t)check_random() : UINT32_MAX - 3;
    o.stride = check_stride(o.columns), o.g_stride = check_stride(o.columns), o.q_stride = check_stride(o.columns);
    o.bits_stride = check_stride(bnn_words(o.columns));
    o.y_count = check_span(o.rows, o.columns, o.stride), o.g_count = check_span(o.rows, o.columns, o.g_stride);
    o.q_count = check_span(o.rows, o.columns, o.q_stride);
    o.bits_count = check_span(o.rows, bnn_words(o.columns), o.bits_stride);
    o.y = check_i32(o.y_count, fill, fill >= FILL_lowest || i % 2 ? PIXELS : 4000);
    o.g = check_i16(o.g_count, fill >= FILL_lowest ? FILL_lowest : (enum fill)(i / 2 % FILL_count));
    o.q = check_block(o.q_count, 1);
    o.a = check_f32(o.columns, 0.01), o.b = check_f32(o.columns, i % 2 ? 1e-5 : 0.02), o.c0 = check_f32(o.columns, 30.0);
    o.bits = check_bits(o.rows, o.columns, o.bits_stride, (enum fill)(i / 3 % 3));
    if (i % 4 == 0) /* halves */
        for (size_t c = 0; c < o.columns; c++) o.a[c] = 0.5f, o.b[c] = 0x1p-10f, o.c0[c] = 0.0f;
    if (i % 7 == 0) make_extreme(&o, i / 7);
    return o;
}

/* A case per shape: the body calls run and expected with operands o. */
#define TEST(OP, ...)                                                \
    void test_##OP(bnn_##OP##_fn *run, bnn_##OP##_fn *expected)      \
    {                                                                \
        for (size_t i = 0; i < check_shapes; i++, check_release()) { \
            struct operands o = operands(i);                         \
            __VA_ARGS__                                              \
        }                                                            \
    }

static double within(double value, double limit) { return fmax(fmin(value, limit), -limit); }

void naive_stream_add_i16(const int32_t *y, size_t rows, size_t columns, size_t stride, const float *scale,
                          const float *shift, int add, int16_t *stream, size_t r_stride)
{
    EACH {
        int16_t *at = &stream[r * r_stride + c];
        const float product = (float)y[r * stride + c] * scale[c], z = product + shift[c], units = z * BNN_STREAM_ONE;
        *at = (int16_t)within(rint(within(units, BNN_STREAM_LIMIT)) + (add ? *at : 0), INT16_MAX);
    }
}

TEST(stream_add_i16, {
    int16_t *want = COPY(o.g, o.g_count);
    const int add = check_random() % 2;
    run(o.y, o.rows, o.columns, o.stride, o.b, o.c0, add, o.g, o.g_stride);
    expected(o.y, o.rows, o.columns, o.stride, o.b, o.c0, add, want, o.g_stride);
    CHECK_SAME(o.g, want, o.g_count);
})

void naive_stream_within_i16_u1(const int16_t *stream, size_t rows, size_t columns, size_t stride, uint64_t *bits,
                                size_t stride_words)
{
    EACH naive_set(bits, stride_words, r, c, abs(stream[r * stride + c]) <= BNN_STREAM_ONE);
}

TEST(stream_within_i16_u1, {
    for (size_t k = 0; k < o.g_count; k++) /* most of them near the ends */
        if (check_random() % 4) o.g[k] = (int16_t)((check_random() % 2 ? 1 : -1) * check_between(510, 514));
    run(o.g, o.rows, o.columns, o.g_stride, o.bits, o.bits_stride);
    uint64_t *want = COPY(o.bits, o.bits_count);
    expected(o.g, o.rows, o.columns, o.g_stride, want, o.bits_stride);
    CHECK_SAME(o.bits, want, o.bits_count);
})

void naive_stream_sums_i16(const int32_t *y, size_t rows, size_t columns, size_t stride, const int16_t *g, size_t g_stride,
                           int64_t *sum_g, int64_t *sum_gy)
{
    EACH {
        const int64_t value = g[r * g_stride + c];
        sum_g[c] += value;
        sum_gy[c] += value * y[r * stride + c];
    }
}

TEST(stream_sums_i16, {
    int64_t *sum = check_sums(o.columns), *want = COPY(sum, o.columns);
    int64_t *products = check_sums(o.columns), *want_products = COPY(products, o.columns);
    run(o.y, o.rows, o.columns, o.stride, o.g, o.g_stride, sum, products);
    expected(o.y, o.rows, o.columns, o.stride, o.g, o.g_stride, want, want_products);
    CHECK_SAME(sum, want, o.columns);
    CHECK_SAME(products, want_products, o.columns);
})

void naive_stream_measure_i16(const int32_t *y, size_t rows, size_t columns, size_t stride, const float *a, const float *b,
                              const float *c0, const int16_t *g, size_t g_stride, float *largest)
{
    EACH {
        const float v = naive_affine(a[c], g[r * g_stride + c], b[c], (float)y[r * stride + c], c0[c]);
        *largest = fmaxf(*largest, fabsf(v));
    }
}

TEST(stream_measure_i16, {
    float largest = (float)check_uniform(0.0, 5.0), want = largest;
    run(o.y, o.rows, o.columns, o.stride, o.a, o.b, o.c0, o.g, o.g_stride, &largest);
    expected(o.y, o.rows, o.columns, o.stride, o.a, o.b, o.c0, o.g, o.g_stride, &want);
    CHECK_SAME(&largest, &want, 1);
})

void naive_stream_affine_i16(const int32_t *y, size_t rows, size_t columns, size_t stride, const float *a, const float *b,
                             const float *c0, const int16_t *g, size_t g_stride, int8_t *q, size_t q_stride, int limit,
                             uint64_t key, uint32_t index, float *largest)
{
    EACH {
        const float v = naive_affine(a[c], g[r * g_stride + c], b[c], (float)y[r * stride + c], c0[c]);
        *largest = fmaxf(*largest, fabsf(v));
        q[r * q_stride + c] = (int8_t)naive_round(within(v, limit), index + (uint32_t)(r * q_stride), c, key);
    }
}

TEST(stream_affine_i16, {
    static const int limits[] = {127, 31, 7};
    float largest = i % 7 ? (float)check_uniform(0.0, 5.0) : 0.0f, want_largest = largest;
    int8_t *want = COPY(o.q, o.q_count);
    run(o.y, o.rows, o.columns, o.stride, o.a, o.b, o.c0, o.g, o.g_stride, o.q, o.q_stride, limits[i % 3], o.key, o.index,
        &largest);
    expected(o.y, o.rows, o.columns, o.stride, o.a, o.b, o.c0, o.g, o.g_stride, want, o.q_stride, limits[i % 3], o.key,
             o.index, &want_largest);
    CHECK_SAME(o.q, want, o.q_count);
    CHECK_SAME(&largest, &want_largest, 1);
})

void naive_stream_gradient_i16(const int32_t *y, size_t rows, size_t columns, size_t stride, float multiplier,
                               const uint64_t *bits, size_t stride_words, int add, int16_t *g, size_t g_stride,
                               uint64_t key, uint32_t index, int32_t *largest)
{
    EACH {
        int16_t *at = &g[r * g_stride + c];
        const float v = (float)y[r * stride + c] * multiplier;
        const double whole = naive_round(within(v, BNN_STREAM_LIMIT), index + (uint32_t)(r * g_stride), c, key);
        const double passed = naive_bit(bits, stride_words, r, c) ? whole : 0.0;
        *at = (int16_t)within(passed + (add ? *at : 0), INT16_MAX);
        if (abs(*at) > *largest) *largest = abs(*at);
    }
}

/* Multipliers that make halves, leave the limit, and are no usual floats; 0x1p-12 keeps PIXELS inside. */
static const float multipliers[] = {0.5f, 0x1p-12f, 1e-4f, 3.0f, 0x1p-140f, 0x1p110f, -0x1p126f, 0.1f};

TEST(stream_gradient_i16, {
    const float multiplier = multipliers[i % 8];
    const int add = check_random() % 2;
    int32_t largest = (int32_t)check_between(0, i % 3 ? 10 : 40000), want_largest = largest;
    if (i % 11 == 0 && o.columns <= BNN_WORD_BITS) { /* one word for all rows: everything passes */
        o.bits = check_block(1, sizeof *o.bits);
        *o.bits = UINT64_MAX;
        o.bits_stride = 0;
    }
    int16_t *want = COPY(o.g, o.g_count);
    run(o.y, o.rows, o.columns, o.stride, multiplier, o.bits, o.bits_stride, add, o.g, o.g_stride, o.key, o.index, &largest);
    expected(o.y, o.rows, o.columns, o.stride, multiplier, o.bits, o.bits_stride, add, want, o.g_stride, o.key, o.index,
             &want_largest);
    CHECK_SAME(o.g, want, o.g_count);
    CHECK_SAME(&largest, &want_largest, 1);
})
