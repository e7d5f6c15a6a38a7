/* avx2.c: the product of two binary matrices; bits are counted by a table of nibbles, after an adder halved them.
 *
 * Let P_k be the xor of the first k words of a ^ b.  It is the xor of the same prefixes of a and of b, which are made once
 * (of b in the panel, of a per row).  Two more words x, y give q = P ^ x and s = q ^ y, and as numbers, bit by bit,
 *     P + x + y = s + 2 * carry,      carry = (P | q) & ~(q & s),
 * so that  sum popcount(x) = popcount(last P) + 2 * sum popcount(carry):  one count for two words.
 * Panel: [word][64 columns] prefixes; a vector has one word of four columns.  vpsadbw adds the bytes of a word.
 * A tile is two rows by two vectors.
 *
 *   per two words of four columns (512 MAC)                               instructions
 *   q, s                      2 vpxor with a load                         2
 *   carry                     vpand, vpor, vpandn                         3
 *   nibble counts             2 vpand, vpsrlw, 2 vpshufb, 2 vpaddb        7
 *   Twelve instructions, at best four a cycle on Zen 4: the limit is 171 MAC a cycle.
 * A panel pays when several rows use it: fewer are multiplied along the depth, four words a vector (eight instructions for
 * 256 MAC), as b lies.
 */
#if defined(__x86_64__)
#pragma GCC target("avx2,bmi,bmi2,popcnt")
#include <immintrin.h>

#include "xnor.h"

/* A byte gains at most 8 per step of two words: 31 steps reach 248. */
enum { ROWS = 2, VECTORS = 2, COLUMNS = 8, PIECE_WORDS = 62, LANES = 4, PANEL_PAYS = 4 };
#define UNROLL _Pragma("GCC unroll 4")

/* Columns in the order in which vshufps of two vectors of counts puts them: 0 1 4 5, 2 3 6 7. */
static inline size_t place_of(size_t column)
{
    static const uint8_t place[COLUMNS] = {0, 1, 4, 5, 2, 3, 6, 7};
    return column - column % COLUMNS + place[column % COLUMNS];
}

/* Prefixes of b; an odd number of words is followed by a word of zeros, which repeats the last prefix. */
static void lay(const uint64_t *b, size_t stride, size_t words, size_t width, uint64_t *panel)
{
    for (size_t column = 0; column < width; column++, b += stride) {
        uint64_t prefix = 0, *to = panel + place_of(column);
        for (size_t k = 0; k < words; k++, to += BNN_TILE) *to = prefix ^= b[k];
        if (words % 2) *to = prefix;
    }
}

static void prefixes(const uint64_t *a, size_t words, uint64_t *to)
{
    uint64_t prefix = 0;
    for (size_t k = 0; k < words; k++) to[k] = prefix ^= a[k];
    if (words % 2) to[words] = prefix;
}

/* Set bits of every byte, 0 ... 8. */
static inline __m256i popcount_bytes(__m256i bits)
{
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
                                           0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i nibble = _mm256_set1_epi8(15);
    const __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(bits, nibble));
    return _mm256_add_epi8(low, _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(bits, 4), nibble)));
}

/* y[rows][8] = base - 2 * popcount, or that subtracted from y; only `width` columns of y exist. */
static inline __attribute__((always_inline)) void tile(const int rows, const uint64_t (*a)[PIECE_WORDS],
                                                       const uint64_t *panel, size_t words, size_t width, int32_t base,
                                                       int32_t *y, size_t y_stride, int add)
{
    __m256i prefix[ROWS][VECTORS], count_u8x32[ROWS][VECTORS];
    UNROLL for (int row = 0; row < rows; row++)
        UNROLL for (int v = 0; v < VECTORS; v++) prefix[row][v] = count_u8x32[row][v] = _mm256_setzero_si256();
    for (size_t k = 0; k < words; k += 2, panel += 2 * BNN_TILE)
        UNROLL for (int row = 0; row < rows; row++) {
            const __m256i a0 = _mm256_set1_epi64x((int64_t)a[row][k]), a1 = _mm256_set1_epi64x((int64_t)a[row][k + 1]);
            UNROLL for (int v = 0; v < VECTORS; v++) {
                const __m256i q = _mm256_xor_si256(a0, _mm256_load_si256((const __m256i *)(panel + 4 * v)));
                const __m256i s = _mm256_xor_si256(a1, _mm256_load_si256((const __m256i *)(panel + BNN_TILE + 4 * v)));
                const __m256i carry = _mm256_andnot_si256(_mm256_and_si256(q, s), _mm256_or_si256(prefix[row][v], q));
                count_u8x32[row][v] = _mm256_add_epi8(count_u8x32[row][v], popcount_bytes(carry));
                prefix[row][v] = s;
            }
        }
    const __m256i lane = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0), zero = _mm256_setzero_si256();
    const __m256i live = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)bnn_min(width, COLUMNS)), lane);
    UNROLL for (int row = 0; row < rows; row++) {
        __m256 count[VECTORS];
        UNROLL for (int v = 0; v < VECTORS; v++) {
            const __m256i carries = _mm256_sad_epu8(count_u8x32[row][v], zero);
            const __m256i last = _mm256_sad_epu8(popcount_bytes(prefix[row][v]), zero);
            count[v] = _mm256_castsi256_ps(_mm256_add_epi64(_mm256_add_epi64(carries, carries), last));
        }
        const __m256i count_i32x8 = _mm256_castps_si256(_mm256_shuffle_ps(count[0], count[1], 0x88));
        int32_t *to = y + row * y_stride;
        const __m256i from = add ? _mm256_maskload_epi32(to, live) : _mm256_set1_epi32(base);
        const __m256i result = _mm256_sub_epi32(from, _mm256_add_epi32(count_i32x8, count_i32x8));
        if (width >= COLUMNS) _mm256_storeu_si256((__m256i *)to, result);
        else _mm256_maskstore_epi32(to, live, result);
    }
}

/* Bits that differ in two rows of words. */
static inline int64_t differing(const uint64_t *a, const uint64_t *b, size_t words)
{
    __m256i count_u64x4 = _mm256_setzero_si256();
    size_t k = 0;
    for (; k + LANES <= words; k += LANES) {
        const __m256i bits = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(a + k)),
                                              _mm256_loadu_si256((const __m256i *)(b + k)));
        count_u64x4 = _mm256_add_epi64(count_u64x4, _mm256_sad_epu8(popcount_bytes(bits), _mm256_setzero_si256()));
    }
    const __m128i halves = _mm_add_epi64(_mm256_castsi256_si128(count_u64x4), _mm256_extracti128_si256(count_u64x4, 1));
    int64_t count = _mm_cvtsi128_si64(halves) + _mm_extract_epi64(halves, 1);
    for (; k < words; k++) count += _mm_popcnt_u64(a[k] ^ b[k]);
    return count;
}

static void few_rows(const uint64_t *a, size_t rows, size_t a_stride, const uint64_t *b, size_t columns, size_t b_stride,
                     size_t depth, int32_t *y, size_t y_stride)
{
    const size_t words = bnn_words(depth);
    for (size_t column = 0; column < columns; column++, b += b_stride)
        for (size_t row = 0; row < rows; row++)
            y[row * y_stride + column] = (int32_t)((int64_t)depth - 2 * differing(a + row * a_stride, b, words));
}

void bnn_xnor_gemm_u1_i32_avx2(const uint64_t *a, size_t rows, size_t a_stride_words,
                               const uint64_t *b, size_t columns, size_t b_stride_words, size_t depth,
                               int32_t *y, size_t y_stride, void *panel)
{
    const size_t all_words = bnn_words(depth);
    if (rows < PANEL_PAYS) {
        few_rows(a, rows, a_stride_words, b, columns, b_stride_words, depth, y, y_stride);
        return;
    }
    uint64_t prefix[ROWS][PIECE_WORDS];
    for (size_t j = 0; j < columns; j += BNN_TILE)
        for (size_t k0 = 0; k0 == 0 || k0 < all_words; k0 += PIECE_WORDS) {
            const size_t words = bnn_min(PIECE_WORDS, all_words - k0), width = bnn_min(BNN_TILE, columns - j);
            lay(b + j * b_stride_words + k0, b_stride_words, words, width, panel);
            for (size_t row = 0; row < rows; row += ROWS) {
                const size_t count = bnn_min(ROWS, rows - row);
                for (size_t i = 0; i < count; i++) prefixes(a + (row + i) * a_stride_words + k0, words, prefix[i]);
                for (size_t i = 0; i < width; i += COLUMNS) {
                    const uint64_t *from = (const uint64_t *)panel + i;
                    int32_t *to = y + row * y_stride + j + i;
                    if (count == ROWS) tile(ROWS, prefix, from, words, width - i, (int32_t)depth, to, y_stride, k0 != 0);
                    else tile(1, prefix, from, words, width - i, (int32_t)depth, to, y_stride, k0 != 0);
                }
            }
        }
}
#endif
