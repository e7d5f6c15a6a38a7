#include "xnor.h"

/* Set bits of a word by adding neighbours in ever wider fields; compilers turn it into vector code, unlike a call. */
static inline uint64_t popcount64(uint64_t x)
{
    x -= (x >> 1) & UINT64_C(0x5555555555555555);
    x = (x & UINT64_C(0x3333333333333333)) + ((x >> 2) & UINT64_C(0x3333333333333333));
    x = (x + (x >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return (x * UINT64_C(0x0101010101010101)) >> 56;
}

void bnn_xnor_gemm_u1_i32_portable(const uint64_t *a, size_t rows, size_t a_stride_words,
                                   const uint64_t *b, size_t columns, size_t b_stride_words, size_t depth,
                                   int32_t *y, size_t y_stride, void *panel)
{
    (void)panel;
    const size_t words = bnn_words(depth);
    for (size_t row = 0; row < rows; row++)
        for (size_t column = 0; column < columns; column++) {
            uint64_t differing = 0;
            for (size_t word = 0; word < words; word++)
                differing += popcount64(a[row * a_stride_words + word] ^ b[column * b_stride_words + word]);
            y[row * y_stride + column] = (int32_t)depth - 2 * (int32_t)differing;
        }
}
