/* pi_room.h: memory of what pi_model.c runs; it is never given back. */
#ifndef PI_ROOM_H
#define PI_ROOM_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/base.h"

/* Random bytes; zeros; floats near 0.01.  All begin at a cache line. */
static inline void *make_block(size_t bytes)
{
    static uint32_t state = 1;
    const size_t rounded = bnn_round_up(bytes + 64, 64);
    unsigned char *at = aligned_alloc(64, rounded);
    if (!at) abort();
    for (size_t i = 0; i < rounded; i += 4) {
        state = state * 1664525u + 1013904223u;
        memcpy(at + i, &state, 4);
    }
    return at;
}

static inline void *zeros(size_t bytes)
{
    void *at = calloc(1, bnn_round_up(bytes + 64, 64) + 64);
    if (!at) abort();
    return (void *)(((uintptr_t)at + 63) / 64 * 64);
}

static inline float *floats(size_t count)
{
    float *at = make_block(count * sizeof *at);
    for (size_t i = 0; i < count; i++) at[i] = 0.01f + 0.001f * (float)(i % 7);
    return at;
}

#endif
