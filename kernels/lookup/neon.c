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
/* Tables of `count` rows, one or two: the instructions of two fill each other's waits. */
static inline __attribute__((always_inline)) void make_tables(const int count, const int8_t *a, size_t a_stride,
                                                              size_t depth, enum bnn_lookup_part part, int8_t *to,
                                                              size_t stride_bytes)
{
    const int8x16_t one = vdupq_n_s8(1);
    int8x16_t odd[2] = {vdupq_n_s8(0), vdupq_n_s8(0)}; /* bit 0: q of the next table */
    int8_t *const first = to;
    for (size_t k = 0; k < depth; k += BNN_LOOKUP_GROUP, to += BNN_LOOKUP_TABLE_BYTES) {
        int8x16_t value[2], table[2][TABLES];
        for (int i = 0; i < count; i++) value[i] = bnn_neon_load_part(a + i * a_stride + k, depth - k);
        bnn_neon_tables(count, value, part, table);
        UNROLL for (int s = 0; s < TABLES; s++)
            UNROLL for (int i = 0; i < count; i++) {
                const int8x16_t sums = table[i][s];
                table[i][s] = vhaddq_s8(sums, vandq_s8(odd[i], one));
                odd[i] = veorq_s8(odd[i], sums);
            }
        UNROLL for (int i = 0; i < count; i++)
            UNROLL for (int s = 0; s < TABLES; s++) vst1q_s8(to + i * stride_bytes + s * ENTRIES, table[i][s]);
    }
    for (int i = 0; depth && i < count; i++) {
        int8_t *const table = first + i * stride_bytes;
        vst1q_s8(table, vaddq_s8(vld1q_s8(table), vandq_s8(odd[i], one)));
    }
}

static inline __attribute__((always_inline)) void all_tables(const int8_t *a, size_t rows, size_t a_stride, size_t depth,
                                                             enum bnn_lookup_part part, int8_t *to, size_t stride_bytes)
{
    for (; rows >= 2; rows -= 2, a += 2 * a_stride, to += 2 * stride_bytes)
        make_tables(2, a, a_stride, depth, part, to, stride_bytes);
    if (rows) make_tables(1, a, a_stride, depth, part, to, stride_bytes);
}

void bnn_lookup_tables_i8_neon(const int8_t *a, size_t rows, size_t a_stride, size_t depth,
                               enum bnn_lookup_part part, uint8_t *tables, size_t stride_bytes)
{
    /* Whole values without questions in the loop. */
    if (part == BNN_lookup_whole)
        all_tables(a, rows, a_stride, depth, BNN_lookup_whole, (int8_t *)tables, stride_bytes);
    else
        all_tables(a, rows, a_stride, depth, part, (int8_t *)tables, stride_bytes);
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

/* Tables of a row that had to be made one higher (see above), over all taps. */
static int odd_taps(const uint8_t *const *tables, const struct bnn_neon_piece *p)
{
    int odd = 0;
    for (size_t tap = 0; p->first == 0 && tap < p->taps; tap++) {
        const int8_t *first = (const int8_t *)tables[tap];
        odd += (first[0] + first[ENTRIES - 1] + 1) >> 1;
    }
    return odd;
}

static inline __attribute__((always_inline)) void tile(const int rows, const int vectors, const uint8_t *const *tables,
                                                       const struct bnn_neon_piece *p, int32_t *c, size_t c_stride)
{
    int16x8_t sum_i16x8[ROWS][VECTORS][2];
    const uint8x16_t nibble = vdupq_n_u8(15);
    UNROLL for (int row = 0; row < rows; row++)
        UNROLL for (int v = 0; v < vectors; v++) sum_i16x8[row][v][0] = sum_i16x8[row][v][1] = vdupq_n_s16(0);
    for (size_t tap = 0; tap < p->taps; tap++) {
        const uint8_t *panel = p->panel + tap * p->all_groups * BNN_LOOKUP_PANEL_BYTES + p->first * 2 * BNN_TILE;
        const int8_t *table[ROWS];
        UNROLL for (int row = 0; row < rows; row++)
            table[row] = (const int8_t *)tables[row * p->all_taps + tap] + p->first * BNN_LOOKUP_TABLE_BYTES;
        for (size_t at = 0; at < p->groups * BNN_LOOKUP_TABLE_BYTES; at += 2 * ENTRIES, panel += BNN_TILE) {
            int8x16_t even[ROWS], odd[ROWS];
            UNROLL for (int row = 0; row < rows; row++)
                even[row] = vld1q_s8(table[row] + at), odd[row] = vld1q_s8(table[row] + at + ENTRIES);
            UNROLL for (int v = 0; v < vectors; v++) {
                const uint8x16_t index = vld1q_u8(panel + LANES * v);
                UNROLL for (int row = 0; row < rows; row++) {
                    const int8x16_t x_i8x16 = vaddq_s8(vqtbl1q_s8(even[row], vandq_u8(index, nibble)),
                                                       vqtbl1q_s8(odd[row], vshrq_n_u8(index, 4)));
                    sum_i16x8[row][v][0] = vaddw_s8(sum_i16x8[row][v][0], vget_low_s8(x_i8x16));
                    sum_i16x8[row][v][1] = vaddw_high_s8(sum_i16x8[row][v][1], x_i8x16);
                }
            }
        }
    }
    UNROLL for (int row = 0; row < rows; row++) {
        int16_t sums[BNN_TILE] = {0};
        UNROLL for (int v = 0; v < 2 * vectors; v++) vst1q_s16(sums + 8 * v, sum_i16x8[row][v / 2][v % 2]);
        bnn_neon_put(sums, (int16_t)(2 * p->weight), -p->weight * odd_taps(tables + row * p->all_taps, p),
                     c + row * c_stride, p->columns, p->add);
    }
}

/* Sums of two rows and 64 columns, in an order for cores that start instructions in order: between what makes a value and
 * what uses it stand at least six instructions on others; what was looked up last is added in the next step.
 * v0 ... v3: indices of 16 columns, v4 ... v7: an even and an odd table of each row, v8: low nibbles, v9: 15,
 * v10 ... v15: looked up, v16 ... v23 and v24 ... v31: sums of the rows. */
#define TBL(to, table, index) "tbl v" #to ".16b, {v" #table ".16b}, v" #index ".16b\n"
#define LOOK_UP(x, y, index) TBL(x, 4, 8) TBL(14, 5, index) TBL(y, 6, 8) TBL(15, 7, index)
#define ADD_ODD(x, y) "add v" #x ".16b, v" #x ".16b, v14.16b\n" "add v" #y ".16b, v" #y ".16b, v15.16b\n"
#define NIBBLES(index)                                                                                             \
    "and v8.16b, v" #index ".16b, v9.16b\n"                                                                        \
    "ushr v" #index ".16b, v" #index ".16b, #4\n"
#define WIDEN(low, high, x)                                                                                        \
    "saddw v" #low ".8h, v" #low ".8h, v" #x ".8b\n"                                                               \
    "saddw2 v" #high ".8h, v" #high ".8h, v" #x ".16b\n"
#define LOAD_TABLES                                                                                                \
    "ldp q4, q5, [%[table0]]\n" "ldp q6, q7, [%[table1]]\n"
#define LOAD_HALF(x, y, at) "ldp q" #x ", q" #y ", [%[panel], #" #at "]\n"
#define AHEAD "add %[table0], %[table0], #32\n" "add %[table1], %[table1], #32\n" "add %[panel], %[panel], #64\n"
/* Two tables; what comes between the look-ups makes the next two ready. */
#define STEP(AFTER_1, AFTER_3)                                                                                     \
    LOOK_UP(10, 11, 0) NIBBLES(1) WIDEN(22, 23, 12) WIDEN(30, 31, 13) ADD_ODD(10, 11)                              \
    LOOK_UP(12, 13, 1) NIBBLES(2) AFTER_1 WIDEN(16, 17, 10) WIDEN(24, 25, 11) ADD_ODD(12, 13)                      \
    LOOK_UP(10, 11, 2) NIBBLES(3) WIDEN(18, 19, 12) WIDEN(26, 27, 13) ADD_ODD(10, 11)                              \
    LOOK_UP(12, 13, 3) AFTER_3 WIDEN(20, 21, 10) WIDEN(28, 29, 11) ADD_ODD(12, 13)
#define ZERO(x) "movi v" #x ".8h, #0\n"
/* c = scale * sum + base of 32 columns, four vectors of sums, or that added to c; v8, v9: base and scale. */
#define LOAD_C(x, y, c, at) "ldp q" #x ", q" #y ", [%[" #c "], #" #at "]\n"
#define STORE_C(x, y, c, at) "stp q" #x ", q" #y ", [%[" #c "], #" #at "]\n"
#define PLUS_BASE(x) "add v" #x ".4s, v" #x ".4s, v8.4s\n"
#define BASE(x) "mov v" #x ".16b, v8.16b\n"
#define TIMES(low, high, sum)                                                                                      \
    "smlal v" #low ".4s, v" #sum ".4h, v9.h[0]\n" "smlal2 v" #high ".4s, v" #sum ".8h, v9.h[0]\n"
#define EIGHT(DO) DO(0) DO(1) DO(2) DO(3) DO(4) DO(5) DO(6) DO(7)
#define ADD_TO_C(c, s, t, u, v, at0, at1, at2, at3)                                                                \
    LOAD_C(0, 1, c, at0) LOAD_C(2, 3, c, at1) LOAD_C(4, 5, c, at2) LOAD_C(6, 7, c, at3) EIGHT(PLUS_BASE)           \
    TIMES(0, 1, s) TIMES(2, 3, t) TIMES(4, 5, u) TIMES(6, 7, v)                                                    \
    STORE_C(0, 1, c, at0) STORE_C(2, 3, c, at1) STORE_C(4, 5, c, at2) STORE_C(6, 7, c, at3)
#define SET_C(c, s, t, u, v, at0, at1, at2, at3)                                                                   \
    EIGHT(BASE) TIMES(0, 1, s) TIMES(2, 3, t) TIMES(4, 5, u) TIMES(6, 7, v)                                        \
    STORE_C(0, 1, c, at0) STORE_C(2, 3, c, at1) STORE_C(4, 5, c, at2) STORE_C(6, 7, c, at3)
#define ROWS_OF_C(DO)                                                                                              \
    "dup v8.4s, %w[base0]\n"                                                                                      \
    DO(c0, 16, 17, 18, 19, 0, 32, 64, 96) DO(c0, 20, 21, 22, 23, 128, 160, 192, 224)                               \
    "dup v8.4s, %w[base1]\n"                                                                                      \
    DO(c1, 24, 25, 26, 27, 0, 32, 64, 96) DO(c1, 28, 29, 30, 31, 128, 160, 192, 224)

/* Two rows of c, 64 columns each. */
static void add_up(const uint8_t *const *tables0, const uint8_t *const *tables1, const struct bnn_neon_piece *p,
                   int32_t base0, int32_t base1, int32_t *c0, int32_t *c1, int add)
{
    const uint8_t *table0, *table1, *panel = p->panel + p->first * 2 * BNN_TILE, *last;
    const size_t run = (2 * p->groups - 1) * BNN_TILE; /* to the last indices of a tap */
    size_t taps = p->taps;
    __asm__ volatile(
        "movi v9.16b, #15\n"
        ZERO(12) ZERO(13) ZERO(16) ZERO(17) ZERO(18) ZERO(19) ZERO(20) ZERO(21) ZERO(22) ZERO(23)
        ZERO(24) ZERO(25) ZERO(26) ZERO(27) ZERO(28) ZERO(29) ZERO(30) ZERO(31)
        "1:\n"
        "ldr %[table0], [%[tables0]], #8\n" "ldr %[table1], [%[tables1]], #8\n"
        "add %[table0], %[table0], %[first]\n" "add %[table1], %[table1], %[first]\n"
        "add %[last], %[panel], %[run]\n"
        LOAD_HALF(0, 1, 0) LOAD_HALF(2, 3, 32) LOAD_TABLES NIBBLES(0)
        "cmp %[panel], %[last]\n" "b.eq 3f\n"
        "2:\n"
        AHEAD
        STEP(LOAD_HALF(0, 1, 0), LOAD_TABLES LOAD_HALF(2, 3, 32) NIBBLES(0))
        "cmp %[panel], %[last]\n" "b.ne 2b\n"
        "3:\n"
        STEP("", "")
        "add %[panel], %[panel], %[skip]\n"
        "subs %[taps], %[taps], #1\n" "b.ne 1b\n"
        WIDEN(22, 23, 12) WIDEN(30, 31, 13)
        "dup v9.8h, %w[scale]\n"
        "cbz %w[add], 4f\n"
        ROWS_OF_C(ADD_TO_C)
        "b 5f\n"
        "4:\n"
        ROWS_OF_C(SET_C)
        "5:\n"
        : [table0] "=&r"(table0), [table1] "=&r"(table1), [last] "=&r"(last), [panel] "+r"(panel), [taps] "+r"(taps),
          [tables0] "+r"(tables0), [tables1] "+r"(tables1)
        : [first] "r"(p->first * BNN_LOOKUP_TABLE_BYTES), [run] "r"(run),
          [skip] "r"(p->all_groups * BNN_LOOKUP_PANEL_BYTES - run), [c0] "r"(c0), [c1] "r"(c1), [base0] "r"(base0),
          [base1] "r"(base1), [scale] "r"(2 * p->weight), [add] "r"(add)
        : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14",
          "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30",
          "v31");
}

static void copy_row(const int32_t *from, int32_t *c, size_t columns, int add)
{
    for (size_t j = 0; j < columns; j++) c[j] = (add ? c[j] : 0) + from[j];
}

/* One row or two, and up to 64 columns. */
static void wide_tile(const uint8_t *const *tables, size_t rows, const struct bnn_neon_piece *p, int32_t *c,
                      size_t c_stride)
{
    const uint8_t *const *const second = tables + (rows > 1 ? p->all_taps : 0);
    const int is_whole = p->columns == BNN_TILE && rows > 1, is_empty = !p->taps || !p->groups;
    const int32_t base[2] = {-p->weight * odd_taps(tables, p), -p->weight * odd_taps(second, p)};
    if (is_whole && !is_empty) {
        add_up(tables, second, p, base[0], base[1], c, c + c_stride, p->add);
        return;
    }
    int32_t some[2][BNN_TILE] = {0};
    if (!is_empty) add_up(tables, second, p, base[0], base[1], some[0], some[1], 0);
    for (size_t row = 0; row < rows && row < 2; row++) copy_row(some[row], c + row * c_stride, p->columns, p->add);
}

static void all_rows(const uint8_t *const *tables, size_t rows, const struct bnn_neon_piece *p,
                     int32_t *c, size_t c_stride)
{
    if (p->columns <= LANES)
        for (; rows >= 4; rows -= 4, tables += 4 * p->all_taps, c += 4 * c_stride) tile(4, 1, tables, p, c, c_stride);
    else if (p->columns <= 2 * LANES)
        for (; rows >= 4; rows -= 4, tables += 4 * p->all_taps, c += 4 * c_stride) tile(4, 2, tables, p, c, c_stride);
    for (; rows >= 2; rows -= 2, tables += 2 * p->all_taps, c += 2 * c_stride) wide_tile(tables, rows, p, c, c_stride);
    if (rows) wide_tile(tables, rows, p, c, c_stride);
}

void bnn_lookup_gemm_i32_neon(const uint8_t *const *tables, size_t rows, size_t taps, size_t groups,
                              const uint8_t *panel, size_t columns, int weight, int32_t *c, size_t c_stride, int add)
{
    bnn_neon_pieces(all_rows, PIECE, tables, rows, taps, groups, panel, columns, weight, c, c_stride, add);
}
#endif
