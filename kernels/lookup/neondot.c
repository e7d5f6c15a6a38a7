/* neondot.c: look-ups of 16 bytes at a time in two tables at once.  The code is armv8-a, but pays only where a tbl of
 * two registers is as fast as one of one: on Cortex-A76 and its like, which also are the first to have SDOT.
 *
 * Tables are [group][4][16] signed bytes.  Panel: [group][2][8 vectors of 8 columns][16] indices; lanes 2j and 2j + 1
 * index two neighbouring tables for column j: 0 ... 15 in the even one, 16 ... 31 in the odd one, and sadalp adds both.
 * Sums of 16 bits: |sum| <= 4 * 124 * PIECE < 2^15, in as many groups as a PIECE.
 * A tile is 2 rows by 64 columns or 4 by 32: 16 sums.
 *
 *   per two tables, 2 rows by 64 columns (1024 MAC)     instructions     per cycle on A76
 *   tbl {2}                                             16               2
 *   sadalp                                              16               1
 *   ldr q      4 of tables, 8 of indices                12               2
 *   The limit is 64 MAC a cycle, for both of sadalp alone and of two vector instructions a cycle.
 */
#if defined(__aarch64__)
#include "neon.h"

enum { TABLES = 4, ENTRIES = 16, DEPTHS = 8, ROWS = 4, LANES = 8, VECTORS = BNN_TILE / LANES, PIECE = 64 };
#define UNROLL _Pragma("GCC unroll 8")

void bnn_lookup_tables_i8_neondot(const int8_t *a, size_t rows, size_t a_stride, size_t depth,
                                  enum bnn_lookup_part part, uint8_t *tables, size_t stride_bytes)
{
    for (size_t row = 0; row < rows; row++, a += a_stride, tables += stride_bytes) {
        int8_t *to = (int8_t *)tables;
        for (size_t k = 0; k < depth; k += BNN_LOOKUP_GROUP) {
            int8x16_t table[2][TABLES];
            const int8x16_t value[2] = {bnn_neon_load_part(a + k, depth - k)};
            bnn_neon_tables(1, value, part, table);
            for (int s = 0; s < TABLES; s++, to += ENTRIES) vst1q_s8(to, table[0][s]);
        }
    }
}

void bnn_lookup_lay_u1_neondot(const uint64_t *b, size_t b_stride_words, size_t depth, size_t columns, uint8_t *panel)
{
    (void)columns; /* those past the last give sums that nobody stores */
    const uint8x16_t nibble = vdupq_n_u8(15), second = vdupq_n_u8(ENTRIES);
    for (size_t k = 0; k < bnn_round_up(depth, BNN_LOOKUP_GROUP); k += DEPTHS) {
        uint8x16_t both[4];
        const size_t first = bnn_min(k, depth - 1), count = k < depth ? depth - k : 0;
        bnn_neon_transpose_words(b + first * b_stride_words, b_stride_words, count, both);
        for (int v = 0; v < 4; v++, panel += 32) {
            const uint8x16_t low = vandq_u8(both[v], nibble), high = vorrq_u8(vshrq_n_u8(both[v], 4), second);
            vst1q_u8(panel, vzip1q_u8(low, high));
            vst1q_u8(panel + 16, vzip2q_u8(low, high));
        }
    }
}

/* Two tables as one operand, and look-ups in them: gcc 12 copies both registers for every vqtbl2q_s8. */
static inline int8x16x2_t load_two(const int8_t *table)
{
    int8x16x2_t two;
    __asm__("ld1 {%S0.16b, %T0.16b}, %1" : "=w"(two) : "Q"(*(const int8_t(*)[2 * ENTRIES])table));
    return two;
}

static inline int8x16_t look_up(int8x16x2_t two, uint8x16_t index)
{
    int8x16_t looked;
    __asm__("tbl %0.16b, {%S1.16b, %T1.16b}, %2.16b" : "=w"(looked) : "w"(two), "w"(index));
    return looked;
}

static inline __attribute__((always_inline)) void tile(const int rows, const int vectors, const uint8_t *const *tables,
                                                       const struct bnn_neon_piece *p, int32_t *c, size_t c_stride)
{
    int16x8_t sum_i16x8[ROWS][VECTORS];
    UNROLL for (int row = 0; row < rows; row++)
        UNROLL for (int v = 0; v < vectors; v++) sum_i16x8[row][v] = vdupq_n_s16(0);
    for (size_t tap = 0; tap < p->taps; tap++) {
        const uint8_t *panel = p->panel + (tap * p->all_groups + p->first) * BNN_LOOKUP_PANEL_BYTES;
        const int8_t *table[ROWS];
        UNROLL for (int row = 0; row < rows; row++)
            table[row] = (const int8_t *)tables[row * p->all_taps + tap] + p->first * BNN_LOOKUP_TABLE_BYTES;
        for (size_t at = 0; at < p->groups * BNN_LOOKUP_TABLE_BYTES; at += 2 * ENTRIES, panel += 2 * BNN_TILE) {
            uint8x16_t index[VECTORS];
            UNROLL for (int v = 0; v < vectors; v++) index[v] = vld1q_u8(panel + 16 * v);
            UNROLL for (int row = 0; row < rows; row++) {
                const int8x16x2_t two = load_two(table[row] + at);
                UNROLL for (int v = 0; v < vectors; v++)
                    sum_i16x8[row][v] = vpadalq_s8(sum_i16x8[row][v], look_up(two, index[v]));
            }
        }
    }
    UNROLL for (int row = 0; row < rows; row++) {
        int16_t sums[BNN_TILE];
        UNROLL for (int v = 0; v < vectors; v++) vst1q_s16(sums + LANES * v, sum_i16x8[row][v]);
        bnn_neon_put(sums, (int16_t)p->weight, 0, c + row * c_stride, p->columns, p->add);
    }
}

static void all_rows(const uint8_t *const *tables, size_t rows, const struct bnn_neon_piece *p,
                     int32_t *c, size_t c_stride)
{
    if (p->columns <= 2 * LANES)
        for (; rows >= 4; rows -= 4, tables += 4 * p->all_taps, c += 4 * c_stride) tile(4, 2, tables, p, c, c_stride);
    else if (p->columns <= 4 * LANES)
        for (; rows >= 4; rows -= 4, tables += 4 * p->all_taps, c += 4 * c_stride) tile(4, 4, tables, p, c, c_stride);
    for (; rows >= 2; rows -= 2, tables += 2 * p->all_taps, c += 2 * c_stride) tile(2, VECTORS, tables, p, c, c_stride);
    if (rows) tile(1, VECTORS, tables, p, c, c_stride);
}

void bnn_lookup_gemm_i32_neondot(const uint8_t *const *tables, size_t rows, size_t taps, size_t groups,
                                 const uint8_t *panel, size_t columns, int weight, int32_t *c, size_t c_stride, int add)
{
    bnn_neon_pieces(all_rows, PIECE, tables, rows, taps, groups, panel, columns, weight, c, c_stride, add);
}
#endif
