#include "init.h"

#include "../common/number.h"
#include "../common/rng.h"

static float normal(uint32_t index, uint64_t key)
{
    int32_t sum = -6 * 65535;
    for (uint32_t i = 0; i < 6; i++) {
        uint32_t hash = bnn_hash32(6 * index + i, key);
        sum += (int32_t)(hash & 0xffff) + (int32_t)(hash >> 16);
    }
    return (float)sum * 0x1p-16f;
}

/* To nearest, but never to 0. */
static float whole(float x)
{
    const float rounded = bnn_round(x);
    return rounded != 0.0f ? rounded : x < 0.0f ? -1.0f : 1.0f;
}

void bnn_init_latent(void *latent, size_t count, enum bnn_type type, float range, float sigma, uint64_t key)
{
    for (size_t i = 0; i < count; i++) {
        const float w = bnn_clip(sigma * normal((uint32_t)i, key), range);
        switch (type) {
        case BNN_f32: ((float *)latent)[i] = w; break;
        case BNN_f16: ((uint16_t *)latent)[i] = bnn_half_from_float(w); break;
        case BNN_i16: ((int16_t *)latent)[i] = (int16_t)whole(w * (32767.0f / range)); break;
        default: ((int8_t *)latent)[i] = (int8_t)whole(w * (127.0f / range));
        }
    }
}
