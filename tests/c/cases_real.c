/* cases_real.c: float32 and float16 work, and the optimisers. */
#include <math.h>

#include "cases.h"

double naive_from_half(uint16_t half)
{
    const int exponent = half >> 10 & 31, fraction = half & 1023;
    const double sign = half & 0x8000 ? -1.0 : 1.0;
    if (exponent == 31) return fraction ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24));
}

uint16_t naive_to_half(float x)
{
    const uint16_t sign = signbit(x) ? 0x8000 : 0;
    const double size = fabs((double)x);
    int exponent;
    if (isnan(x)) return sign | 0x7e00;
    if (size >= 65520.0) return sign | 0x7c00;
    frexp(size, &exponent); /* size = f * 2^exponent, f in [1/2, 1) */
    exponent = size == 0.0 || exponent - 1 < -14 ? -14 : exponent - 1;
    /* In units of the last place, half to even; 2048 units carry into the exponent by themselves. */
    const int units = (int)rint(ldexp(size, 10 - exponent));
    return (uint16_t)(sign | (units < 1024 ? units : ((exponent + 15) << 10) + units - 1024));
}

uint16_t *check_halves(size_t count, int special)
{
    static const uint16_t specials[] = {0, 0x8000, 0x7c00, 0xfc00, 0x7e00, 0xfe00, 0x7c01, 0xfc01, 1, 0x8001};
    uint16_t *block = check_block(count, 2);
    for (size_t i = 0; i < count; i++) {
        block[i] &= 0xbfff;
        if (special && check_random() % 4 == 0) block[i] = specials[check_random() % 10];
    }
    return block;
}

void naive_gemm_f32(const float *a, size_t rows, size_t a_row, size_t a_depth, const float *b, size_t b_stride,
                    size_t columns, size_t depth, float *c, size_t c_stride)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < columns; j++) {
            float sum = 0.0f;
            for (size_t k = 0; k < depth; k++) {
                const float product = a[r * a_row + k * a_depth] * b[k * b_stride + j];
                sum += product;
            }
            c[r * c_stride + j] = sum;
        }
}

void test_gemm_f32(bnn_gemm_f32_fn *run, bnn_gemm_f32_fn *expected)
{
    for (size_t i = 0; i < check_shapes; i++, check_release()) {
        const struct shape s = check_product(i, 300000);
        const int transposed = i % 2;
        const size_t a_stride = check_stride(transposed ? s.rows : s.depth), b_stride = check_stride(s.columns);
        const size_t c_stride = check_stride(s.columns), count = check_span(s.rows, s.columns, c_stride);
        const size_t a_row = transposed ? 1 : a_stride, a_depth = transposed ? a_stride : 1;
        const size_t a_count = transposed ? check_span(s.depth, s.rows, a_stride) : check_span(s.rows, s.depth, a_stride);
        const float *a = check_f32(a_count, 1.0);
        const float *b = check_f32(check_span(s.depth, s.columns, b_stride), 1.0);
        float *got = check_block(count, 4), *want = check_copy(got, count, 4);
        run(a, s.rows, a_row, a_depth, b, b_stride, s.columns, s.depth, got, c_stride);
        expected(a, s.rows, a_row, a_depth, b, b_stride, s.columns, s.depth, want, c_stride);
        CHECK_SAME(got, want, count);
    }
}

void naive_expand_u1_f32(const uint64_t *bits, size_t stride_words, size_t rows, size_t columns, float *out,
                         size_t out_stride)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++)
            out[r * out_stride + c] = naive_bit(bits, stride_words, r, c) ? -1.0f : 1.0f;
}

#define NAIVE_CONVERT(OP, FROM, TO, EXPRESSION)                                                             \
    void naive_##OP(const FROM *values, size_t stride, size_t rows, size_t columns, TO *out, size_t out_stride) \
    {                                                                                                       \
        for (size_t r = 0; r < rows; r++)                                                                   \
            for (size_t c = 0; c < columns; c++) {                                                          \
                const FROM value = values[r * stride + c];                                                  \
                out[r * out_stride + c] = (EXPRESSION);                                                     \
            }                                                                                               \
    }

#define TEST_CONVERT(OP, TO, BLOCK)                                                             \
    void test_##OP(bnn_##OP##_fn *run, bnn_##OP##_fn *expected)                                 \
    {                                                                                           \
        for (size_t i = 0; i < check_shapes; i++, check_release()) {                            \
            const struct shape s = check_plane(i, 60000);                                       \
            const size_t stride = check_stride(s.columns), out_stride = check_stride(s.columns); \
            const size_t count = check_span(s.rows, s.columns, stride);                         \
            const size_t out_count = check_span(s.rows, s.columns, out_stride);                 \
            const void *values = BLOCK;                                                         \
            TO *got = check_block(out_count, sizeof *got);                                      \
            TO *want = check_copy(got, out_count, sizeof *got);                                 \
            run(values, stride, s.rows, s.columns, got, out_stride);                            \
            expected(values, stride, s.rows, s.columns, want, out_stride);                      \
            CHECK_SAME(got, want, out_count);                                                   \
        }                                                                                       \
    }

/* A NaN keeps its bits on the way to float32. */
static float half_as_float(uint16_t half)
{
    const uint32_t bits = (uint32_t)(half & 0x8000) << 16 | 0x7f800000 | (uint32_t)(half & 0x3ff) << 13;
    float x = (float)naive_from_half(half);
    if ((half & 0x7c00) == 0x7c00) memcpy(&x, &bits, sizeof x);
    return x;
}

NAIVE_CONVERT(convert_i8_f32, int8_t, float, (float)value)
NAIVE_CONVERT(convert_f16_f32, uint16_t, float, half_as_float(value))
NAIVE_CONVERT(convert_f32_f16, float, uint16_t, naive_to_half(value))
TEST_CONVERT(convert_f16_f32, float, i % 2 ? check_block(count, 2) : check_halves(count, 1))
/* Random bits reach every exponent; in every third case values lie at and near ties between halves. */
static float *floats_for_half(size_t count, int ties)
{
    float *block = check_block(count, 4);
    for (size_t i = 0; ties && i < count; i++) {
        const float half = half_as_float((uint16_t)(check_random() & 0xfbff));
        uint32_t bits;
        memcpy(&bits, &half, 4);
        bits += (uint32_t)check_between(0x0fff, 0x1001);
        memcpy(block + i, &bits, 4);
    }
    return block;
}
TEST_CONVERT(convert_f32_f16, uint16_t, floats_for_half(count, i % 3 == 0))

void naive_quantise_f32_i8(const float *values, size_t count, float multiplier, int8_t *q)
{
    for (size_t i = 0; i < count; i++) {
        const float scaled = values[i] * multiplier;
        q[i] = (int8_t)rint(fmax(fmin(scaled, 127.0), -127.0));
    }
}

void test_quantise_f32_i8(bnn_quantise_f32_i8_fn *run, bnn_quantise_f32_i8_fn *expected)
{
    for (size_t i = 0; i < check_shapes; i++, check_release()) {
        const size_t count = check_plane(i, 60000).rows;
        const float *values = check_f32(count, i % 4 ? 1.0 : 1e30);
        int8_t *got = check_block(count, 1), *want = check_copy(got, count, 1);
        run(values, count, 127.0f, got);
        expected(values, count, 127.0f, want);
        CHECK_SAME(got, want, count);
    }
}

void naive_softmax_f32(const float *z, const uint16_t *labels, size_t rows, size_t classes, float smoothing,
                       float *gradient, double *loss, uint8_t *correct)
{
    for (size_t r = 0; r < rows; r++, z += classes) {
        double total = 0.0, most = -INFINITY;
        size_t best = 0;
        for (size_t i = classes; i-- > 0;) best = z[i] >= z[best] || i == classes - 1 ? i : best;
        most = z[best];
        for (size_t i = 0; i < classes; i++) total += exp(z[i] - most);
        loss[r] = 0.0;
        for (size_t i = 0; i < classes; i++) {
            const double target = (double)smoothing / (double)classes + (i == labels[r] ? 1.0 - (double)smoothing : 0.0);
            loss[r] -= target * (z[i] - most - log(total));
        }
        const float *from = z;
        for (size_t i = 0; gradient && i < classes; i++) {
            const double target = (double)smoothing / (double)classes + (i == labels[r] ? 1.0 - (double)smoothing : 0.0);
            *gradient++ = (float)(exp(from[i] - most) / total - target);
        }
        correct[r] = best == labels[r];
    }
}

void test_softmax_f32(bnn_softmax_f32_fn *run, bnn_softmax_f32_fn *expected)
{
    for (size_t i = 0; i < check_shapes; i++, check_release()) {
        const struct shape s = check_plane(i, 20000);
        const size_t classes = bnn_max(1, s.columns), count = s.rows * classes;
        float *z = check_f32(count, i % 5 ? 4.0 : 200.0), *want_z = check_copy(z, count, 4);
        /* The gradient in a block of its own, in place of z, or not at all. */
        float *got = i % 3 ? check_block(count, 4) : i % 2 ? z : NULL;
        float *want = i % 3 ? check_copy(got, count, 4) : i % 2 ? want_z : NULL;
        uint16_t *labels = check_block(s.rows, 2);
        uint8_t *correct = check_block(s.rows, 1), *want_correct = check_block(s.rows, 1);
        double *loss = check_block(s.rows, 8), *want_loss = check_block(s.rows, 8);
        for (size_t r = 0; r < s.rows; r++) labels[r] = (uint16_t)(labels[r] % classes);
        const float smoothing = i % 2 ? 0.1f : 0.0f;
        run(z, labels, s.rows, classes, smoothing, got, loss, correct);
        expected(want_z, labels, s.rows, classes, smoothing, want, want_loss, want_correct);
        CHECK_SAME(correct, want_correct, s.rows);
        if (check_exact) {
            CHECK_SAME(loss, want_loss, s.rows);
            if (got) CHECK_SAME(got, want, count);
            continue;
        }
        int good = 1;
        for (size_t r = 0; r < s.rows; r++) good &= fabs(loss[r] - want_loss[r]) <= 1e-5 * (1.0 + want_loss[r]);
        for (size_t k = 0; got && k < count; k++) good &= fabsf(got[k] - want[k]) <= 1e-6f;
        check_that(good);
    }
}

void naive_adam_f32(float *value, float *m, float *v, const float *gradient, size_t count, const struct bnn_adam_step *s)
{
    for (size_t i = 0; i < count; i++) {
        const float g = gradient[i] * s->gradient_scale, square = g * g;
        const float new_m = (1.0f - s->beta1) * g, new_v = (1.0f - s->beta2) * square;
        const float old_m = s->beta1 * m[i], old_v = s->beta2 * v[i];
        m[i] = old_m + new_m, v[i] = old_v + new_v;
        const float spread = sqrtf(v[i] * s->correction2) + s->epsilon;
        const float step = s->learning_rate * (m[i] * s->correction1);
        value[i] -= step / spread;
    }
}

void test_adam_f32(bnn_adam_f32_fn *run, bnn_adam_f32_fn *expected)
{
    const struct bnn_adam_step step = {1e-3f, 0.9f, 0.999f, 3.2f, 70.0f, 1e-7f, 0.3f};
    for (size_t i = 0; i < check_shapes; i++, check_release()) {
        const size_t count = check_plane(i, 60000).columns;
        const float *gradient = check_f32(count, 1.0);
        float *value = check_f32(count, 1.0), *m = check_f32(count, 1.0), *v = check_f32(count, 1.0);
        for (size_t k = 0; k < count; k++) v[k] = fabsf(v[k]);
        float *want = check_copy(value, count, 4), *want_m = check_copy(m, count, 4), *want_v = check_copy(v, count, 4);
        run(value, m, v, gradient, count, &step);
        expected(want, want_m, want_v, gradient, count, &step);
        CHECK_SAME(value, want, count);
        CHECK_SAME(m, want_m, count);
        CHECK_SAME(v, want_v, count);
    }
}
