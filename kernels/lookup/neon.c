/* neon.c: look-ups of 16 bytes at a time, in tables of halves: two looked-up bytes add up to a byte.
 *
 * Halves, as in avx2.c.  The sums of a table are all odd or all even.  The table holds h = (sum + q) / 2, rounded down,
 * where q is 0 for a row's first table and changes after each odd one, so that over a row, sum = 2 * (sum of h) + odd,
 * where odd says whether its number of odd tables is.  If it is, the first table is made one higher, so that it shows:
 *
 *     sum = 2 * (sum of h) - odd,      odd = (h[0] + h[15] + 1) >> 1 of the first table
 *
 * because h[0] and h[15] come from opposite sums and add up to -1 or 0, or, one higher, to 1 or 2.  -62 <= h <= 63: two
 * of them are within -124 ... 126.  Tables are [group][4][16] bytes.
 *
 * Panel.  Of a tap's bytes the first half is used, half the cache: [group][2][64 columns], the nibbles of a byte index
 * two neighbouring tables, the even one by the low nibble.
 *
 * Sums of 16 bits: |sum| <= 126 * 2 * PIECE < 2^15, in as many groups as a PIECE.
 *
 * A tile is 2 rows by 64 columns or 4 by 32: 16 sums.  Tables are most of what is read, so that wide tiles suit caches.
 *
 *   per two tables, 2 rows by 64 columns (1024 MAC)   instructions   cycles on A53   64-bit slots on A72, 3 a cycle
 *   ldr q      4 of tables, 4 of indices              8              16              16
 *   and, ushr  nibbles                                8              8               16
 *   tbl                                               16             16              48
 *   add                                               8              8               16
 *   saddw      of halves                              16             16              32
 *   The limits are 16 MAC a cycle on A53 and 24 on A72.
 */
#if defined(__aarch64__)
#include "neon.h"

enum { TABLES = 4, ENTRIES = 16, DEPTHS = 8, ROWS = 4, LANES = 16, VECTORS = BNN_TILE / LANES, PIECE = 128 };
#define UNROLL _Pragma("GCC unroll 8")
/* The order of look-ups in a tile: along its shorter side. */
#define ROW(i) (rows > vectors ? (i) / vectors : (i) % rows)
#define VECTOR(i) (rows > vectors ? (i) % vectors : (i) / rows)

void bnn_lookup_tables_i8_neon(const int8_t *a, size_t rows, size_t a_stride, size_t depth,
                               enum bnn_lookup_part part, uint8_t *tables, size_t stride_bytes)
{
    const int8x16_t one = vdupq_n_s8(1);
    for (size_t row = 0; row < rows; row++, a += a_stride, tables += stride_bytes) {
        int8_t *const first = (int8_t *)tables, *to = first;
        int8x16_t odd = vdupq_n_s8(0); /* bit 0: q of the next table */
        for (size_t k = 0; k < depth; k += BNN_LOOKUP_GROUP) {
            int8x16_t table[TABLES];
            bnn_neon_tables(bnn_neon_part(bnn_neon_load_part(a + k, depth - k), part), table);
            for (int s = 0; s < TABLES; s++, to += ENTRIES) {
                vst1q_s8(to, vhaddq_s8(table[s], vandq_s8(odd, one)));
                odd = veorq_s8(odd, table[s]);
            }
        }
        if (depth) vst1q_s8(first, vaddq_s8(vld1q_s8(first), vandq_s8(odd, one)));
    }
}

void bnn_lookup_lay_u1_neon(const uint64_t *b, size_t b_stride_words, size_t depth, size_t columns, uint8_t *panel)
{
    (void)columns; /* those past the last give sums that nobody stores */
    for (size_t k = 0; k < bnn_round_up(depth, BNN_LOOKUP_GROUP); k += DEPTHS, panel += BNN_TILE) {
        uint8x16_t index[VECTORS];
        const size_t first = bnn_min(k, depth - 1), count = k < depth ? depth - k : 0;
        bnn_neon_transpose_words(b + first * b_stride_words, b_stride_words, count, index);
        for (int v = 0; v < VECTORS; v++) vst1q_u8(panel + LANES * v, index[v]);
    }
}

static inline __attribute__((always_inline)) void tile(const int rows, const int vectors, const uint8_t *const *tables,
                                                       const struct bnn_neon_piece *p, int32_t *c, size_t c_stride)
{
    int16x8_t sum_i16x8[ROWS][VECTORS][2];
    int odd_taps[ROWS] = {0};
    const uint8x16_t nibble = vdupq_n_u8(15);
    UNROLL for (int row = 0; row < rows; row++)
        UNROLL for (int v = 0; v < vectors; v++) sum_i16x8[row][v][0] = sum_i16x8[row][v][1] = vdupq_n_s16(0);
    for (size_t tap = 0; tap < p->taps; tap++) {
        const uint8_t *panel = p->panel + tap * p->all_groups * BNN_LOOKUP_PANEL_BYTES + p->first * 2 * BNN_TILE;
        const int8_t *table[ROWS];
        UNROLL for (int row = 0; row < rows; row++) {
            table[row] = (const int8_t *)tables[row * p->all_taps + tap];
            if (p->first == 0) odd_taps[row] += (table[row][0] + table[row][ENTRIES - 1] + 1) >> 1;
            table[row] += p->first * BNN_LOOKUP_TABLE_BYTES;
        }
        for (size_t at = 0; at < p->groups * BNN_LOOKUP_TABLE_BYTES; at += 2 * ENTRIES, panel += BNN_TILE) {
            int8x16_t even[ROWS], odd[ROWS];
            uint8x16_t index[VECTORS];
            UNROLL for (int row = 0; row < rows; row++)
                even[row] = vld1q_s8(table[row] + at), odd[row] = vld1q_s8(table[row] + at + ENTRIES);
            UNROLL for (int v = 0; v < vectors; v++) index[v] = vld1q_u8(panel + LANES * v);
            UNROLL for (int i = 0; i < rows * vectors; i++) {
                const int row = ROW(i), v = VECTOR(i);
                /* Four look-ups in flight. */
                if (i >= 4 && rows > vectors && v == 0)
                    BNN_NEON_AFTER(even[row], sum_i16x8[ROW(i - 3)][VECTOR(i - 3)][1]);
                if (i >= 4 && rows <= vectors && row == 0)
                    BNN_NEON_AFTER(index[v], sum_i16x8[ROW(i - 3)][VECTOR(i - 3)][1]);
                const int8x16_t x_i8x16 = vaddq_s8(vqtbl1q_s8(even[row], vandq_u8(index[v], nibble)),
                                                   vqtbl1q_s8(odd[row], vshrq_n_u8(index[v], 4)));
                sum_i16x8[row][v][0] = vaddw_s8(sum_i16x8[row][v][0], vget_low_s8(x_i8x16));
                sum_i16x8[row][v][1] = vaddw_high_s8(sum_i16x8[row][v][1], x_i8x16);
            }
        }
    }
    UNROLL for (int row = 0; row < rows; row++) {
        int16_t sums[BNN_TILE];
        UNROLL for (int v = 0; v < 2 * vectors; v++) vst1q_s16(sums + 8 * v, sum_i16x8[row][v / 2][v % 2]);
        bnn_neon_put(sums, (int16_t)(2 * p->weight), -p->weight * odd_taps[row], c + row * c_stride, p->columns,
                     p->add);
    }
}

static void all_rows(const uint8_t *const *tables, size_t rows, const struct bnn_neon_piece *p,
                     int32_t *c, size_t c_stride)
{
    if (p->columns <= LANES)
        for (; rows >= 4; rows -= 4, tables += 4 * p->all_taps, c += 4 * c_stride) tile(4, 1, tables, p, c, c_stride);
    else if (p->columns <= 2 * LANES)
        for (; rows >= 4; rows -= 4, tables += 4 * p->all_taps, c += 4 * c_stride) tile(4, 2, tables, p, c, c_stride);
    for (; rows >= 2; rows -= 2, tables += 2 * p->all_taps, c += 2 * c_stride) tile(2, VECTORS, tables, p, c, c_stride);
    if (rows) tile(1, VECTORS, tables, p, c, c_stride);
}

void bnn_lookup_gemm_i32_neon(const uint8_t *const *tables, size_t rows, size_t taps, size_t groups,
                              const uint8_t *panel, size_t columns, int weight, int32_t *c, size_t c_stride, int add)
{
    bnn_neon_pieces(all_rows, PIECE, tables, rows, taps, groups, panel, columns, weight, c, c_stride, add);
}
#endif
