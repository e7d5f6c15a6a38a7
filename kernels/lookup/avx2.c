/* avx2.c: look-ups of 32 bytes at a time, in tables of halves: two looked-up bytes add up to a byte.
 *
 * Halves.  The sums of a table are all odd or all even, as its four values say.  The table holds h = (sum + q) / 2, rounded
 * down, where q is 0 for a row's first table and changes after each odd one: odd sums are rounded down and up in turn, and
 * over the row, sum = 2 * (sum of h) + odd, where odd says whether its number of odd tables is.  If it is, the first table
 * is made one higher, so that it shows:
 *
 *     sum = 2 * (sum of h) - odd,      odd = (h[0] + h[15] + 1) >> 1 of the first table
 *
 * because h[0] and h[15] come from opposite sums and add up to -1 or 0, or, one higher, to 1 or 2.  Tables are [group][4][16]
 * bytes h + OFFSET; -62 <= h <= 63, so that two of them add up to at most 254.
 *
 * Panel.  [tap][group][4][2 halves][32] bytes; even and odd ones, widened to 16 bits, unpack to runs of eight columns: bytes
 * 2w and 2w + 1 of a half are columns f(w) and 16 + f(w), f = 0 ... 3, 8 ... 11, 4 ... 7, 12 ... 15.
 *
 * Sums of 16 bits.  all += x and odd += x >> 8 take the bytes of x as words: in the end odd is the sum of odd bytes, and
 * all - (odd << 8) that of even ones.  Both start at -OFFSET a look-up.  |sum| <= 63 * TABLES * PIECE < 2^15, in as many
 * groups as a PIECE.
 *
 *   instruction                MAC     per cycle on Zen 4 (ymm)      per row, two tables and 32 columns
 *   vpshufb                    128     2                             2
 *   vpaddb, vpaddw             -       4                             3
 *   vpsrlw                     -       2                             1
 *   vbroadcasti128, vmovdqa    -       2 loads                       2
 *   Four instructions a cycle would be 171 MAC; on registers they reach 143 (kernels/limit).
 */
#if defined(__x86_64__)
#pragma GCC target("avx2,bmi,bmi2,popcnt")
#include <immintrin.h>

#include "lookup.h"

enum { TABLES = 4, ENTRIES = 16, DEPTHS = 4, OFFSET = 64, LANES = 8, WIDTH = 32, ROWS = 4, PIECE = 128 };
#define UNROLL _Pragma("GCC unroll 8")

static inline __m128i part_of(__m128i a, enum bnn_lookup_part part)
{
    if (part == BNN_lookup_whole) return a;
    const __m128i size = _mm_abs_epi8(a);
    const __m128i low = _mm_and_si128(size, _mm_set1_epi8(3));
    const __m128i high = _mm_and_si128(_mm_srli_epi16(size, 2), _mm_set1_epi8(63));
    return _mm_sign_epi8(part == BNN_lookup_high ? high : low, a);
}

/* The halves of two tables: `both` has their eight values and the opposite ones; bits 0 and 4 of q are theirs.  pick<i> says
 * which of them entry n adds for depth i: the opposite one where bit i of n is set. */
static inline __m256i two_tables(__m128i both, unsigned q)
{
    const __m256i pick0 = _mm256_set_epi8(12, 4, 12, 4, 12, 4, 12, 4, 12, 4, 12, 4, 12, 4, 12, 4,
                                          8, 0, 8, 0, 8, 0, 8, 0, 8, 0, 8, 0, 8, 0, 8, 0);
    const __m256i pick1 = _mm256_set_epi8(13, 13, 5, 5, 13, 13, 5, 5, 13, 13, 5, 5, 13, 13, 5, 5,
                                          9, 9, 1, 1, 9, 9, 1, 1, 9, 9, 1, 1, 9, 9, 1, 1);
    const __m256i pick2 = _mm256_set_epi8(14, 14, 14, 14, 6, 6, 6, 6, 14, 14, 14, 14, 6, 6, 6, 6,
                                          10, 10, 10, 10, 2, 2, 2, 2, 10, 10, 10, 10, 2, 2, 2, 2);
    const __m256i pick3 = _mm256_set_epi8(15, 15, 15, 15, 15, 15, 15, 15, 7, 7, 7, 7, 7, 7, 7, 7,
                                          11, 11, 11, 11, 11, 11, 11, 11, 3, 3, 3, 3, 3, 3, 3, 3);
    const __m256i own = _mm256_set_m128i(_mm_set1_epi16(16), _mm_set1_epi16(1));
    const __m256i values = _mm256_broadcastsi128_si256(both);
    const __m256i sum = _mm256_add_epi8(
        _mm256_add_epi8(_mm256_shuffle_epi8(values, pick0), _mm256_shuffle_epi8(values, pick1)),
        _mm256_add_epi8(_mm256_shuffle_epi8(values, pick2), _mm256_shuffle_epi8(values, pick3)));
    /* vpavgb adds 1 of its own: 127, and 1 more where q is 1, make (sum + 128 + q) / 2. */
    const __m256i up = _mm256_cmpeq_epi16(_mm256_and_si256(_mm256_set1_epi16((short)q), own), own);
    const __m256i offset = _mm256_sub_epi8(_mm256_set1_epi8(2 * OFFSET - 1), up);
    return _mm256_avg_epu8(_mm256_add_epi8(sum, offset), _mm256_setzero_si256());
}

void bnn_lookup_tables_i8_avx2(const int8_t *a, size_t rows, size_t a_stride, size_t depth,
                               enum bnn_lookup_part part, uint8_t *tables, size_t stride_bytes)
{
    for (size_t row = 0; row < rows; row++, a += a_stride, tables += stride_bytes) {
        unsigned q = 0; /* 0 or 1 */
        for (size_t k = 0; k < depth; k += BNN_LOOKUP_GROUP) {
            __m128i values;
            if (depth - k >= BNN_LOOKUP_GROUP) values = _mm_loadu_si128((const __m128i *)(a + k));
            else {
                int8_t whole[BNN_LOOKUP_GROUP] = {0};
                memcpy(whole, a + k, depth - k);
                values = _mm_loadu_si128((const __m128i *)whole);
            }
            values = part_of(values, part);
            const __m128i opposite = _mm_sub_epi8(_mm_setzero_si128(), values);
            /* Bit i: whether the values up to i have an odd sum. */
            unsigned odd = (unsigned)_mm_movemask_epi8(_mm_slli_epi16(values, 7));
            odd ^= odd << 1, odd ^= odd << 2, odd ^= odd << 4, odd ^= odd << 8;
            odd = (odd << 1 ^ (0 - q)) & 0x1ffff;
            __m256i *to = (__m256i *)(tables + k / BNN_LOOKUP_GROUP * BNN_LOOKUP_TABLE_BYTES);
            _mm256_store_si256(to, two_tables(_mm_unpacklo_epi64(values, opposite), odd));
            _mm256_store_si256(to + 1, two_tables(_mm_unpackhi_epi64(values, opposite), odd >> 8));
            q = odd >> 16;
        }
        if (q) {
            __m128i *first = (__m128i *)tables;
            _mm_store_si128(first, _mm_add_epi8(_mm_load_si128(first), _mm_set1_epi8(1)));
        }
    }
}

/* The odd runs of `width` bits of a change places with the even ones of b. */
static inline void exchange(__m256i *a, __m256i *b, int width, __m256i even)
{
    const __m256i differing = _mm256_and_si256(_mm256_xor_si256(_mm256_srli_epi64(*a, width), *b), even);
    *b = _mm256_xor_si256(*b, differing);
    *a = _mm256_xor_si256(*a, _mm256_slli_epi64(differing, width));
}

/* Nibble vectors of columns 8p + i (or 8p + 4 + i), i = 0 ... 3: quad word s has table s, byte by byte p = 0, 2, 1, 3, 4, 6, 5,
 * 7.  They become lanes of 16 bytes: lane[half][s & 1] has table s & 1 of the 32 columns of a half, then table s | 2. */
static inline void interleave(const __m256i *from, __m256i lane[2][2])
{
    const __m256i even01 = _mm256_unpacklo_epi16(from[0], from[1]), even23 = _mm256_unpacklo_epi16(from[2], from[3]);
    const __m256i odd01 = _mm256_unpackhi_epi16(from[0], from[1]), odd23 = _mm256_unpackhi_epi16(from[2], from[3]);
    lane[0][0] = _mm256_unpacklo_epi32(even01, even23), lane[1][0] = _mm256_unpackhi_epi32(even01, even23);
    lane[0][1] = _mm256_unpacklo_epi32(odd01, odd23), lane[1][1] = _mm256_unpackhi_epi32(odd01, odd23);
}

void bnn_lookup_lay_u1_avx2(const uint64_t *b, size_t b_stride_words, size_t depth, size_t columns, uint8_t *panel)
{
    (void)columns; /* those past the last give sums that nobody stores */
    const __m256i order = _mm256_set_epi8(15, 13, 14, 12, 11, 9, 10, 8, 7, 5, 6, 4, 3, 1, 2, 0,
                                          15, 13, 14, 12, 11, 9, 10, 8, 7, 5, 6, 4, 3, 1, 2, 0);
    const __m256i nibble = _mm256_set1_epi8(15);
    for (size_t k = 0; k < depth; k += BNN_LOOKUP_GROUP, panel += BNN_LOOKUP_PANEL_BYTES) {
        const uint64_t *from = b + k * b_stride_words;
        size_t stride = b_stride_words;
        uint64_t last[BNN_LOOKUP_GROUP];
        if (depth - k < BNN_LOOKUP_GROUP) {
            for (size_t i = 0; i < BNN_LOOKUP_GROUP; i++) last[i] = k + i < depth ? from[i * stride] : 0;
            from = last, stride = 1;
        }
        __m256i signs[DEPTHS]; /* quad word s: depth 4s + i */
        for (size_t i = 0; i < DEPTHS; i++)
            signs[i] = _mm256_set_epi64x((int64_t)from[(12 + i) * stride], (int64_t)from[(8 + i) * stride],
                                         (int64_t)from[(4 + i) * stride], (int64_t)from[i * stride]);
        /* Blocks of four by four bits are transposed: nibble m of vector i becomes the four signs of column 4m + i. */
        exchange(&signs[0], &signs[1], 1, _mm256_set1_epi8(0x55));
        exchange(&signs[2], &signs[3], 1, _mm256_set1_epi8(0x55));
        exchange(&signs[0], &signs[2], 2, _mm256_set1_epi8(0x33));
        exchange(&signs[1], &signs[3], 2, _mm256_set1_epi8(0x33));
        __m256i low[DEPTHS], high[DEPTHS], low_lane[2][2], high_lane[2][2];
        for (size_t i = 0; i < DEPTHS; i++) {
            const __m256i ordered = _mm256_shuffle_epi8(signs[i], order);
            low[i] = _mm256_and_si256(ordered, nibble);
            high[i] = _mm256_and_si256(_mm256_srli_epi16(ordered, 4), nibble);
        }
        interleave(low, low_lane);
        interleave(high, high_lane);
        for (size_t half = 0; half < 2; half++)
            for (size_t odd = 0; odd < 2; odd++) {
                const __m256i l = low_lane[half][odd], h = high_lane[half][odd];
                uint8_t *to = panel + odd * BNN_TILE + half * WIDTH;
                _mm256_store_si256((__m256i *)to, _mm256_permute2x128_si256(l, h, 0x20));
                _mm256_store_si256((__m256i *)(to + 2 * BNN_TILE), _mm256_permute2x128_si256(l, h, 0x31));
            }
    }
}

/* A part of a product: some taps, and some groups of each. */
struct piece {
    const uint8_t *panel; /* of the first group of the first tap */
    size_t taps, all_taps;
    size_t first, groups, all_groups;
    size_t columns;
    int weight, add;
};

/* In place: gcc 12 copies and spills sums of intrinsics that outlive a loop. */
#define ADD(sum, term) __asm__("vpaddw %1, %0, %0" : "+x"(sum) : "x"(term))

static inline __m256i both_lanes(const uint8_t *table)
{
    return _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)table));
}

/* Sums to up to eight columns of c. */
static inline void put(__m256i sum, int32_t *c, int columns, int add)
{
    const __m256i lane = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    if (columns >= LANES) {
        if (add) sum = _mm256_add_epi32(sum, _mm256_loadu_si256((const __m256i *)c));
        _mm256_storeu_si256((__m256i *)c, sum);
    } else if (columns > 0) {
        const __m256i live = _mm256_cmpgt_epi32(_mm256_set1_epi32(columns), lane);
        if (add) sum = _mm256_add_epi32(sum, _mm256_maskload_epi32(c, live));
        _mm256_maskstore_epi32(c, live, sum);
    }
}

static inline __attribute__((always_inline)) void tile(const int rows, const int halves, const uint8_t *const *tables,
                                                       const struct piece *p, int32_t *c, size_t c_stride)
{
    const int lookups = (int)(TABLES * p->groups * p->taps);
    __m256i all_u16x16[ROWS][2], odd_u16x16[ROWS][2];
    int odd_taps[ROWS] = {0};
    UNROLL for (int row = 0; row < rows; row++)
        UNROLL for (int half = 0; half < halves; half++) {
            all_u16x16[row][half] = _mm256_set1_epi16((short)(-OFFSET * 257 * lookups));
            odd_u16x16[row][half] = _mm256_set1_epi16((short)(-OFFSET * lookups));
        }
    const uint8_t *panel = p->panel;
    for (size_t tap = 0; tap < p->taps; tap++, panel += (p->all_groups - p->groups) * BNN_LOOKUP_PANEL_BYTES) {
        const uint8_t *table[ROWS];
        UNROLL for (int row = 0; row < rows; row++) {
            table[row] = tables[row * p->all_taps + tap];
            if (p->first == 0) odd_taps[row] += (table[row][0] + table[row][ENTRIES - 1] - 2 * OFFSET + 1) >> 1;
            table[row] += p->first * BNN_LOOKUP_TABLE_BYTES;
        }
        /* Two tables at a time. */
        for (size_t at = 0; at < p->groups * BNN_LOOKUP_TABLE_BYTES; at += 2 * ENTRIES, panel += 2 * BNN_TILE) {
            __m256i index[2][2];
            UNROLL for (int half = 0; half < halves; half++) {
                index[0][half] = _mm256_load_si256((const __m256i *)(panel + WIDTH * half));
                index[1][half] = _mm256_load_si256((const __m256i *)(panel + BNN_TILE + WIDTH * half));
            }
            UNROLL for (int row = 0; row < rows; row++) {
                const __m256i first = both_lanes(table[row] + at), second = both_lanes(table[row] + at + ENTRIES);
                UNROLL for (int half = 0; half < halves; half++) {
                    const __m256i x_u8x32 = _mm256_add_epi8(_mm256_shuffle_epi8(first, index[0][half]),
                                                            _mm256_shuffle_epi8(second, index[1][half]));
                    ADD(all_u16x16[row][half], x_u8x32);
                    ADD(odd_u16x16[row][half], _mm256_srli_epi16(x_u8x32, 8));
                }
            }
        }
    }
    const __m256i one = _mm256_set1_epi16(1);
    UNROLL for (int row = 0; row < rows; row++) {
        /* vpmaddwd: the sum times 2 * weight, and 1 times what the odd taps are too high by. */
        const uint32_t pair = (uint16_t)(2 * p->weight) | (uint32_t)(-p->weight * odd_taps[row]) << 16;
        const __m256i weights = _mm256_set1_epi32((int32_t)pair);
        UNROLL for (int half = 0; half < halves; half++) {
            const __m256i odd = odd_u16x16[row][half];
            const __m256i even = _mm256_sub_epi16(all_u16x16[row][half], _mm256_slli_epi16(odd, 8));
            const __m256i sums[4] = {_mm256_unpacklo_epi16(even, one), _mm256_unpackhi_epi16(even, one),
                                     _mm256_unpacklo_epi16(odd, one), _mm256_unpackhi_epi16(odd, one)};
            UNROLL for (int run = 0; run < 4; run++) {
                const int column = WIDTH * half + LANES * run;
                put(_mm256_madd_epi16(sums[run], weights), c + row * c_stride + column, (int)p->columns - column, p->add);
            }
        }
    }
}

static void all_rows(const uint8_t *const *tables, size_t rows, const struct piece *p, int32_t *c, size_t c_stride)
{
    if (p->columns <= WIDTH) {
        for (; rows >= ROWS; rows -= ROWS, tables += ROWS * p->all_taps, c += ROWS * c_stride)
            tile(ROWS, 1, tables, p, c, c_stride);
        for (; rows; rows--, tables += p->all_taps, c += c_stride) tile(1, 1, tables, p, c, c_stride);
    }
    for (; rows >= 2; rows -= 2, tables += 2 * p->all_taps, c += 2 * c_stride) tile(2, 2, tables, p, c, c_stride);
    if (rows) tile(1, 2, tables, p, c, c_stride);
}

void bnn_lookup_gemm_i32_avx2(const uint8_t *const *tables, size_t rows, size_t taps, size_t groups,
                              const uint8_t *panel, size_t columns, int weight, int32_t *c, size_t c_stride, int add)
{
    const size_t length = bnn_max(1, bnn_min(groups, PIECE)), count = PIECE / length;
    /* At least one piece, which writes c where there is nothing to sum. */
    for (size_t tap = 0; tap == 0 || tap < taps; tap += count)
        for (size_t group = 0; group == 0 || group < groups; group += length) {
            const struct piece p = {panel + (tap * groups + group) * BNN_LOOKUP_PANEL_BYTES,
                                    groups ? bnn_min(count, taps - tap) : 0, taps,
                                    group, bnn_min(length, groups - group), groups,
                                    columns, weight, add || tap || group};
            all_rows(tables + tap, rows, &p, c, c_stride);
        }
}
#endif
