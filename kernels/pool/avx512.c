/* avx512.c: pooling by masks: a comparison of 16 columns is 16 bits of the argmax.
 *
 *   per window and 16 columns   4 vpxord with a load, 3 vpcmpgtd, 3 vpmaxsd, 8 mask operations
 *   per row and 64 columns      pool_spread_i8: vmovdqu8 with a zeroing mask, and a store
 *   per row and 16 columns      pool_spread_f32: vmovups with a zeroing mask, and a store
 */
#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vpopcntdq,avx2,bmi,bmi2,popcnt")
#include <immintrin.h>

#define BNN_NAME(op) bnn_##op##_avx512
#define BNN_HAVE_pool_max_i32
#define BNN_HAVE_pool_spread_i8
#define BNN_HAVE_pool_spread_f32
#include "loops.h"

enum { LANES = 16 };

void BNN_NAME(pool_max_i32)(const int32_t *y, size_t rows, size_t columns, size_t stride, const uint8_t *flip,
                            int32_t *out, size_t out_stride, uint64_t *argmax, size_t argmax_stride)
{
    const uint64_t all = bnn_low_bits(columns);
    const __m512i flip_u8x64 = _mm512_maskz_loadu_epi8(all, flip);
    const uint64_t turned = _mm512_test_epi8_mask(flip_u8x64, flip_u8x64);
    for (size_t row = 0; row < rows; row++, y += BNN_POOL_ROWS * stride, out += out_stride) {
        uint64_t chosen[BNN_POOL_ROWS] = {0};
        for (size_t c = 0; c < columns; c += LANES) {
            const __mmask16 live = (__mmask16)(all >> c);
            const __m512i turn = _mm512_movm_epi32((__mmask16)(turned >> c));
            __m512i best = _mm512_xor_si512(_mm512_maskz_loadu_epi32(live, y + c), turn);
            __mmask16 later[BNN_POOL_ROWS] = {0};
            for (size_t j = 1; j < BNN_POOL_ROWS; j++) {
                const __m512i value = _mm512_xor_si512(_mm512_maskz_loadu_epi32(live, y + j * stride + c), turn);
                later[j] = _mm512_cmpgt_epi32_mask(value, best);
                best = _mm512_max_epi32(best, value);
            }
            _mm512_mask_storeu_epi32(out + c, live, _mm512_xor_si512(best, turn));
            /* The last row that beat those before it is the first with the largest value. */
            const __mmask16 three = later[3], two = later[2] & (__mmask16)~three;
            const __mmask16 one = later[1] & (__mmask16)~(three | two);
            chosen[0] |= (uint64_t)(live & (__mmask16)~(one | two | three)) << c;
            chosen[1] |= (uint64_t)(live & one) << c;
            chosen[2] |= (uint64_t)(live & two) << c;
            chosen[3] |= (uint64_t)(live & three) << c;
        }
        for (size_t j = 0; j < BNN_POOL_ROWS; j++, argmax += argmax_stride) *argmax = chosen[j];
    }
}

void BNN_NAME(pool_spread_i8)(const int8_t *values, size_t rows, size_t columns, size_t stride, const uint64_t *argmax,
                              size_t argmax_stride, int8_t *out, size_t out_stride)
{
    const __mmask64 live = bnn_low_bits(columns);
    for (size_t row = 0; row < rows; row++, values += stride) {
        const __m512i value = _mm512_maskz_loadu_epi8(live, values);
        for (size_t j = 0; j < BNN_POOL_ROWS; j++, argmax += argmax_stride, out += out_stride) {
            const __m512i kept = _mm512_maskz_mov_epi8(*argmax, value);
            if (live == ~UINT64_C(0)) _mm512_storeu_si512(out, kept);
            else _mm512_mask_storeu_epi8(out, live, kept);
        }
    }
}

void BNN_NAME(pool_spread_f32)(const float *values, size_t rows, size_t columns, size_t stride, const uint64_t *argmax,
                               size_t argmax_stride, float *out, size_t out_stride)
{
    for (size_t row = 0; row < rows; row++, values += stride)
        for (size_t j = 0; j < BNN_POOL_ROWS; j++, argmax += argmax_stride, out += out_stride)
            for (size_t c = 0; c < columns; c += LANES) {
                const __mmask16 live = (__mmask16)bnn_low_bits(bnn_min(LANES, columns - c));
                const __m512 kept = _mm512_maskz_loadu_ps(live & (__mmask16)(*argmax >> c), values + c);
                if (live == 0xffff) _mm512_storeu_ps(out + c, kept);
                else _mm512_mask_storeu_ps(out + c, live, kept);
            }
}
#endif
