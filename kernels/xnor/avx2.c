/* avx2.c: the product of two binary matrices by look-up: differing bits of four depths, of two rows in a byte.
 *
 * A table of 16 bytes holds, for each nibble n of a column, the bits in which n differs from a nibble of one row, and 16
 * times those in which it differs from a nibble of another row.  There are 256 pairs of nibbles, hence so many tables,
 * which are constants.  Panel: [nibble][64 columns] bytes, a nibble of b each, so that vpshufb looks 32 columns up.
 *
 * Both counts are at most 4: three look-ups fit a byte.  After three, `both` has that sum added and `high` its upper half;
 * in the end, modulo 256, the lower half is both - 16 * high.  Bytes hold 21 such triples, then they are added to sums of
 * 16 bits, those of even columns first, then those of odd ones.  A tile is two pairs of rows by 64 columns.
 *
 *   per three look-ups in 32 columns (768 MAC)       instructions   per cycle on Zen 3
 *   vpshufb                                          3              2
 *   vpaddb                                           4              4
 *   vpsrlw, vpand                                    2              2, 4
 *   Nine instructions, at best four a cycle: the limit is 341 MAC a cycle; on registers they reach 280 (kernels/limit).
 *   Beside them go, per 64 columns, three loads of a table's offset and three of a table.
 * A panel pays when several rows use it: fewer are multiplied along the depth, four words a vector, as b lies.
 */
#if defined(__x86_64__)
#pragma GCC target("avx2,bmi,bmi2,popcnt")
#include <immintrin.h>

#include "xnor.h"

enum { NIBBLE_BITS = 4, NIBBLES = BNN_WORD_BITS / NIBBLE_BITS, ENTRIES = 16, TRIPLE = 3 };
enum { ROWS = 4, PAIRS = ROWS / 2, WIDTH = 32, VECTORS = BNN_TILE / WIDTH, MOST_TRIPLES = 255 / (TRIPLE * NIBBLE_BITS) };
/* Words of a piece of the depth: its panel stays in the first-level cache, beside tables and what a tile writes. */
enum { PIECE_WORDS = 24, PIECE_NIBBLES = PIECE_WORDS * NIBBLES + TRIPLE - 1, LANES = 4, PANEL_PAYS = 4 };
#define UNROLL _Pragma("GCC unroll 8")

_Static_assert(PIECE_NIBBLES * BNN_TILE <= BNN_PANEL_BYTES, "a piece has to fit the panel");

/* Table of a pair of nibbles, that of the second row above that of the first. */
#define DIFFERING(pair, n) (__builtin_popcount(((pair) & 15) ^ (n)) + 16 * __builtin_popcount((pair) >> 4 ^ (n)))
#define FOUR(pair, n) DIFFERING(pair, n), DIFFERING(pair, n + 1), DIFFERING(pair, n + 2), DIFFERING(pair, n + 3)
#define TABLE(pair) {FOUR(pair, 0), FOUR(pair, 4), FOUR(pair, 8), FOUR(pair, 12)}
#define FOUR_TABLES(pair) TABLE(pair), TABLE(pair + 1), TABLE(pair + 2), TABLE(pair + 3)
#define TABLES(pair) FOUR_TABLES(pair), FOUR_TABLES(pair + 4), FOUR_TABLES(pair + 8), FOUR_TABLES(pair + 12)
static const uint8_t tables[256][ENTRIES] __attribute__((aligned(64))) = {
    TABLES(0x00), TABLES(0x10), TABLES(0x20), TABLES(0x30), TABLES(0x40), TABLES(0x50), TABLES(0x60), TABLES(0x70),
    TABLES(0x80), TABLES(0x90), TABLES(0xa0), TABLES(0xb0), TABLES(0xc0), TABLES(0xd0), TABLES(0xe0), TABLES(0xf0),
};

/* What a piece of the depth of a tile of columns has in common. */
struct piece {
    const uint8_t *panel;
    size_t triples, length; /* of a group, after which bytes are added to wider sums */
    uint16_t offset[PAIRS][PIECE_NIBBLES];                /* bytes to the tables of pairs of rows */
    uint16_t sums[ROWS][BNN_TILE] __attribute__((aligned(32))); /* of 32 columns the 16 even ones, then the odd ones */
};

static inline __m128i two_words(const uint64_t *first, const uint64_t *second)
{
    return _mm_unpacklo_epi64(_mm_loadl_epi64((const __m128i *)first), _mm_loadl_epi64((const __m128i *)second));
}

/* A word of 32 columns, `at` words from b on, to sixteen rows of the panel. */
static inline void lay_word(const uint64_t *b, const size_t at[WIDTH], uint8_t *panel)
{
    const __m256i interleave = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 8, 1, 9, 2, 10, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15));
    const __m256i nibble = _mm256_set1_epi8(15);
    __m256i columns2[8], columns4[2][4], columns8[4][2]; /* bytes of so many columns, of both halves of the 32 */
    UNROLL for (int i = 0; i < 8; i++) {
        const size_t *own = at + 2 * i;
        const __m128i low = two_words(b + own[0], b + own[1]), high = two_words(b + own[16], b + own[17]);
        columns2[i] = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), interleave);
    }
    UNROLL for (int i = 0; i < 4; i++) {
        columns4[0][i] = _mm256_unpacklo_epi16(columns2[2 * i], columns2[2 * i + 1]);
        columns4[1][i] = _mm256_unpackhi_epi16(columns2[2 * i], columns2[2 * i + 1]);
    }
    UNROLL for (int i = 0; i < 4; i++) {
        const __m256i *from = columns4[i / 2] + i % 2 * 2;
        columns8[i / 2 * 2][i % 2] = _mm256_unpacklo_epi32(from[0], from[1]);
        columns8[i / 2 * 2 + 1][i % 2] = _mm256_unpackhi_epi32(from[0], from[1]);
    }
    UNROLL for (int byte = 0; byte < 8; byte++, panel += 2 * BNN_TILE) {
        const __m256i *from = columns8[byte / 2];
        const __m256i all = byte % 2 ? _mm256_unpackhi_epi64(from[0], from[1]) : _mm256_unpacklo_epi64(from[0], from[1]);
        _mm256_store_si256((__m256i *)panel, _mm256_and_si256(all, nibble));
        _mm256_store_si256((__m256i *)(panel + BNN_TILE), _mm256_and_si256(_mm256_srli_epi16(all, 4), nibble));
    }
}

/* `words` of `width` columns, and zeros up to a whole triple.  Columns that are missing are as the first one, and of no use. */
static void lay(const uint64_t *b, size_t stride, size_t words, size_t width, uint8_t *panel)
{
    size_t at[BNN_TILE];
    for (size_t j = 0; j < BNN_TILE; j++) at[j] = j < width ? j * stride : 0;
    for (size_t j = 0; j < width; j += WIDTH)
        for (size_t k = 0; k < words; k++) lay_word(b + k, at + j, panel + k * NIBBLES * BNN_TILE + j);
    memset(panel + words * NIBBLES * BNN_TILE, 0, (TRIPLE - 1) * BNN_TILE);
}

/* Offsets of the tables of two rows, and of those of zeros up to a whole triple. */
static void find_tables(const uint64_t *low, const uint64_t *high, size_t words, uint16_t *offset)
{
    const __m128i nibble = _mm_set1_epi8(15);
    for (size_t k = 0; k < words; k++, offset += NIBBLES) {
        const __m128i a0 = _mm_loadl_epi64((const __m128i *)(low + k)), a1 = _mm_loadl_epi64((const __m128i *)(high + k));
        const __m128i even = _mm_or_si128(_mm_and_si128(a0, nibble), _mm_andnot_si128(nibble, _mm_slli_epi16(a1, 4)));
        const __m128i odd = _mm_or_si128(_mm_and_si128(_mm_srli_epi16(a0, 4), nibble), _mm_andnot_si128(nibble, a1));
        const __m256i pair = _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(even, odd));
        _mm256_storeu_si256((__m256i *)offset, _mm256_slli_epi16(pair, 4));
    }
    memset(offset, 0, (TRIPLE - 1) * sizeof *offset);
}

/* sum += x, in place: gcc 12 copies and spills sums of intrinsics that outlive a loop. */
#define ADD(sum, x) __asm__("vpaddb %1, %0, %0" : "+x"(sum) : "x"(x))

/* 32 columns of a row: bytes to 16 bits, set or added to. */
static inline void widen(__m256i count_u8x32, uint16_t *sums, int add)
{
    __m256i *to = (__m256i *)sums;
    __m256i even = _mm256_and_si256(count_u8x32, _mm256_set1_epi16(255)), odd = _mm256_srli_epi16(count_u8x32, 8);
    if (add) even = _mm256_add_epi16(even, to[0]), odd = _mm256_add_epi16(odd, to[1]);
    to[0] = even, to[1] = odd;
}

/* A group of triples from `first` on. */
static inline __attribute__((always_inline)) void count(const int pairs, const int vectors, struct piece *p, size_t first,
                                                        size_t triples)
{
    const __m256i nibble = _mm256_set1_epi8(15);
    const uint16_t *offset = p->offset[0] + TRIPLE * first, *end = offset + TRIPLE * triples;
    const uint8_t *panel = p->panel + TRIPLE * first * BNN_TILE;
    __m256i both[PAIRS][VECTORS], high[PAIRS][VECTORS];
    UNROLL for (int i = 0; i < pairs; i++)
        UNROLL for (int v = 0; v < vectors; v++) both[i][v] = high[i][v] = _mm256_setzero_si256();
    for (; offset != end; offset += TRIPLE, panel += TRIPLE * BNN_TILE) {
        __m256i three[PAIRS][VECTORS];
        UNROLL for (int n = 0; n < TRIPLE; n++)
            UNROLL for (int i = 0; i < pairs; i++) {
                const uint8_t *own = (const uint8_t *)tables + offset[i * PIECE_NIBBLES + n];
                const __m256i table = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)own));
                UNROLL for (int v = 0; v < vectors; v++) {
                    const __m256i index = _mm256_load_si256((const __m256i *)(panel + n * BNN_TILE + v * WIDTH));
                    const __m256i one = _mm256_shuffle_epi8(table, index);
                    if (n) ADD(three[i][v], one);
                    else three[i][v] = one;
                }
            }
        UNROLL for (int i = 0; i < pairs; i++)
            UNROLL for (int v = 0; v < vectors; v++) {
                ADD(both[i][v], three[i][v]);
                ADD(high[i][v], _mm256_and_si256(_mm256_srli_epi16(three[i][v], 4), nibble));
            }
    }
    UNROLL for (int i = 0; i < pairs; i++)
        UNROLL for (int v = 0; v < vectors; v++) {
            const __m256i high16 = _mm256_andnot_si256(nibble, _mm256_slli_epi16(high[i][v], 4));
            widen(_mm256_sub_epi8(both[i][v], high16), p->sums[2 * i] + v * WIDTH, first != 0);
            widen(high[i][v], p->sums[2 * i + 1] + v * WIDTH, first != 0);
        }
}

/* All groups.  Functions of their own, in which the registers suffice. */
#define EACH_GROUP(PAIRS, VECTORS)                                     \
    for (size_t first = 0; first < p->triples; first += p->length)     \
        count(PAIRS, VECTORS, p, first, bnn_min(p->length, p->triples - first))
static __attribute__((noinline)) void count_four_rows(struct piece *p) { EACH_GROUP(2, 2); }
static __attribute__((noinline)) void count_two_rows(struct piece *p) { EACH_GROUP(1, 2); }
static __attribute__((noinline)) void count_narrow(struct piece *p) { EACH_GROUP(2, 1); }

/* y [columns] = base - 2 * sums, or that subtracted from y. */
static void put(const uint16_t *sums, int32_t base, int32_t *y, size_t columns, int add)
{
    const __m256i lane = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    for (size_t j = 0; j < columns; j += 8) {
        /* A vector of even columns and one of odd ones unpack to columns 0 ... 7, 16 ... 23 and 8 ... 15, 24 ... 31. */
        const uint16_t *from = sums + j / WIDTH * WIDTH + j / 16 % 2 * 8 + j / 8 % 2 * 4;
        const __m128i even = _mm_loadl_epi64((const __m128i *)from), odd = _mm_loadl_epi64((const __m128i *)(from + 16));
        const __m256i count_i32x8 = _mm256_cvtepu16_epi32(_mm_unpacklo_epi16(even, odd));
        const __m256i twice = _mm256_add_epi32(count_i32x8, count_i32x8), start = _mm256_set1_epi32(base);
        __m256i *to = (__m256i *)(y + j);
        if (columns - j >= 8) {
            _mm256_storeu_si256(to, _mm256_sub_epi32(add ? _mm256_loadu_si256(to) : start, twice));
        } else {
            const __m256i live = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)(columns - j)), lane);
            const __m256i before = add ? _mm256_maskload_epi32(y + j, live) : start;
            _mm256_maskstore_epi32(y + j, live, _mm256_sub_epi32(before, twice));
        }
    }
}

/* All rows of a against a piece. */
static void all_rows(const uint64_t *a, size_t rows, size_t stride, size_t words, struct piece *p, size_t width,
                     int32_t base, int32_t *y, size_t y_stride, int add)
{
    for (size_t row = 0; row < rows; row += ROWS, a += ROWS * stride) {
        const size_t some = bnn_min(ROWS, rows - row);
        for (size_t i = 0; i < some; i += 2)
            find_tables(a + i * stride, a + (i + 1 < some ? i + 1 : i) * stride, words, p->offset[i / 2]);
        (width <= WIDTH ? count_narrow : some > 2 ? count_four_rows : count_two_rows)(p);
        for (size_t i = 0; i < some; i++) put(p->sums[i], base, y + (row + i) * y_stride, width, add);
    }
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
    if (rows < PANEL_PAYS || !depth) {
        few_rows(a, rows, a_stride_words, b, columns, b_stride_words, depth, y, y_stride);
        return;
    }
    const size_t all_words = bnn_words(depth), length = bnn_ceil_div(all_words, bnn_ceil_div(all_words, PIECE_WORDS));
    struct piece p = {.panel = panel};
    for (size_t j = 0; j < columns; j += BNN_TILE)
        for (size_t k = 0; k < all_words; k += length) {
            const size_t words = bnn_min(length, all_words - k), width = bnn_min(BNN_TILE, columns - j);
            const size_t nibbles = bnn_ceil_div(bnn_min(words * BNN_WORD_BITS, depth - k * BNN_WORD_BITS), NIBBLE_BITS);
            p.triples = bnn_ceil_div(nibbles, TRIPLE);
            p.length = bnn_ceil_div(p.triples, bnn_ceil_div(p.triples, MOST_TRIPLES));
            lay(b + j * b_stride_words + k, b_stride_words, words, width, panel);
            all_rows(a + k, rows, a_stride_words, words, &p, width, (int32_t)depth, y + j, y_stride, k != 0);
        }
}
#endif
