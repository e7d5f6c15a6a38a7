/* cases_update.c: the optimiser steps. */
#include <math.h>
#include <stdlib.h>

#include "cases.h"

static int sign_of(int32_t x) { return x < 0 ? -1 : x > 0; }

static int64_t floor_shift(int64_t x, int bits)
{
    const int64_t unit = (int64_t)1 << bits;
    return x >= 0 ? x / unit : -((-x + unit - 1) / unit);
}

static int8_t naive_latent(int8_t latent, int push, uint32_t index, const struct bnn_sign_step *step)
{
    const int64_t product = (int64_t)push * step->rate + (naive_hash(index, step->key) >> 8);
    const int64_t moved = latent - floor_shift(product, 24);
    return (int8_t)(moved > 127 ? 127 : moved < -127 ? -127 : moved);
}

void naive_update_sign_momentum_i8(int8_t *latent, int8_t *momentum, size_t stride, const int32_t *gradient,
                                   size_t g_stride, size_t rows, size_t columns, uint32_t index,
                                   const struct bnn_sign_step *step)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) {
            const size_t at = r * stride + c;
            const int64_t pushed = (int64_t)(32768 - step->beta) * 127 * sign_of(gradient[r * g_stride + c]);
            const int m = (int)floor_shift((int64_t)step->beta * momentum[at] + pushed + 16384, 15);
            momentum[at] = (int8_t)m;
            latent[at] = naive_latent(latent[at], m, index + (uint32_t)at, step);
        }
}

void naive_update_sign_i8(int8_t *latent, size_t stride, const int32_t *gradient, size_t g_stride, size_t rows,
                          size_t columns, uint32_t index, const struct bnn_sign_step *step)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) {
            const size_t at = r * stride + c;
            latent[at] = naive_latent(latent[at], 127 * sign_of(gradient[r * g_stride + c]), index + (uint32_t)at, step);
        }
}

/* The operands of one integer case. */
struct operands {
    size_t rows, columns, stride, g_stride, count;
    int8_t *latent, *momentum;
    int32_t *gradient;
    uint32_t index;
    struct bnn_sign_step step;
};

static struct operands operands(size_t i)
{
    static const int32_t betas[] = {0, 1, 29491, 32767, 32768};
    /* |m * rate| < 2^31 - 2^24, for |m| <= 128. */
    static const int32_t rates[] = {0, 1, 300000, (1 << 24) - (1 << 17) - 1};
    const struct shape s = check_plane(i, 40000);
    struct operands o = {.rows = s.rows, .columns = s.columns, .index = (uint32_t)check_random()};
    o.stride = check_stride(s.columns), o.g_stride = check_stride(s.columns);
    o.count = check_span(s.rows, s.columns, o.stride);
    o.latent = check_i8(o.count, (enum fill)(i % FILL_count));
    o.momentum = check_i8(o.count, (enum fill)(i / 2 % FILL_count));
    o.gradient = check_i32(check_span(s.rows, s.columns, o.g_stride), FILL_random, i % 3 ? 2 : INT32_MAX);
    if (i % 4 == 0 && s.rows && s.columns) o.gradient[0] = INT32_MIN;
    o.step.beta = i % 2 ? betas[i / 2 % 5] : (int32_t)check_between(0, 32768);
    o.step.rate = i % 3 ? rates[i / 3 % 4] : (int32_t)check_between(0, rates[3]);
    o.step.key = check_random() << 20 ^ check_random();
    return o;
}

void test_update_sign_momentum_i8(bnn_update_sign_momentum_i8_fn *run, bnn_update_sign_momentum_i8_fn *expected)
{
    for (size_t i = 0; i < check_shapes; i++, check_release()) {
        struct operands o = operands(i);
        int8_t *latent = check_copy(o.latent, o.count, 1), *momentum = check_copy(o.momentum, o.count, 1);
        run(o.latent, o.momentum, o.stride, o.gradient, o.g_stride, o.rows, o.columns, o.index, &o.step);
        expected(latent, momentum, o.stride, o.gradient, o.g_stride, o.rows, o.columns, o.index, &o.step);
        CHECK_SAME(o.latent, latent, o.count);
        CHECK_SAME(o.momentum, momentum, o.count);
    }
}

void naive_update_channel_momentum_i8(int8_t *latent, int8_t *momentum, size_t stride, const int32_t *gradient,
                                      size_t g_stride, size_t rows, size_t columns, uint32_t index,
                                      const float *multiplier, int64_t *magnitude, const struct bnn_channel_step *step)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) {
            const size_t at = r * stride + c;
            const int32_t slope = gradient[r * g_stride + c];
            const float scaled = (float)slope * multiplier[r];
            const int64_t q = (int64_t)rint(fmax(fmin((double)scaled, 127.0), -127.0));
            const uint32_t hash = naive_hash(index + (uint32_t)(r * stride + c / 2 * 2), step->key);
            const int64_t u = c % 2 ? hash / 65536 : hash % 65536;
            const int64_t rest = floor_shift(-64 * (int64_t)step->minus_beta * (momentum[at] - q) + 16384, 15);
            const int64_t m = q + floor_shift(rest + u % 64, 6);
            const int64_t moved = latent[at] - floor_shift(m * ((int64_t)step->step << step->shift) + u, 16);
            momentum[at] = (int8_t)m;
            latent[at] = (int8_t)(moved > 127 ? 127 : moved < -127 ? -127 : moved);
            magnitude[r] += llabs((long long)slope);
        }
}

void test_update_channel_momentum_i8(bnn_update_channel_momentum_i8_fn *run, bnn_update_channel_momentum_i8_fn *expected)
{
    static const float multipliers[] = {0.0f, 0.5f, 17.0f, 1e-7f};
    for (size_t i = 0; i < check_shapes; i++, check_release()) {
        struct operands o = operands(i);
        const struct bnn_channel_step step = {.minus_beta = (int16_t)-o.step.beta, .key = o.step.key,
                                              .step = (int16_t)(i % 3 ? o.step.rate >> 9 : 32767),
                                              .shift = (int16_t)(i % 4 ? 0 : i % 8)};
        float *multiplier = check_f32(o.rows, 1.0);
        int64_t *magnitude = check_block(o.rows, sizeof *magnitude);
        for (size_t r = 0; r < o.rows; r++) {
            magnitude[r] = (int64_t)(check_random() >> 8);
            if (r % 3) multiplier[r] = multipliers[(r + i) % 4];
        }
        if (o.rows && o.columns && o.gradient[0] == INT32_MIN) o.gradient[0] = INT32_MAX;
        int8_t *latent = check_copy(o.latent, o.count, 1), *momentum = check_copy(o.momentum, o.count, 1);
        int64_t *sums = check_copy(magnitude, o.rows, sizeof *sums);
        run(o.latent, o.momentum, o.stride, o.gradient, o.g_stride, o.rows, o.columns, o.index, multiplier, magnitude,
            &step);
        expected(latent, momentum, o.stride, o.gradient, o.g_stride, o.rows, o.columns, o.index, multiplier, sums, &step);
        CHECK_SAME(o.latent, latent, o.count);
        CHECK_SAME(o.momentum, momentum, o.count);
        CHECK_SAME(magnitude, sums, o.rows);
    }
}

void test_update_sign_i8(bnn_update_sign_i8_fn *run, bnn_update_sign_i8_fn *expected)
{
    for (size_t i = 0; i < check_shapes; i++, check_release()) {
        struct operands o = operands(i);
        int8_t *latent = check_copy(o.latent, o.count, 1);
        run(o.latent, o.stride, o.gradient, o.g_stride, o.rows, o.columns, o.index, &o.step);
        expected(latent, o.stride, o.gradient, o.g_stride, o.rows, o.columns, o.index, &o.step);
        CHECK_SAME(o.latent, latent, o.count);
    }
}

static float load_one(const void *from, size_t at, enum bnn_type type, float unit)
{
    switch (type) {
    case BNN_f32: return ((const float *)from)[at];
    case BNN_f16: return (float)naive_from_half(((const uint16_t *)from)[at]);
    case BNN_i16: return ((const int16_t *)from)[at] * (unit / 32767.0f);
    default: return ((const int8_t *)from)[at] * (unit / 127.0f);
    }
}

static float limited(float x, float limit) { return x > limit ? limit : x < -limit ? -limit : x; }

static void store_latent(void *to, size_t at, float w, uint32_t index, const struct bnn_real_step *s)
{
    const float u = (float)(naive_hash(index, s->key) >> 8) / 16777216.0f;
    if (s->latent_type == BNN_f32) {
        ((float *)to)[at] = w;
    } else if (s->latent_type == BNN_f16) {
        ((uint16_t *)to)[at] = naive_to_half(w);
    } else {
        const float most = s->latent_type == BNN_i16 ? 32767.0f : 127.0f, scaled = w * (most / s->range);
        const int value = (int)limited(floorf(scaled + u), most);
        if (s->latent_type == BNN_i16) ((int16_t *)to)[at] = (int16_t)value;
        else ((int8_t *)to)[at] = (int8_t)value;
    }
}

static void store_momentum(void *to, size_t at, float m, enum bnn_type type)
{
    if (type == BNN_f32) ((float *)to)[at] = m;
    else if (type == BNN_f16) ((uint16_t *)to)[at] = naive_to_half(m);
    else ((int8_t *)to)[at] = (int8_t)rintf(limited(m * 127.0f, 127.0f));
}

void naive_update_real(void *latent, void *momentum1, void *momentum2, size_t stride, const float *gradient,
                       size_t g_stride, size_t rows, size_t columns, uint32_t index, const struct bnn_real_step *s)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) {
            const size_t at = r * stride + c;
            const float g = gradient[r * g_stride + c] * s->gradient_scale, raw = gradient[r * g_stride + c];
            const float sign = raw > 0.0f ? 1.0f : raw < 0.0f ? -1.0f : 0.0f;
            const float input = s->optimizer == BNN_sign_momentum ? sign : g, square = g * g;
            float w = load_one(latent, at, s->latent_type, s->range);
            float m = momentum1 ? load_one(momentum1, at, s->momentum_type, 1.0f) : 0.0f;
            float v = momentum2 ? load_one(momentum2, at, s->momentum_type, 1.0f) : 0.0f;
            m = s->beta1 * m + (s->optimizer == BNN_sgd ? g : (1.0f - s->beta1) * input);
            v = s->beta2 * v + (1.0f - s->beta2) * square;
            switch (s->optimizer) {
            case BNN_adam: w -= s->learning_rate * (m * s->correction1) / (sqrtf(v * s->correction2) + s->epsilon); break;
            case BNN_sgd: w -= s->learning_rate * m; break;
            case BNN_sign_momentum: w -= s->learning_rate * (m * s->correction1); break;
            case BNN_sign: w -= s->learning_rate * sign; break;
            case BNN_bop: {
                const int flips = w < 0.0f ? -m >= s->threshold : m >= s->threshold;
                w = s->range * ((w < 0.0f) != flips ? -1.0f : 1.0f);
            }
            }
            store_latent(latent, at, limited(w, s->range), index + (uint32_t)at, s);
            if (momentum1) store_momentum(momentum1, at, m, s->momentum_type);
            if (momentum2) store_momentum(momentum2, at, v, s->momentum_type);
        }
}

static size_t bytes_of(enum bnn_type type) { return type == BNN_f32 ? 4 : type == BNN_i8 ? 1 : 2; }

/* Latents within the range, or moments within 1, never negative where `squares`. */
static void *values_of(size_t count, enum bnn_type type, double limit, int squares)
{
    if (type == BNN_i16 || type == BNN_i8) {
        int8_t *block = check_block(count, bytes_of(type));
        return block;
    }
    float *reals = check_f32(count, limit);
    uint16_t *halves = type == BNN_f16 ? check_block(count, 2) : NULL;
    for (size_t i = 0; i < count; i++) {
        if (squares) reals[i] = fabsf(reals[i]);
        if (halves) halves[i] = naive_to_half(reals[i]);
    }
    return halves ? (void *)halves : reals;
}

void test_update_real(bnn_update_real_fn *run, bnn_update_real_fn *expected)
{
    static const enum bnn_type latents[] = {BNN_f32, BNN_f16, BNN_i16, BNN_i8}, moments[] = {BNN_f32, BNN_f16, BNN_i8};
    for (size_t i = 0; i < 4 * check_shapes; i++, check_release()) {
        const struct shape shape = check_plane(i % check_shapes, 3000);
        struct bnn_real_step s = {.optimizer = (enum bnn_optimizer)(i % 5), .latent_type = latents[i / 5 % 4],
                                  .range = i % 2 ? 1.0f : 0.05f, .learning_rate = 0.01f, .beta1 = 0.9f, .beta2 = 0.999f,
                                  .correction1 = 1.7f, .correction2 = 12.5f, .epsilon = 1e-7f, .gradient_scale = 0.25f,
                                  .threshold = 0.02f, .key = check_random()};
        s.momentum_type = moments[check_random() % (s.optimizer == BNN_sign_momentum ? 3 : 2)];
        const size_t stride = check_stride(shape.columns), g_stride = check_stride(shape.columns);
        const size_t count = check_span(shape.rows, shape.columns, stride), size = bytes_of(s.latent_type);
        const size_t m_size = bytes_of(s.momentum_type);
        const uint32_t index = (uint32_t)check_random();
        const float *gradient = check_f32(check_span(shape.rows, shape.columns, g_stride), 1.0);
        void *w = values_of(count, s.latent_type, (double)s.range, 0), *want = check_copy(w, count, size);
        void *m = s.optimizer == BNN_sign ? NULL : values_of(count, s.momentum_type, 0.1, 0);
        void *v = s.optimizer == BNN_adam ? values_of(count, s.momentum_type, 0.1, 1) : NULL;
        void *want_m = m ? check_copy(m, count, m_size) : NULL, *want_v = v ? check_copy(v, count, m_size) : NULL;
        run(w, m, v, stride, gradient, g_stride, shape.rows, shape.columns, index, &s);
        expected(want, want_m, want_v, stride, gradient, g_stride, shape.rows, shape.columns, index, &s);
        check_same(w, want, count * size);
        if (m) check_same(m, want_m, count * m_size);
        if (v) check_same(v, want_v, count * m_size);
    }
}
