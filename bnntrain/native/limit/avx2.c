#pragma GCC target("avx2,bmi,bmi2,popcnt")
#include <immintrin.h>

#include "chains.h"
#include "tables.h"

#define HIDE(value) __asm__ volatile("" : "+x"(value))

BNN_CHAIN(bytes, __m256i, _mm256_set1_epi8(1), {
    __m256i pairs = _mm256_maddubs_epi16(a, b);
    HIDE(pairs);
    sum = _mm256_add_epi16(sum, pairs);
})
BNN_CHAIN(words, __m256i, _mm256_set1_epi8(1), {
    __m256i pairs = _mm256_madd_epi16(a, b);
    HIDE(pairs);
    sum = _mm256_add_epi32(sum, pairs);
})
/* The words' two bytes are added up apart, here into one sum; wider sums do not count either. */
BNN_CHAIN(lookup, __m256i, _mm256_set1_epi8(1), {
    __m256i first = _mm256_shuffle_epi8(a, sum);
    __m256i second = _mm256_shuffle_epi8(b, sum);
    HIDE(first);
    HIDE(second);
    __m256i both = _mm256_add_epi8(first, second);
    HIDE(both);
    sum = _mm256_add_epi16(sum, both);
    HIDE(sum);
    sum = _mm256_add_epi16(sum, _mm256_srli_epi16(both, 8));
})
/* Three look-ups fit a byte with the counts of two rows, which are added up apart, here into one sum; wider sums come so
 * seldom that they do not count. */
BNN_CHAIN(xnor, __m256i, _mm256_set1_epi8(1), {
    __m256i three = _mm256_shuffle_epi8(a, sum);
    for (int i = 1; i < 3; i++) {
        HIDE(sum);
        three = _mm256_add_epi8(three, _mm256_shuffle_epi8(b, sum));
    }
    sum = _mm256_add_epi8(sum, three);
    HIDE(sum);
    sum = _mm256_add_epi8(sum, _mm256_and_si256(_mm256_srli_epi16(three, 4), b));
})
BNN_CHAIN(real, __m256, _mm256_set1_ps(1.0f), {
    __m256 product = _mm256_mul_ps(a, b);
    HIDE(product);
    sum = _mm256_add_ps(sum, product);
})

const struct bnn_limit_entry bnn_limits_avx2[] = {
    {"gemm_i8_u1_i32", 32.0 * CHAINS, bytes},
    {"gemm_i8_i8_i32", 16.0 * CHAINS, words},
    {"lookup_gemm_i32", 256.0 * CHAINS, lookup},
    {"xnor_gemm_u1_i32", 768.0 * CHAINS, xnor},
    {"gemm_f32", 8.0 * CHAINS, real},
    {0, 0.0, 0},
};
