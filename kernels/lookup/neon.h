/* neon.h: what the look-ups of neon.c and neondot.c share: tables of sums, and the product cut into pieces. */
#ifndef BNN_LOOKUP_NEON_H
#define BNN_LOOKUP_NEON_H

#include "../common/neon.h"
#include "lookup.h"

static inline int8x16_t bnn_neon_part(int8x16_t a, enum bnn_lookup_part part)
{
    if (part == BNN_lookup_whole) return a;
    /* Towards 0: negative values gain 3 before the shift. */
    const uint8x16_t negative = vreinterpretq_u8_s8(vshrq_n_s8(a, 7));
    const int8x16_t high = vshrq_n_s8(vreinterpretq_s8_u8(vsraq_n_u8(vreinterpretq_u8_s8(a), negative, 6)), 2);
    return part == BNN_lookup_high ? high : vsubq_s8(a, vshlq_n_s8(high, 2));
}

/* Sixteen values each of `count` rows, one or two, to the four tables of their sums.  A sum is one of the four of
 * (a0, a1) plus one of the four of (a2, a3); a half has those of four pairs: bytes of a0 + a1, a1 - a0, and the opposite
 * ones.  |sum| <= 4 * 31. */
static inline __attribute__((always_inline)) void bnn_neon_tables(const int count, const int8x16_t value[2],
                                                                  enum bnn_lookup_part part, int8x16_t table[2][4])
{
    static const uint8_t pick[4][16] = {
        {0, 4, 12, 8, 0, 4, 12, 8, 0, 4, 12, 8, 0, 4, 12, 8},
        {1, 1, 1, 1, 5, 5, 5, 5, 13, 13, 13, 13, 9, 9, 9, 9},
        {2, 6, 14, 10, 2, 6, 14, 10, 2, 6, 14, 10, 2, 6, 14, 10},
        {3, 3, 3, 3, 7, 7, 7, 7, 15, 15, 15, 15, 11, 11, 11, 11},
    };
    int8x16_t half[2][2];
    for (int i = 0; i < count; i++) {
        const int8x16_t a = bnn_neon_part(value[i], part);
        const int8x16_t even = vuzp1q_s8(a, a), odd = vuzp2q_s8(a, a);
        const int8x16_t both = vreinterpretq_s8_s64(vzip1q_s64(vreinterpretq_s64_s8(vaddq_s8(even, odd)),
                                                               vreinterpretq_s64_s8(vsubq_s8(odd, even))));
        const int32x4_t sums = vreinterpretq_s32_s8(both), opposite = vreinterpretq_s32_s8(vnegq_s8(both));
        half[i][0] = vreinterpretq_s8_s32(vuzp1q_s32(sums, opposite));
        half[i][1] = vreinterpretq_s8_s32(vuzp2q_s32(sums, opposite));
    }
    int8x16_t other[2][4];
    for (int s = 0; s < 4; s++)
        for (int i = 0; i < count; i++) {
            table[i][s] = vqtbl1q_s8(half[i][s / 2], vld1q_u8(pick[s % 2 * 2]));
            other[i][s] = vqtbl1q_s8(half[i][s / 2], vld1q_u8(pick[s % 2 * 2 + 1]));
        }
    for (int s = 0; s < 4; s++)
        for (int i = 0; i < count; i++) table[i][s] = vaddq_s8(table[i][s], other[i][s]);
}

/* Some taps and groups of a product, few enough for sums of 16 bits. */
struct bnn_neon_piece {
    const uint8_t *panel; /* of the first tap */
    size_t taps, all_taps, first, groups, all_groups, columns;
    int weight, add;
};

/* Four of c = scale * sum + base, or that added to c. */
static inline int32x4_t bnn_neon_of_sums(int16x4_t sums, int16_t scale, int32x4_t base, const int32_t *c, int add)
{
    return vmlal_n_s16(add ? vaddq_s32(base, vld1q_s32(c)) : base, sums, scale);
}

/* c = scale * sum + base, or that added to c; sums [BNN_TILE]. */
static inline void bnn_neon_put(const int16_t *sums, int16_t scale, int32_t base, int32_t *c, size_t columns, int add)
{
    const int32x4_t base_i32x4 = vdupq_n_s32(base);
    if (columns == BNN_TILE) {
        for (size_t j = 0; j < BNN_TILE; j += 16) { /* all loads before the first store */
            int32x4_t result[4];
            _Pragma("GCC unroll 4") for (size_t v = 0; v < 4; v++)
                result[v] = bnn_neon_of_sums(vld1_s16(sums + j + 4 * v), scale, base_i32x4, c + j + 4 * v, add);
            _Pragma("GCC unroll 4") for (size_t v = 0; v < 4; v++) vst1q_s32(c + j + 4 * v, result[v]);
        }
        return;
    }
    for (size_t j = 0; j < columns; j++) c[j] = (add ? c[j] : 0) + scale * sums[j] + base;
}

typedef void bnn_neon_rows_fn(const uint8_t *const *tables, size_t rows, const struct bnn_neon_piece *p,
                              int32_t *c, size_t c_stride);

/* The product in pieces of at most `limit` groups, of one tap or of several. */
static inline __attribute__((always_inline)) void bnn_neon_pieces(
    bnn_neon_rows_fn *all_rows, size_t limit, const uint8_t *const *tables, size_t rows, size_t taps, size_t groups,
    const uint8_t *panel, size_t columns, int weight, int32_t *c, size_t c_stride, int add)
{
    const size_t length = bnn_max(1, bnn_min(groups, limit)), count = limit / length;
    /* At least one piece, which writes c where there is nothing to sum. */
    for (size_t tap = 0; tap == 0 || tap < taps; tap += count)
        for (size_t group = 0; group == 0 || group < groups; group += length) {
            const struct bnn_neon_piece p = {panel + tap * groups * BNN_LOOKUP_PANEL_BYTES,
                                             groups ? bnn_min(count, taps - tap) : 0, taps,
                                             group, bnn_min(length, groups - group), groups,
                                             columns, weight, add || tap || group};
            all_rows(tables + tap, rows, &p, c, c_stride);
        }
}

#endif
