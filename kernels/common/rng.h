/* rng.h: counter-based random numbers, the same on every machine and for every order of evaluation.
 *
 * A number is a pure function of (seed, stream, step, index).  (seed, stream, step) are folded into a 64-bit key once
 * per call by SplitMix64 (Steele, Lea, Flood 2014); an index is then mixed with the key by a 32-bit multiply-xorshift
 * mixer whose constants are the low-bias ones that Chris Wellons found by search (hash prospector).
 *
 * Indices count modulo 2^32.  Two elements of one tensor that lie 2^32 apart round with the same number, which leaves each
 * of them unbiased, and all of them the same for every number of threads.
 */
#ifndef BNN_RNG_H
#define BNN_RNG_H

#include <stddef.h>
#include <stdint.h>

/* Streams keep the uses of one seed apart. */
enum bnn_stream {
    BNN_STREAM_SPLIT = 1,  /* which training samples are held out */
    BNN_STREAM_EPOCH = 2,  /* the order of samples in an epoch */
    BNN_STREAM_INIT = 3,   /* initial weights */
    BNN_STREAM_LATENT = 4, /* stochastic rounding of latent weights */
    BNN_STREAM_DY = 5,     /* stochastic rounding of output gradients */
    BNN_STREAM_DX = 7,     /* stochastic rounding of input gradients */
    BNN_STREAM_AUGMENT = 6 /* shifts and mirroring of training images */
};

static inline uint64_t bnn_splitmix64(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Key of one (seed, stream, layer, step). */
static inline uint64_t bnn_key(uint64_t seed, uint64_t stream, uint64_t layer, uint64_t step)
{
    uint64_t state = seed;
    state = bnn_splitmix64(&state) ^ (stream << 32 | layer);
    state = bnn_splitmix64(&state) ^ step;
    return bnn_splitmix64(&state);
}

/* 32 random bits for one index under a key. */
static inline uint32_t bnn_hash32(uint32_t index, uint64_t key)
{
    uint32_t x = index + (uint32_t)key;
    x ^= x >> 16;
    x *= UINT32_C(0x21f0aaad);
    x ^= x >> 15;
    x += (uint32_t)(key >> 32);
    x *= UINT32_C(0xd35a2d97);
    x ^= x >> 15;
    return x;
}

/* 8 random bits for each element of a row: four elements share a hash, that of the first of them.  `first` is the index of
 * the row's first element; `columns` is rounded up to whole hashes. */
static inline void bnn_hash_bytes(uint8_t *bytes, size_t columns, uint32_t first, uint64_t key)
{
    for (size_t c = 0; c < columns; c += 4) {
        const uint32_t hash = bnn_hash32(first + (uint32_t)c, key);
        for (size_t i = 0; i < 4; i++) bytes[c + i] = (uint8_t)(hash >> 8 * i);
    }
}

#endif
