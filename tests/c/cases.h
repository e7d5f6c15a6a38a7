/* cases.h: for each operation a naive implementation, written from its header's equation alone, and a test, which runs one
 * implementation beside the one whose results are expected.  One line per operation comes from its portable entry.
 * Both may be missing: without a test of its own an operation gets that of trials.c, without a naive implementation
 * the portable one is held by the tests in Python alone.
 */
#ifndef CASES_H
#define CASES_H

#include <math.h>

#include "../../kernels/dispatch/dispatch.h"
#include "check.h"

#define CASE_portable(op)                           \
    bnn_##op##_fn naive_##op __attribute__((weak)); \
    void test_##op(bnn_##op##_fn *run, bnn_##op##_fn *expected) __attribute__((weak));
#define CASE_avx2(op)
#define CASE_avx512(op)
#define CASE_neon(op)
#define CASE_neondot(op)
#define BNN_KERNEL(op, isa) CASE_##isa(op)
#include "../../kernels/kernels.inc"
#undef BNN_KERNEL

/* The elements of a tile. */
#define EACH                              \
    for (size_t r = 0; r < rows; r++)     \
        for (size_t c = 0; c < columns; c++)

/* The test of an operation by its name, of the one field that both tables have. */
void check_trial(const char *op, const struct bnn_kernels *run, const struct bnn_kernels *expected);

/* The random number of rng.h, written again from its description. */
static inline uint32_t naive_hash(uint32_t index, uint64_t key)
{
    uint32_t x = index + (uint32_t)(key & 0xffffffff);
    x = x ^ x >> 16;
    x = (uint32_t)((uint64_t)x * 0x21f0aaad);
    x = x ^ x >> 15;
    x = x + (uint32_t)(key >> 32);
    x = (uint32_t)((uint64_t)x * 0xd35a2d97);
    return x ^ x >> 15;
}

/* Column c of a row whose first element has the index `first`: half to even or, with a key, down after adding a random byte
 * that stands for u / 256. */
static inline double naive_round(double value, uint32_t first, size_t c, uint64_t key)
{
    if (!key) return rint(value);
    const uint32_t hash = naive_hash(first + (uint32_t)(c - c % 4), key);
    return floor((rint(256.0 * value) + (hash >> c % 4 * 8 & 255)) / 256.0);
}

/* a*g + (b*t + c0), in this order. */
static inline float naive_affine(float a, float g, float b, float t, float c0)
{
    float left = a * g, right = b * t;
    right = right + c0;
    return left + right;
}

static inline int naive_bit(const uint64_t *bits, size_t stride_words, size_t row, size_t column)
{
    return (int)(bits[row * stride_words + column / 64] >> column % 64 & 1);
}

/* Sets one bit and, at the first column of a word, clears the word before. */
static inline void naive_set(uint64_t *bits, size_t stride_words, size_t row, size_t column, int bit)
{
    uint64_t *word = &bits[row * stride_words + column / 64];
    if (column % 64 == 0) *word = 0;
    *word |= (uint64_t)bit << column % 64;
}

double naive_from_half(uint16_t half);
uint16_t naive_to_half(float x);
/* Halves: random finite ones with magnitudes up to 2, and some special ones where `special` is set. */
uint16_t *check_halves(size_t count, int special);

#endif
