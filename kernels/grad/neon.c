/* neon.c: products of int8 values with signs; a lane is a column.
 *
 * The panel is b as bytes -1 and 1: [depth][64 columns].  Rows of a, four at a time, lie as [depth][4], so that one
 * instruction broadcasts a value of each.  A tile is 4 rows by 32 columns: 16 sums of 16 bits, which hold |128| times
 * MOST_DEPTH.  No sum has to be added up across its lanes, which short depths (a first convolution has 27) profit from.
 *
 *   per depth of a tile (128 MAC)       instructions     cycles on A53     on A72
 *   smlal, smlal2                       16               16                16
 *   ldr q, ld4r                         3                6                 5, beside
 *   The limits are 5.8 MAC a cycle on A53 and 8 on A72.
 */
#if defined(__aarch64__)
#include "neon.h"

enum { ROWS = 4, STEPS = 4, COLUMNS = 32, LANES = 16, MOST_DEPTH = 252 };
#define UNROLL _Pragma("GCC unroll 16")

static void lay(const struct bnn_neon_block *block)
{
    const uint64_t *b = block->b;
    int8_t *to = block->panel;
    for (size_t k = 0; k < block->depth; k++, b += block->stride, to += BNN_TILE) vst1q_s8_x4(to, bnn_neon_signs_of(*b));
    memset(to, 0, (bnn_round_up(block->depth, STEPS) - block->depth) * BNN_TILE);
}

/* Up to four rows of a as [depth][4]; those that are missing are as the first one. */
static void interleave(const int8_t *a, size_t rows, size_t stride, size_t depth, int8_t *to)
{
    for (size_t k = 0; k < depth; k += LANES) {
        int8x16x4_t some;
        UNROLL for (size_t i = 0; i < ROWS; i++)
            some.val[i] = bnn_neon_load_part(a + (i < rows ? i : 0) * stride + k, depth - k);
        vst4q_s8(to + k * ROWS, some);
    }
}

/* Sums of four rows and 32 columns, in an order for cores that start instructions in order: a step's operands are made
 * ready in the middle of the former one.  v0, v1 and v2, v3: columns of two steps, v4 ... v7 and v8 ... v11: their rows,
 * v12: four depths of the rows, v16 ... v31: sums. */
#define MUL_ROW(row, first, second, a, b, c, d)                                                                    \
    "smlal v" #a ".8h, v" #row ".8b, v" #first ".8b\n" "smlal2 v" #b ".8h, v" #row ".16b, v" #first ".16b\n"       \
    "smlal v" #c ".8h, v" #row ".8b, v" #second ".8b\n" "smlal2 v" #d ".8h, v" #row ".16b, v" #second ".16b\n"
#define STEP(r0, r1, r2, r3, first, second, AHEAD, LOAD)                                                           \
    MUL_ROW(r0, first, second, 16, 17, 18, 19) MUL_ROW(r1, first, second, 20, 21, 22, 23) AHEAD                    \
    MUL_ROW(r2, first, second, 24, 25, 26, 27) MUL_ROW(r3, first, second, 28, 29, 30, 31) LOAD
#define BROADCAST(a, b, c, d, l0, l1, l2, l3)                                                                      \
    "dup v" #a ".16b, v12.b[" #l0 "]\n" "dup v" #b ".16b, v12.b[" #l1 "]\n"                                        \
    "dup v" #c ".16b, v12.b[" #l2 "]\n" "dup v" #d ".16b, v12.b[" #l3 "]\n"
#define LOAD(x, y, at) "ldp q" #x ", q" #y ", [%[panel], #" #at "]\n"
#define FOUR_STEPS(LOAD_ROWS, LOAD_0, BROADCAST_0, LOAD_1)                                                         \
    STEP(4, 5, 6, 7, 0, 1, BROADCAST(8, 9, 10, 11, 4, 5, 6, 7), LOAD(0, 1, 128))                                   \
    STEP(8, 9, 10, 11, 2, 3, BROADCAST(4, 5, 6, 7, 8, 9, 10, 11), LOAD(2, 3, 192))                                 \
    STEP(4, 5, 6, 7, 0, 1, BROADCAST(8, 9, 10, 11, 12, 13, 14, 15) LOAD_ROWS, LOAD_0)                              \
    STEP(8, 9, 10, 11, 2, 3, BROADCAST_0, LOAD_1)
#define ZERO(x) "movi v" #x ".8h, #0\n"
#define STORE(x, y, at) "stp q" #x ", q" #y ", [%[sums], #" #at "]\n"

static void multiply(const int8_t *a, const int8_t *panel, size_t depth, int16_t sums[ROWS][COLUMNS])
{
    const int8_t *last = a + bnn_round_up(depth, STEPS) * ROWS - STEPS * ROWS;
    __asm__ volatile(
        "ldr q12, [%[a]]\n" LOAD(0, 1, 0) LOAD(2, 3, 64)
        ZERO(16) ZERO(17) ZERO(18) ZERO(19) ZERO(20) ZERO(21) ZERO(22) ZERO(23)
        ZERO(24) ZERO(25) ZERO(26) ZERO(27) ZERO(28) ZERO(29) ZERO(30) ZERO(31)
        BROADCAST(4, 5, 6, 7, 0, 1, 2, 3)
        "cmp %[a], %[last]\n" "b.eq 2f\n"
        "1:\n"
        FOUR_STEPS("ldr q12, [%[a], #16]\n", LOAD(0, 1, 256), BROADCAST(4, 5, 6, 7, 0, 1, 2, 3), LOAD(2, 3, 320))
        "add %[panel], %[panel], #256\n" "add %[a], %[a], #16\n"
        "cmp %[a], %[last]\n" "b.ne 1b\n"
        "2:\n"
        FOUR_STEPS("", "", "", "")
        STORE(16, 17, 0) STORE(18, 19, 32) STORE(20, 21, 64) STORE(22, 23, 96)
        STORE(24, 25, 128) STORE(26, 27, 160) STORE(28, 29, 192) STORE(30, 31, 224)
        : [a] "+r"(a), [panel] "+r"(panel)
        : [last] "r"(last), [sums] "r"(sums)
        : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v16", "v17",
          "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31");
}

/* Columns of a row of c, set or added to. */
static inline void put(const int16_t sums[COLUMNS], int32_t *c, size_t columns, int add)
{
    size_t j = 0;
    for (; j + 16 <= columns; j += 16) {
        int32x4_t to[4];
        UNROLL for (int v = 0; v < 4; v++) to[v] = add ? vld1q_s32(c + j + 4 * v) : vdupq_n_s32(0);
        UNROLL for (int v = 0; v < 4; v++) to[v] = vaddw_s16(to[v], vld1_s16(sums + j + 4 * v));
        UNROLL for (int v = 0; v < 4; v++) vst1q_s32(c + j + 4 * v, to[v]);
    }
    for (; j < columns; j++) c[j] = (add ? c[j] : 0) + sums[j];
}

static void tile(const int8_t *a, const int8_t *panel, size_t depth, size_t rows, size_t columns, int32_t *c,
                 size_t c_stride, int add)
{
    int16_t sums[ROWS][COLUMNS];
    if (depth) multiply(a, panel, depth, sums);
    else memset(sums, 0, sizeof sums);
    for (size_t i = 0; i < ROWS && i < rows; i++) put(sums[i], c + i * c_stride, bnn_min(columns, COLUMNS), add);
}

static void all_rows(const int8_t *a, size_t rows, size_t a_stride, const struct bnn_neon_block *block,
                     int32_t *c, size_t c_stride, int add)
{
    const size_t depth = block->depth, pieces = bnn_max(1, bnn_ceil_div(depth, MOST_DEPTH));
    const size_t piece = bnn_max(STEPS, bnn_round_up(bnn_ceil_div(depth, pieces), STEPS));
    int8_t some[(BNN_PANEL_DEPTH + LANES) * ROWS];
    for (size_t row = 0; row < rows; row += ROWS) {
        interleave(a + row * a_stride, rows - row, a_stride, depth, some);
        for (size_t j = 0; j < block->width; j += COLUMNS)
            for (size_t k = 0; k == 0 || k < depth; k += piece)
                tile(some + k * ROWS, block->panel + k * BNN_TILE + j, bnn_min(piece, depth - k), rows - row,
                     block->width - j, c + row * c_stride + j, c_stride, add || k);
    }
}

void bnn_gemm_i8_u1_i32_neon(const int8_t *a, size_t rows, size_t a_stride, const uint64_t *b,
                             size_t b_stride_words, size_t columns, size_t depth,
                             int32_t *c, size_t c_stride, void *panel, int reuse)
{
    bnn_neon_blocks(BNN_neon_signs, lay, all_rows, STEPS, BNN_PANEL_DEPTH, a, rows, a_stride, b, b_stride_words, columns,
                    depth, c, c_stride, panel, reuse);
}
#endif
