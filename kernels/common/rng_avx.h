/* rng_avx.h: bnn_hash32 of a vector of indices.  To be included under the target pragma of the file that uses it. */
#ifndef BNN_RNG_AVX_H
#define BNN_RNG_AVX_H

#include <immintrin.h>
#include <stdint.h>

static inline __m256i bnn_hash32_avx2(__m256i index, uint64_t key)
{
    __m256i x = _mm256_add_epi32(index, _mm256_set1_epi32((int32_t)(uint32_t)key));
    x = _mm256_xor_si256(x, _mm256_srli_epi32(x, 16));
    x = _mm256_mullo_epi32(x, _mm256_set1_epi32(0x21f0aaad));
    x = _mm256_xor_si256(x, _mm256_srli_epi32(x, 15));
    x = _mm256_add_epi32(x, _mm256_set1_epi32((int32_t)(uint32_t)(key >> 32)));
    x = _mm256_mullo_epi32(x, _mm256_set1_epi32((int32_t)0xd35a2d97));
    return _mm256_xor_si256(x, _mm256_srli_epi32(x, 15));
}

#ifdef __AVX512F__
static inline __m512i bnn_hash32_avx512(__m512i index, uint64_t key)
{
    __m512i x = _mm512_add_epi32(index, _mm512_set1_epi32((int32_t)(uint32_t)key));
    x = _mm512_xor_si512(x, _mm512_srli_epi32(x, 16));
    x = _mm512_mullo_epi32(x, _mm512_set1_epi32(0x21f0aaad));
    x = _mm512_xor_si512(x, _mm512_srli_epi32(x, 15));
    x = _mm512_add_epi32(x, _mm512_set1_epi32((int32_t)(uint32_t)(key >> 32)));
    x = _mm512_mullo_epi32(x, _mm512_set1_epi32((int32_t)0xd35a2d97));
    return _mm512_xor_si512(x, _mm512_srli_epi32(x, 15));
}
#endif

#endif
