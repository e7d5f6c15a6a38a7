/* avx512.c: look-ups of 64 bytes at a time; four tables fit one vector, so that one vpermb serves 16 columns by 16 depths.
 *
 * A panel holds, per group of 16 depths, four vectors of 16 columns: byte 4c + s = the four signs of column c at depths
 * 4s ... 4s + 3, plus 16 s, which picks table s.  vpdpbusd with weights of one adds the four looked-up bytes of a column.
 * A tile is ROWS rows by four vectors: 16 sums, four vectors of indices, one of tables, one looked up, one of weights.
 *
 *   instruction            MAC     per cycle on Zen 4                        per tile and group
 *   vpermb zmm             256     1                                         16
 *   vpdpbusd zmm           -       1                                         16
 *   vmovdqa64 zmm, m512    -       1 load                                    8
 *   The limit is what the two reach side by side (kernels/limit): 3 in 2 cycles, 192 MAC a cycle.  A table costs 4 vpermb,
 *   3 vpaddb per row and group, which serves all columns and, in a convolution, all taps.
 */
#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vbmi,avx512vpopcntdq,avx2,bmi,bmi2,popcnt")
#include <immintrin.h>

#include "lookup.h"

enum { ROWS = 4, LANES = 16, WIDE = BNN_TILE / LANES, DEPTHS = 4 };
#define UNROLL _Pragma("GCC unroll 8")

/* Which of (a, -a) the entry n of table s adds for depth i: byte 16 s + n. */
static inline __m512i signed_depths(int depth)
{
    uint8_t pick[BNN_LOOKUP_TABLE_BYTES];
    for (int s = 0; s < 4; s++)
        for (int n = 0; n < 16; n++) pick[16 * s + n] = (uint8_t)(4 * s + depth + 16 * (n >> depth & 1));
    return _mm512_loadu_si512(pick);
}

static inline __m128i part_of(__m128i a, enum bnn_lookup_part part)
{
    if (part == BNN_lookup_whole) return a;
    const __m128i size = _mm_abs_epi8(a);
    const __m128i low = _mm_and_si128(size, _mm_set1_epi8(3));
    const __m128i high = _mm_and_si128(_mm_srli_epi16(size, 2), _mm_set1_epi8(63));
    return _mm_sign_epi8(part == BNN_lookup_high ? high : low, a);
}

void bnn_lookup_tables_i8_avx512(const int8_t *a, size_t rows, size_t a_stride, size_t depth,
                                 enum bnn_lookup_part part, uint8_t *tables, size_t stride_bytes)
{
    const __m512i pick[DEPTHS] = {signed_depths(0), signed_depths(1), signed_depths(2), signed_depths(3)};
    for (size_t row = 0; row < rows; row++, a += a_stride, tables += stride_bytes)
        for (size_t k = 0; k < depth; k += BNN_LOOKUP_GROUP) {
            const __mmask16 live = (__mmask16)bnn_low_bits(bnn_min(BNN_LOOKUP_GROUP, depth - k));
            const __m128i values = part_of(_mm_maskz_loadu_epi8(live, a + k), part);
            const __m128i opposite = _mm_sub_epi8(_mm_setzero_si128(), values);
            const __m512i both = _mm512_castsi256_si512(_mm256_set_m128i(opposite, values));
            const __m512i low = _mm512_add_epi8(_mm512_permutexvar_epi8(pick[0], both),
                                                _mm512_permutexvar_epi8(pick[1], both));
            const __m512i high = _mm512_add_epi8(_mm512_permutexvar_epi8(pick[2], both),
                                                 _mm512_permutexvar_epi8(pick[3], both));
            _mm512_store_si512(tables + k / BNN_LOOKUP_GROUP * BNN_LOOKUP_TABLE_BYTES, _mm512_add_epi8(low, high));
        }
}

/* Byte c = the signs of column c at the four words' depths, bit i from word i. */
static inline __m512i signs_of(const uint64_t *b, size_t stride, size_t count)
{
    __m512i signs = _mm512_setzero_si512();
    for (size_t i = 0; i < count; i++)
        signs = _mm512_mask_add_epi8(signs, b[i * stride], signs, _mm512_set1_epi8((char)(1 << i)));
    return signs;
}

void bnn_lookup_lay_u1_avx512(const uint64_t *b, size_t b_stride_words, size_t depth, size_t columns, uint8_t *panel)
{
    (void)columns; /* those past the last give sums that nobody stores */
    /* Groups of four columns go to the 128-bit lanes in which the interleaving below leaves them in order. */
    const __m512i deal = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
    for (size_t k = 0; k < depth; k += BNN_LOOKUP_GROUP, panel += BNN_LOOKUP_PANEL_BYTES) {
        __m512i table[4];
        for (size_t s = 0; s < 4; s++) {
            const size_t first = k + DEPTHS * s, count = first < depth ? bnn_min(DEPTHS, depth - first) : 0;
            const __m512i signs = signs_of(b + first * b_stride_words, b_stride_words, count);
            table[s] = _mm512_permutexvar_epi32(deal, _mm512_or_si512(signs, _mm512_set1_epi8((char)(16 * s))));
        }
        const __m512i low01 = _mm512_unpacklo_epi8(table[0], table[1]), low23 = _mm512_unpacklo_epi8(table[2], table[3]);
        const __m512i high01 = _mm512_unpackhi_epi8(table[0], table[1]), high23 = _mm512_unpackhi_epi8(table[2], table[3]);
        _mm512_store_si512(panel, _mm512_unpacklo_epi16(low01, low23));
        _mm512_store_si512(panel + 64, _mm512_unpackhi_epi16(low01, low23));
        _mm512_store_si512(panel + 128, _mm512_unpacklo_epi16(high01, high23));
        _mm512_store_si512(panel + 192, _mm512_unpackhi_epi16(high01, high23));
    }
}

/* sum += the four bytes of each lane times the weights; changed in place, see grad/avx512.c. */
static inline __m512i add_bytes(__m512i sum_i32x16, __m512i weight_u8x64, __m512i looked_i8x64)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum_i32x16) : "v"(weight_u8x64), "v"(looked_i8x64));
    return sum_i32x16;
}

struct product {
    const uint8_t *panel;
    size_t taps, groups;
    __m512i weight_u8x64;
    __mmask16 live[WIDE];
    int add, whole; /* whole: all columns of the tile are live */
};

static inline __attribute__((always_inline)) void tile(const int rows, const int vectors, const uint8_t *const *tables,
                                                       const struct product *p, int32_t *c, size_t c_stride)
{
    const uint8_t *panel = p->panel;
    const __m512i weight_u8x64 = p->weight_u8x64;
    __m512i sum_i32x16[ROWS][WIDE];
    UNROLL for (int row = 0; row < rows; row++)
        UNROLL for (int v = 0; v < vectors; v++) sum_i32x16[row][v] = _mm512_setzero_si512();
    for (size_t tap = 0; tap < p->taps; tap++) {
        const uint8_t *table[ROWS];
        UNROLL for (int row = 0; row < rows; row++) table[row] = tables[row * p->taps + tap];
        for (size_t at = 0; at < p->groups * BNN_LOOKUP_TABLE_BYTES;
             at += BNN_LOOKUP_TABLE_BYTES, panel += BNN_LOOKUP_PANEL_BYTES) {
            __m512i index[WIDE];
            UNROLL for (int v = 0; v < vectors; v++) index[v] = _mm512_load_si512(panel + 64 * v);
            UNROLL for (int row = 0; row < rows; row++) {
                const __m512i sums = _mm512_load_si512(table[row] + at);
                UNROLL for (int v = 0; v < vectors; v++)
                    sum_i32x16[row][v] = add_bytes(sum_i32x16[row][v], weight_u8x64,
                                                   _mm512_permutexvar_epi8(index[v], sums));
            }
        }
    }
    UNROLL for (int row = 0; row < rows; row++)
        UNROLL for (int v = 0; v < vectors; v++) {
            int32_t *to = c + row * c_stride + LANES * v;
            if (p->whole) { /* masked stores are slower */
                const __m512i before = p->add ? _mm512_loadu_si512(to) : _mm512_setzero_si512();
                _mm512_storeu_si512(to, _mm512_add_epi32(sum_i32x16[row][v], before));
            } else {
                const __m512i before = _mm512_maskz_loadu_epi32(p->add ? p->live[v] : 0, to);
                _mm512_mask_storeu_epi32(to, p->live[v], _mm512_add_epi32(sum_i32x16[row][v], before));
            }
        }
}

/* All rows; every switch arm is a tile with its sizes known at compile time. */
static inline __attribute__((always_inline)) void all_rows(const int vectors, const uint8_t *const *tables, size_t rows,
                                                           const struct product *p, int32_t *c, size_t c_stride)
{
    for (; rows >= ROWS; rows -= ROWS, tables += ROWS * p->taps, c += ROWS * c_stride)
        tile(ROWS, vectors, tables, p, c, c_stride);
    switch (rows) {
    case 3: tile(3, vectors, tables, p, c, c_stride); break;
    case 2: tile(2, vectors, tables, p, c, c_stride); break;
    case 1: tile(1, vectors, tables, p, c, c_stride); break;
    }
}

void bnn_lookup_gemm_i32_avx512(const uint8_t *const *tables, size_t rows, size_t taps, size_t groups,
                                const uint8_t *panel, size_t columns, int weight, int32_t *c, size_t c_stride, int add)
{
    const uint64_t live = bnn_low_bits(columns);
    const struct product p = {panel, taps, groups, _mm512_set1_epi8((char)weight),
                              {(__mmask16)live, (__mmask16)(live >> 16), (__mmask16)(live >> 32), (__mmask16)(live >> 48)},
                              add, columns == BNN_TILE};
    if (columns <= LANES) all_rows(1, tables, rows, &p, c, c_stride);
    else if (columns <= 2 * LANES) all_rows(2, tables, rows, &p, c, c_stride);
    else all_rows(WIDE, tables, rows, &p, c, c_stride);
}
#endif
