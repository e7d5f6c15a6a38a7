/* avx512.c: the product of two binary matrices with the vector population count.
 *
 * The panel holds b in units of 32 depths, one lane per column: [2*words][64 columns] uint32.  A tile is ROWS rows of a by
 * four vectors of 16 columns; each unit of a is spread over a vector, so that the counts end up in the lanes of y and
 * are never added across lanes.  The order of the units is the same for a and b and does not matter otherwise.
 *
 *   instruction        MAC     per cycle on Zen 4                        per tile and 32 depths
 *   vpxord zmm         512     2 (four 256-bit pipes)                    24
 *   vpopcntd zmm       512     1 (two of them)                           24
 *   vpaddd zmm         -       2                                         24
 *   Three instructions at two a cycle: the limit is 341 MAC a cycle.  (The adder of avx2.c would make it 390, but measured
 *   no faster here: its loop is short of registers and loads.)
 * A panel pays when several rows use it: fewer are multiplied along the depth, eight words a vector, as b lies.
 * Lanes count at most 32 per unit: 2^31 is out of reach below a depth of 2^31.
 */
#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vpopcntdq,avx2,bmi,bmi2,popcnt")
#include <immintrin.h>

#include "xnor.h"

enum { PANEL_PAYS = 4, DEEP = 8, ROWS = 6, LANES = 16, WIDE = BNN_TILE / LANES, UNIT_BITS = 32, UNITS = BNN_WORD_BITS / UNIT_BITS };
#define UNROLL _Pragma("GCC unroll 8")

/* Up to 64 columns of b in the panel, `words` deep, `width` wide; `live`: the lanes that are columns. */
struct block {
    uint32_t *panel;
    size_t words, width;
    __mmask16 live[WIDE];
};

/* Two columns of b, four words of each that are in `live`; columns that do not exist give zeros. */
static inline __m512i load_pair(const uint64_t *low, int has_low, const uint64_t *high, int has_high, __mmask8 live)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_maskz_loadu_epi64(has_low ? live : 0, low)),
                              _mm256_maskz_loadu_epi64(has_high ? live : 0, high), 1);
}

/* Four words of eight columns, transposed: word[i] has the columns in its lanes. */
static inline void transpose_words(const uint64_t *b, size_t stride, size_t width, __mmask8 live, __m512i word[4])
{
    /* Which columns share a vector is chosen so that the lanes end in order. */
    const __m512i row0 = load_pair(b, width > 0, b + 2 * stride, width > 2, live);
    const __m512i row1 = load_pair(b + stride, width > 1, b + 3 * stride, width > 3, live);
    const __m512i row2 = load_pair(b + 4 * stride, width > 4, b + 6 * stride, width > 6, live);
    const __m512i row3 = load_pair(b + 5 * stride, width > 5, b + 7 * stride, width > 7, live);
    const __m512i even01 = _mm512_unpacklo_epi64(row0, row1), odd01 = _mm512_unpackhi_epi64(row0, row1);
    const __m512i even23 = _mm512_unpacklo_epi64(row2, row3), odd23 = _mm512_unpackhi_epi64(row2, row3);
    word[0] = _mm512_shuffle_i64x2(even01, even23, 0x88);
    word[1] = _mm512_shuffle_i64x2(odd01, odd23, 0x88);
    word[2] = _mm512_shuffle_i64x2(even01, even23, 0xdd);
    word[3] = _mm512_shuffle_i64x2(odd01, odd23, 0xdd);
}

static void lay(const uint64_t *b, size_t stride, const struct block *block)
{
    const __m512i low_halves = _mm512_set_epi32(30, 28, 26, 24, 22, 20, 18, 16, 14, 12, 10, 8, 6, 4, 2, 0);
    const __m512i high_halves = _mm512_set_epi32(31, 29, 27, 25, 23, 21, 19, 17, 15, 13, 11, 9, 7, 5, 3, 1);
    for (size_t j = 0; j < block->width; j += LANES)
        for (size_t k = 0; k < block->words; k += 4) {
            const size_t count = bnn_min(4, block->words - k), width = block->width - j;
            const __mmask8 live = (__mmask8)bnn_low_bits(count);
            __m512i left[4], right[4];
            transpose_words(b + j * stride + k, stride, width, live, left);
            transpose_words(b + (j + 8) * stride + k, stride, width - bnn_min(width, 8), live, right);
            uint32_t *to = block->panel + k * UNITS * BNN_TILE + j;
            for (size_t i = 0; i < count; i++, to += UNITS * BNN_TILE) {
                _mm512_store_si512(to, _mm512_permutex2var_epi32(left[i], low_halves, right[i]));
                _mm512_store_si512(to + BNN_TILE, _mm512_permutex2var_epi32(left[i], high_halves, right[i]));
            }
        }
}

static inline uint32_t load_unit(const uint64_t *a, size_t unit)
{
    uint32_t bits;
    memcpy(&bits, (const char *)a + unit * sizeof bits, sizeof bits);
    return bits;
}

/* count += popcount(a ^ b) per lane.  gcc 12 copies and spills sums of intrinsics; an operand that is changed in place
 * stays where it is. */
static inline __m512i count_differing(__m512i count_i32x16, __m512i a, __m512i b)
{
    const __m512i ones = _mm512_popcnt_epi32(_mm512_xor_si512(a, b));
    __asm__("vpaddd %1, %0, %0" : "+v"(count_i32x16) : "v"(ones));
    return count_i32x16;
}

/* y[rows][vectors*16] = base - 2 * popcount, or that subtracted from y. */
static inline __attribute__((always_inline)) void tile(const int rows, const int vectors, const uint64_t *a,
                                                       size_t a_stride, const struct block *block, int32_t base,
                                                       int32_t *y, size_t y_stride, int add)
{
    const uint32_t *panel = block->panel;
    const uint64_t *a_row[ROWS];
    __m512i count_i32x16[ROWS][WIDE];
    UNROLL for (int row = 0; row < rows; row++) {
        a_row[row] = a + row * a_stride;
        UNROLL for (int v = 0; v < vectors; v++) count_i32x16[row][v] = _mm512_setzero_si512();
    }
    for (size_t unit = 0; unit < UNITS * block->words; unit++, panel += BNN_TILE) {
        __m512i b[WIDE];
        UNROLL for (int v = 0; v < vectors; v++) b[v] = _mm512_load_si512(panel + LANES * v);
        UNROLL for (int row = 0; row < rows; row++) {
            const __m512i spread = _mm512_set1_epi32((int32_t)load_unit(a_row[row], unit));
            UNROLL for (int v = 0; v < vectors; v++)
                count_i32x16[row][v] = count_differing(count_i32x16[row][v], spread, b[v]);
        }
    }
    UNROLL for (int row = 0; row < rows; row++)
        UNROLL for (int v = 0; v < vectors; v++) {
            int32_t *to = y + row * y_stride + LANES * v;
            const __m512i from = _mm512_mask_loadu_epi32(_mm512_set1_epi32(base), add ? block->live[v] : 0, to);
            const __m512i twice = _mm512_add_epi32(count_i32x16[row][v], count_i32x16[row][v]);
            _mm512_mask_storeu_epi32(to, block->live[v], _mm512_sub_epi32(from, twice));
        }
}

/* All rows of a against the block; every switch arm is a tile with its sizes known at compile time. */
static inline __attribute__((always_inline)) void all_rows(const int vectors, const uint64_t *a, size_t rows,
                                                           size_t a_stride, const struct block *block, int32_t base,
                                                           int32_t *y, size_t y_stride, int add)
{
    for (; rows >= ROWS; rows -= ROWS, a += ROWS * a_stride, y += ROWS * y_stride)
        tile(ROWS, vectors, a, a_stride, block, base, y, y_stride, add);
    switch (rows) {
    case 5: tile(5, vectors, a, a_stride, block, base, y, y_stride, add); break;
    case 4: tile(4, vectors, a, a_stride, block, base, y, y_stride, add); break;
    case 3: tile(3, vectors, a, a_stride, block, base, y, y_stride, add); break;
    case 2: tile(2, vectors, a, a_stride, block, base, y, y_stride, add); break;
    case 1: tile(1, vectors, a, a_stride, block, base, y, y_stride, add); break;
    }
}

/* Bits that differ in two rows of words. */
static inline int64_t differing(const uint64_t *a, const uint64_t *b, size_t words)
{
    __m512i count_u64x8 = _mm512_setzero_si512();
    for (size_t k = 0; k < words; k += DEEP) {
        const __mmask8 live = (__mmask8)bnn_low_bits(bnn_min(DEEP, words - k));
        const __m512i bits = _mm512_xor_si512(_mm512_maskz_loadu_epi64(live, a + k), _mm512_maskz_loadu_epi64(live, b + k));
        count_u64x8 = _mm512_add_epi64(count_u64x8, _mm512_popcnt_epi64(bits));
    }
    return _mm512_reduce_add_epi64(count_u64x8);
}

static void few_rows(const uint64_t *a, size_t rows, size_t a_stride, const uint64_t *b, size_t columns, size_t b_stride,
                     size_t depth, int32_t *y, size_t y_stride)
{
    const size_t words = bnn_words(depth);
    for (size_t column = 0; column < columns; column++, b += b_stride)
        for (size_t row = 0; row < rows; row++)
            y[row * y_stride + column] = (int32_t)((int64_t)depth - 2 * differing(a + row * a_stride, b, words));
}

void bnn_xnor_gemm_u1_i32_avx512(const uint64_t *a, size_t rows, size_t a_stride_words,
                                 const uint64_t *b, size_t columns, size_t b_stride_words, size_t depth,
                                 int32_t *y, size_t y_stride, void *panel)
{
    const size_t words = bnn_words(depth);
    if (rows < PANEL_PAYS) {
        few_rows(a, rows, a_stride_words, b, columns, b_stride_words, depth, y, y_stride);
        return;
    }
    for (size_t j = 0; j < columns; j += BNN_TILE)
        for (size_t k0 = 0; k0 == 0 || k0 < words; k0 += BNN_PANEL_WORDS) {
            const size_t width = bnn_min(BNN_TILE, columns - j);
            const uint64_t live = bnn_low_bits(width);
            const struct block block = {panel, bnn_min(BNN_PANEL_WORDS, words - k0), width,
                                        {(__mmask16)live, (__mmask16)(live >> 16), (__mmask16)(live >> 32),
                                         (__mmask16)(live >> 48)}};
            lay(b + j * b_stride_words + k0, b_stride_words, &block);
            if (width <= LANES)
                all_rows(1, a + k0, rows, a_stride_words, &block, (int32_t)depth, y + j, y_stride, k0 != 0);
            else
                all_rows(WIDE, a + k0, rows, a_stride_words, &block, (int32_t)depth, y + j, y_stride, k0 != 0);
        }
}
#endif
