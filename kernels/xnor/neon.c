/* neon.c: the product of two binary matrices; a lane is a column, bits are counted by byte.
 *
 * The panel is b, transposed by bytes: [byte][64 columns].  A step is a byte, 8 depths, of four rows, each broadcast; a
 * tile is 4 rows by 64 columns: 16 sums of bytes.  A byte gains at most 8 a step and holds 31 of them, then it is added
 * to sums of 16 bits, which hold a whole piece of BNN_PANEL_DEPTH bytes.  No sum has to be added up across its lanes.
 *
 *   per step of a tile (2048 MAC)       instructions     cycles on A53     on A72     on A76
 *   ldr q, ld4r                         5                10                5.3        2
 *   eor                                 16               16                10.7       8
 *   cnt                                 16               16                10.7       8
 *   add                                 16               16                10.7       8
 *   The limits are 35 MAC a cycle on A53, 55 on A72 (3 slots of 64 bits a cycle) and 79 on A76 (loads go beside, but
 *   ld4r makes four vector operations as well).
 * A panel pays when several rows use it: fewer are multiplied along the depth, 16 bytes a vector, as b lies.  Per vector of
 * four columns (512 MAC) that takes 5 loads, 4 eor, 4 cnt and 4 add: 23 MAC a cycle on A53, for one row of a network that
 * classifies one image; the panel's tile, of which three rows in four would go to waste, has 9, and its panel comes to it.
 */
#if defined(__aarch64__)
#include "../common/neon.h"
#include "xnor.h"

enum { ROWS = 4, LANES = 16, MOST_STEPS = 31, WORD_BYTES = 8, PANEL_PAYS = 3 };
#define UNROLL _Pragma("GCC unroll 16")

/* Columns of b as [byte][BNN_TILE]; those that are missing are as the first one, and of no use. */
static void lay(const uint64_t *b, size_t stride_words, size_t columns, size_t bytes, uint8_t *panel)
{
    for (size_t j = 0; j < BNN_TILE && j < columns; j += LANES)
        for (size_t k = 0; k < bytes; k += LANES) {
            int8x16_t square[LANES];
            for (size_t i = 0; i < LANES; i++) {
                const int8_t *column = (const int8_t *)(b + (j + i < columns ? j + i : 0) * stride_words);
                square[i] = bnn_neon_load_part(column + k, bnn_round_up(bytes, WORD_BYTES) - k);
            }
            bnn_neon_transpose_bytes(square);
            for (size_t i = 0; i < LANES && k + i < bytes; i++)
                vst1q_s8((int8_t *)panel + (k + i) * BNN_TILE + j, square[i]);
        }
}

/* Four rows as [byte][4], so that one instruction broadcasts a byte of each; those that are missing are as the first. */
static void interleave(const uint8_t *a, size_t rows, size_t stride_bytes, size_t bytes, uint8_t *to)
{
    for (size_t k = 0; k < bytes; k += LANES) {
        uint8x16x4_t some;
        UNROLL for (size_t i = 0; i < ROWS; i++)
            some.val[i] = vreinterpretq_u8_s8(bnn_neon_load_part((const int8_t *)a + (i < rows ? i : 0) * stride_bytes + k,
                                                                 bytes - k));
        vst4q_u8(to + k * ROWS, some);
    }
}

/* The differing bits in some bytes of four rows and 16 columns, into sums [row][BNN_TILE] or added to them. */
static void count_few(const uint8_t *a, const uint8_t *panel, size_t steps, int is_more, uint16_t sums[ROWS][BNN_TILE])
{
    uint8x16_t count_u8x16[ROWS];
    UNROLL for (int i = 0; i < ROWS; i++) count_u8x16[i] = vdupq_n_u8(0);
    for (size_t step = 0; step < steps; step++, a += ROWS, panel += BNN_TILE) {
        const uint8x16_t column = vld1q_u8(panel);
        const uint8x16x4_t row = vld4q_dup_u8(a);
        UNROLL for (int i = 0; i < ROWS; i++)
            count_u8x16[i] = vaddq_u8(count_u8x16[i], vcntq_u8(veorq_u8(row.val[i], column)));
    }
    UNROLL for (int i = 0; i < ROWS; i++) {
        const uint16x8_t zero = vdupq_n_u16(0);
        vst1q_u16(sums[i], vaddw_u8(is_more ? vld1q_u16(sums[i]) : zero, vget_low_u8(count_u8x16[i])));
        vst1q_u16(sums[i] + 8, vaddw_high_u8(is_more ? vld1q_u16(sums[i] + 8) : zero, count_u8x16[i]));
    }
}

/* The same of 64 columns, in an order for cores that start instructions in order: eight of a kind, so that a result is
 * there when it is needed, and the next step's operands as soon as the last ones are not needed any more.
 * v0 ... v3: columns, v4 ... v7: rows, v8 ... v15: bits that differ, v16 ... v31: sums of bytes. */
#define EOR(to, row, column) "eor v" #to ".16b, v" #row ".16b, v" #column ".16b\n"
#define DIFFER(row, next)                                                                                          \
    EOR(8, row, 0) EOR(9, row, 1) EOR(10, row, 2) EOR(11, row, 3)                                                  \
    EOR(12, next, 0) EOR(13, next, 1) EOR(14, next, 2) EOR(15, next, 3)
#define CNT(x) "cnt v" #x ".16b, v" #x ".16b\n"
#define ADD(sum, x) "add v" #sum ".16b, v" #sum ".16b, v" #x ".16b\n"
#define COUNT(a, b, c, d, e, f, g, h)                                                                              \
    CNT(8) CNT(9) CNT(10) CNT(11) CNT(12) CNT(13) CNT(14) CNT(15)                                                  \
    ADD(a, 8) ADD(b, 9) ADD(c, 10) ADD(d, 11) ADD(e, 12) ADD(f, 13) ADD(g, 14) ADD(h, 15)
#define LOAD                                                                                                       \
    "ld4r {v4.16b, v5.16b, v6.16b, v7.16b}, [%[a]]\n"                                                              \
    "ldp q0, q1, [%[panel]]\n" "ldp q2, q3, [%[panel], #32]\n"
#define ZERO(x) "movi v" #x ".16b, #0\n"
#define LOAD_SUMS(x, y, at) "ldp q" #x ", q" #y ", [%[sums], #" #at "]\n"
#define STORE_SUMS(x, y, at) "stp q" #x ", q" #y ", [%[sums], #" #at "]\n"
#define WIDEN(x, y, sum)                                                                                           \
    "uaddw v" #x ".8h, v" #x ".8h, v" #sum ".8b\n" "uaddw2 v" #y ".8h, v" #y ".8h, v" #sum ".16b\n"
#define SET(x, y, sum) "uxtl v" #x ".8h, v" #sum ".8b\n" "uxtl2 v" #y ".8h, v" #sum ".16b\n"
/* The 64 sums of a row, which starts `at` bytes in, set or added to. */
#define SET_SUMS(a, b, c, d, at, at32, at64, at96)                                                                 \
    SET(0, 1, a) SET(2, 3, b) SET(4, 5, c) SET(6, 7, d)                                                            \
    STORE_SUMS(0, 1, at) STORE_SUMS(2, 3, at32) STORE_SUMS(4, 5, at64) STORE_SUMS(6, 7, at96)
#define ADD_SUMS(a, b, c, d, at, at32, at64, at96)                                                                 \
    LOAD_SUMS(0, 1, at) LOAD_SUMS(2, 3, at32) LOAD_SUMS(4, 5, at64) LOAD_SUMS(6, 7, at96)                          \
    WIDEN(0, 1, a) WIDEN(2, 3, b) WIDEN(4, 5, c) WIDEN(6, 7, d)                                                    \
    STORE_SUMS(0, 1, at) STORE_SUMS(2, 3, at32) STORE_SUMS(4, 5, at64) STORE_SUMS(6, 7, at96)

static void count(const uint8_t *a, const uint8_t *panel, size_t steps, int is_more, uint16_t sums[ROWS][BNN_TILE])
{
    const uint8_t *last = panel + (steps - 1) * BNN_TILE;
    __asm__ volatile(
        LOAD
        ZERO(16) ZERO(17) ZERO(18) ZERO(19) ZERO(20) ZERO(21) ZERO(22) ZERO(23)
        ZERO(24) ZERO(25) ZERO(26) ZERO(27) ZERO(28) ZERO(29) ZERO(30) ZERO(31)
        "cmp %[panel], %[last]\n"
        "b.eq 2f\n"
        "1:\n"
        "add %[panel], %[panel], #64\n"
        "add %[a], %[a], #4\n"
        DIFFER(4, 5) COUNT(16, 17, 18, 19, 20, 21, 22, 23)
        DIFFER(6, 7) LOAD COUNT(24, 25, 26, 27, 28, 29, 30, 31)
        "cmp %[panel], %[last]\n"
        "b.ne 1b\n"
        "2:\n"
        DIFFER(4, 5) COUNT(16, 17, 18, 19, 20, 21, 22, 23)
        DIFFER(6, 7) COUNT(24, 25, 26, 27, 28, 29, 30, 31)
        "cbz %[is_more], 3f\n"
        ADD_SUMS(16, 17, 18, 19, 0, 32, 64, 96) ADD_SUMS(20, 21, 22, 23, 128, 160, 192, 224)
        ADD_SUMS(24, 25, 26, 27, 256, 288, 320, 352) ADD_SUMS(28, 29, 30, 31, 384, 416, 448, 480)
        "b 4f\n"
        "3:\n"
        SET_SUMS(16, 17, 18, 19, 0, 32, 64, 96) SET_SUMS(20, 21, 22, 23, 128, 160, 192, 224)
        SET_SUMS(24, 25, 26, 27, 256, 288, 320, 352) SET_SUMS(28, 29, 30, 31, 384, 416, 448, 480)
        "4:\n"
        : [a] "+r"(a), [panel] "+r"(panel)
        : [last] "r"(last), [sums] "r"(sums), [is_more] "r"(is_more)
        : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14",
          "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30",
          "v31");
}

/* y [columns] = base - 2 * sums, or that subtracted from y. */
static void put(const uint16_t *sums, int32_t base, int32_t *y, size_t columns, int add)
{
    size_t j = 0;
    for (; j + 16 <= columns; j += 16) {
        int32x4_t to[4];
        UNROLL for (int v = 0; v < 4; v++) to[v] = add ? vld1q_s32(y + j + 4 * v) : vdupq_n_s32(base);
        const int16x8_t low = vreinterpretq_s16_u16(vld1q_u16(sums + j)), high = vreinterpretq_s16_u16(vld1q_u16(sums + j + 8));
        const int16x8_t twice[2] = {vaddq_s16(low, low), vaddq_s16(high, high)};
        UNROLL for (int v = 0; v < 4; v++)
            vst1q_s32(y + j + 4 * v, v % 2 ? vsubw_high_s16(to[v], twice[v / 2])
                                           : vsubw_s16(to[v], vget_low_s16(twice[v / 2])));
    }
    for (; j < columns; j++) y[j] = (add ? y[j] : base) - 2 * (int32_t)sums[j];
}

/* Up to four rows by up to 64 columns, in pieces of `length` whose bytes hold their counts. */
static void tile(const uint8_t *a, const uint8_t *panel, size_t bytes, size_t length, int32_t base, int32_t *y,
                 size_t y_stride, size_t rows, size_t columns, int add)
{
    uint16_t sums[ROWS][BNN_TILE];
    if (!bytes) memset(sums, 0, sizeof sums);
    for (size_t k = 0; k < bytes; k += length)
        (columns <= LANES ? count_few : count)(a + k * ROWS, panel + k * BNN_TILE, bnn_min(length, bytes - k), k > 0, sums);
    for (size_t i = 0; i < ROWS && i < rows; i++) put(sums[i], base, y + i * y_stride, columns, add);
}

/* Bits in which a row differs from four columns, `bytes` of whole words each. */
static void differ(const uint8_t *a, const uint8_t *const b[ROWS], size_t bytes, uint32_t count[ROWS])
{
    UNROLL for (int i = 0; i < ROWS; i++) count[i] = 0;
    for (size_t k = 0; k < bytes;) {
        const size_t end = bnn_min(bytes, k + MOST_STEPS * LANES);
        uint8x16_t count_u8x16[ROWS];
        UNROLL for (int i = 0; i < ROWS; i++) count_u8x16[i] = vdupq_n_u8(0);
        for (; k + LANES <= end; k += LANES) {
            const uint8x16_t row = vld1q_u8(a + k);
            UNROLL for (int i = 0; i < ROWS; i++)
                count_u8x16[i] = vaddq_u8(count_u8x16[i], vcntq_u8(veorq_u8(row, vld1q_u8(b[i] + k))));
        }
        for (; k < end; k += WORD_BYTES) { /* a single word, behind fewer than MOST_STEPS vectors */
            const uint8x8_t row = vld1_u8(a + k);
            UNROLL for (int i = 0; i < ROWS; i++)
                count_u8x16[i] = vaddq_u8(count_u8x16[i], vcombine_u8(vcnt_u8(veor_u8(row, vld1_u8(b[i] + k))), vdup_n_u8(0)));
        }
        UNROLL for (int i = 0; i < ROWS; i++) count[i] += vaddlvq_u8(count_u8x16[i]);
    }
}

static void few_rows(const uint64_t *a, size_t rows, size_t a_stride, const uint64_t *b, size_t columns, size_t b_stride,
                     size_t depth, int32_t *y, size_t y_stride)
{
    for (size_t j = 0; j < columns; j += ROWS) {
        const uint8_t *column[ROWS]; /* those that are missing are as the first one */
        for (size_t i = 0; i < ROWS; i++) column[i] = (const uint8_t *)(b + (j + i < columns ? j + i : j) * b_stride);
        for (size_t row = 0; row < rows; row++) {
            uint32_t count[ROWS];
            differ((const uint8_t *)(a + row * a_stride), column, bnn_words(depth) * WORD_BYTES, count);
            for (size_t i = 0; i < ROWS && j + i < columns; i++)
                y[row * y_stride + j + i] = (int32_t)((int64_t)depth - 2 * (int64_t)count[i]);
        }
    }
}

void bnn_xnor_gemm_u1_i32_neon(const uint64_t *a, size_t rows, size_t a_stride_words,
                               const uint64_t *b, size_t columns, size_t b_stride_words, size_t depth,
                               int32_t *y, size_t y_stride, void *panel)
{
    if (rows < PANEL_PAYS) {
        few_rows(a, rows, a_stride_words, b, columns, b_stride_words, depth, y, y_stride);
        return;
    }
    const size_t all_bytes = bnn_ceil_div(depth, 8), stride = a_stride_words * WORD_BYTES;
    uint8_t some[BNN_PANEL_DEPTH * ROWS];
    for (size_t j = 0; j < columns; j += BNN_TILE)
        for (size_t k = 0; k == 0 || k < all_bytes; k += BNN_PANEL_DEPTH) {
            const size_t bytes = bnn_min(BNN_PANEL_DEPTH, all_bytes - k), width = bnn_min(BNN_TILE, columns - j);
            const size_t length = bnn_ceil_div(bytes, bnn_max(1, bnn_ceil_div(bytes, MOST_STEPS)));
            lay(b + j * b_stride_words + k / WORD_BYTES, b_stride_words, width, bytes, panel);
            for (size_t row = 0; row < rows; row += ROWS) {
                interleave((const uint8_t *)(a + row * a_stride_words) + k, rows - row, stride, bytes, some);
                tile(some, panel, bytes, length, (int32_t)depth, y + row * y_stride + j, y_stride, rows - row, width,
                     k != 0);
            }
        }
}
#endif
