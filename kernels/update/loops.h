/* loops.h: the optimiser steps, compiled once per instruction set (BNN_NAME appends the set's name).
 * Where a set defines BNN_HAVE_<op>, it has its own version of that op. */
#include <math.h>

#include "../common/number.h"
#include "../common/rng.h"
#include "update.h"

static inline int32_t sign_of(int32_t x) { return (x > 0) - (x < 0); }

static inline int8_t step_latent(int8_t latent, int32_t push, uint32_t index, struct bnn_sign_step step)
{
    int32_t dither = (int32_t)(bnn_hash32(index, step.key) >> 8);
    int32_t moved = latent - ((push * step.rate + dither) >> 24);
    moved = moved < 127 ? moved : 127;
    return (int8_t)(moved > -127 ? moved : -127);
}

#ifndef BNN_HAVE_update_sign_momentum_i8
void BNN_NAME(update_sign_momentum_i8)(int8_t *latent, int8_t *momentum, size_t stride,
                                       const int32_t *gradient, size_t g_stride, size_t rows, size_t columns,
                                       uint32_t index, const struct bnn_sign_step *step)
{
    const struct bnn_sign_step s = *step; /* a copy, which the stores of bytes cannot change */
    const int32_t beta = s.beta, gain = (32768 - beta) * 127;
    for (size_t row = 0; row < rows; row++)
        for (size_t c = 0; c < columns; c++) {
            size_t at = row * stride + c;
            int32_t m = (beta * momentum[at] + gain * sign_of(gradient[row * g_stride + c]) + 16384) >> 15;
            momentum[at] = (int8_t)m;
            latent[at] = step_latent(latent[at], m, index + (uint32_t)at, s);
        }
}
#endif

#ifndef BNN_HAVE_update_channel_momentum_i8
/* One weight, by the push q and 16 random bits. */
static inline void step_channel(int8_t *latent, int8_t *momentum, int32_t q, int32_t u, struct bnn_channel_step s)
{
    const int32_t rest = (64 * s.minus_beta * (q - *momentum) + 16384) >> 15;
    const int32_t m = q + ((rest + (u & 63)) >> 6);
    int32_t moved = *latent - ((m * (1 << s.shift) * s.step + u) >> 16);
    moved = moved < 127 ? moved : 127;
    *momentum = (int8_t)m;
    *latent = (int8_t)(moved > -127 ? moved : -127);
}

void BNN_NAME(update_channel_momentum_i8)(int8_t *latent, int8_t *momentum, size_t stride,
                                          const int32_t *gradient, size_t g_stride, size_t rows, size_t columns,
                                          uint32_t index, const float *multiplier, int64_t *magnitude,
                                          const struct bnn_channel_step *step)
{
    const struct bnn_channel_step s = *step;
    for (size_t row = 0; row < rows; row++, latent += stride, momentum += stride, gradient += g_stride) {
        const float factor = multiplier[row];
        int64_t sum = 0;
        for (size_t c = 0; c < columns; c++) {
            const int32_t q = (int32_t)bnn_round(bnn_clip((float)gradient[c] * factor, 127.0f));
            const uint32_t hash = bnn_hash32(index + (uint32_t)(row * stride + (c & ~(size_t)1)), s.key);
            step_channel(latent + c, momentum + c, q, (int32_t)(c & 1 ? hash >> 16 : hash & 0xffff), s);
            sum += gradient[c] < 0 ? -gradient[c] : gradient[c];
        }
        magnitude[row] += sum;
    }
}
#endif

#ifndef BNN_HAVE_update_sign_i8
void BNN_NAME(update_sign_i8)(int8_t *latent, size_t stride, const int32_t *gradient, size_t g_stride,
                              size_t rows, size_t columns, uint32_t index, const struct bnn_sign_step *step)
{
    const struct bnn_sign_step s = *step;
    for (size_t row = 0; row < rows; row++)
        for (size_t c = 0; c < columns; c++) {
            size_t at = row * stride + c;
            int32_t push = 127 * sign_of(gradient[row * g_stride + c]);
            latent[at] = step_latent(latent[at], push, index + (uint32_t)at, s);
        }
}
#endif

/* The real path works on runs of CHUNK weights: load, step, store, each a simple loop over float32. */
enum { CHUNK = 128 };

static void load(float *out, const void *from, size_t at, size_t count, enum bnn_type type, float unit)
{
    switch (type) {
    case BNN_f32: memcpy(out, (const float *)from + at, count * sizeof *out); break;
    case BNN_f16:
        for (size_t i = 0; i < count; i++) out[i] = bnn_float_from_half(((const uint16_t *)from)[at + i]);
        break;
    case BNN_i16:
        for (size_t i = 0; i < count; i++) out[i] = (float)((const int16_t *)from)[at + i] * (unit / 32767.0f);
        break;
    default:
        for (size_t i = 0; i < count; i++) out[i] = (float)((const int8_t *)from)[at + i] * (unit / 127.0f);
    }
}

/* floor(x + u): stochastic rounding to a neighbour, up with the probability of the fraction. */
static inline float dithered(float x, uint32_t index, uint64_t key)
{
    return floorf(x + (float)(int32_t)(bnn_hash32(index, key) >> 8) * 0x1p-24f);
}

static void store_latent(const float *w, void *to, size_t at, size_t count, uint32_t index,
                         const struct bnn_real_step *step)
{
    /* Copies: a store of bytes could change what `step` points at, as far as the compiler knows. */
    const uint64_t key = step->key;
    const float range = step->range;
    switch (step->latent_type) {
    case BNN_f32: memcpy((float *)to + at, w, count * sizeof *w); break;
    case BNN_f16:
        for (size_t i = 0; i < count; i++) ((uint16_t *)to)[at + i] = bnn_half_from_float(w[i]);
        break;
    case BNN_i16:
        for (size_t i = 0; i < count; i++)
            ((int16_t *)to)[at + i] = (int16_t)bnn_clip(
                dithered(w[i] * (32767.0f / range), index + (uint32_t)i, key), 32767.0f);
        break;
    default:
        for (size_t i = 0; i < count; i++)
            ((int8_t *)to)[at + i] = (int8_t)bnn_clip(
                dithered(w[i] * (127.0f / range), index + (uint32_t)i, key), 127.0f);
    }
}

static void store_momentum(const float *m, void *to, size_t at, size_t count, enum bnn_type type)
{
    switch (type) {
    case BNN_f32: memcpy((float *)to + at, m, count * sizeof *m); break;
    case BNN_f16:
        for (size_t i = 0; i < count; i++) ((uint16_t *)to)[at + i] = bnn_half_from_float(m[i]);
        break;
    default:
        for (size_t i = 0; i < count; i++) ((int8_t *)to)[at + i] = (int8_t)bnn_round(bnn_clip(m[i] * 127.0f, 127.0f));
    }
}

static inline float sign_of_real(float x) { return (float)((x > 0.0f) - (x < 0.0f)); }

/* One step on float32 copies: w in place, m and v where the optimiser has them. */
static void step_chunk(float *w, float *m, float *v, const float *gradient, size_t count,
                       const struct bnn_real_step *s)
{
    const float decay = 1.0f - s->beta1, decay2 = 1.0f - s->beta2;
    switch (s->optimizer) {
    case BNN_adam:
        for (size_t i = 0; i < count; i++) {
            float g = gradient[i] * s->gradient_scale;
            m[i] = s->beta1 * m[i] + decay * g;
            v[i] = s->beta2 * v[i] + decay2 * (g * g);
            w[i] -= s->learning_rate * (m[i] * s->correction1) / (sqrtf(v[i] * s->correction2) + s->epsilon);
        }
        break;
    case BNN_sgd:
        for (size_t i = 0; i < count; i++) {
            m[i] = s->beta1 * m[i] + gradient[i] * s->gradient_scale;
            w[i] -= s->learning_rate * m[i];
        }
        break;
    case BNN_sign_momentum:
        for (size_t i = 0; i < count; i++) {
            m[i] = s->beta1 * m[i] + decay * sign_of_real(gradient[i]);
            w[i] -= s->learning_rate * (m[i] * s->correction1);
        }
        break;
    case BNN_sign:
        for (size_t i = 0; i < count; i++) w[i] -= s->learning_rate * sign_of_real(gradient[i]);
        break;
    case BNN_bop:
        /* Helwegen et al. 2019: flip where the averaged gradient is large and of the weight's own sign. */
        for (size_t i = 0; i < count; i++) {
            m[i] = s->beta1 * m[i] + decay * (gradient[i] * s->gradient_scale);
            float side = w[i] < 0.0f ? -1.0f : 1.0f;
            w[i] = s->range * (m[i] * side >= s->threshold ? -side : side);
        }
        break;
    }
    for (size_t i = 0; i < count; i++) w[i] = bnn_clip(w[i], s->range);
}

void BNN_NAME(update_real)(void *latent, void *momentum1, void *momentum2, size_t stride,
                           const float *gradient, size_t g_stride, size_t rows, size_t columns,
                           uint32_t index, const struct bnn_real_step *step)
{
    float w[CHUNK], m[CHUNK], v[CHUNK];
    for (size_t row = 0; row < rows; row++)
        for (size_t first = 0; first < columns; first += CHUNK) {
            size_t count = bnn_min(CHUNK, columns - first), at = row * stride + first;
            load(w, latent, at, count, step->latent_type, step->range);
            if (momentum1) load(m, momentum1, at, count, step->momentum_type, 1.0f);
            if (momentum2) load(v, momentum2, at, count, step->momentum_type, 1.0f);
            step_chunk(w, m, v, gradient + row * g_stride + first, count, step);
            store_latent(w, latent, at, count, index + (uint32_t)at, step);
            if (momentum1) store_momentum(m, momentum1, at, count, step->momentum_type);
            if (momentum2) store_momentum(v, momentum2, at, count, step->momentum_type);
        }
}
