#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi,avx512vpopcntdq,avx2,bmi,bmi2,popcnt")
#include <immintrin.h>

#include "chains.h"
#include "tables.h"

BNN_CHAIN(dot, __m512i, _mm512_set1_epi8(1), sum = _mm512_dpbusd_epi32(sum, a, b))
/* The look-up waits for no sum, as in the kernel: written out, it is not taken out of the loop. */
BNN_CHAIN(lookup, __m512i, _mm512_set1_epi8(1), {
    __m512i looked;
    __asm__ volatile("vpermb %2, %1, %0" : "=x"(looked) : "x"(a), "x"(b));
    sum = _mm512_dpbusd_epi32(sum, b, looked);
})
BNN_CHAIN(xnor, __m512i, _mm512_set1_epi8(1), {
    __m512i differing = _mm512_xor_si512(sum, a);
    __asm__ volatile("" : "+x"(differing));
    sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(differing));
})
BNN_CHAIN(real, __m512, _mm512_set1_ps(1.0f), {
    __m512 product = _mm512_mul_ps(a, b);
    __asm__ volatile("" : "+x"(product));
    sum = _mm512_add_ps(sum, product);
})

const struct bnn_limit_entry bnn_limits_avx512[] = {
    {"gemm_i8_u1_i32", 64.0 * CHAINS, dot},
    {"gemm_i8_i8_i32", 64.0 * CHAINS, dot},
    {"lookup_gemm_i32", 256.0 * CHAINS, lookup},
    {"xnor_gemm_u1_i32", 512.0 * CHAINS, xnor},
    {"gemm_f32", 16.0 * CHAINS, real},
    {0, 0.0, 0},
};
