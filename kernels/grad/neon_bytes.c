/* neon_bytes.c: products of int8 values with int8 values.
 *
 * A step is 16 depths: a vector of a row, and one of a column, for which b is transposed.  Rows of a, three at a time,
 * lie as [step][3][16] bytes, columns of b, four at a time in the panel, as [step][4][16], padded with zeros.  A tile is
 * 3 by 4.  Products are added up in 16 bits, then by sadalp in 32 bits:
 *   narrow   rows with |a| <= 31, as 6-bit gradients are: 8 products are within 8 * 31 * 128 = 31744, four steps
 *   wide     rows without a -128: 2 products are within 2 * 127 * 128 = 32512, one step
 *   others   smull, sadalp, smull2, sadalp
 *
 *   per four steps of a tile (768 MAC)  instructions     cycles on A53     on A72
 *   smull, smlal                        96               96                96
 *   sadalp, narrow (wide)               12 (48)          24 (96)           12 (48), beside
 *   ldr q                               28               56                28, beside
 *   The limits are 4.4 (3.1) MAC a cycle on A53 and 8 on A72.
 */
#if defined(__aarch64__)
#include "neon.h"

/* A step less than the panel has room for: a tile reads one step ahead. */
enum { ROWS = 3, COLUMNS = 4, STEP = 16, MOST_DEPTH = BNN_PANEL_DEPTH - STEP, MOST_STEPS = MOST_DEPTH / STEP };
enum { A_BYTES = ROWS * STEP, PANEL_BYTES = COLUMNS * STEP, FEW = 4, NARROW = 31 };
enum sums { NARROW_SUMS, WIDE_SUMS, ANY_SUMS };
#define UNROLL _Pragma("GCC unroll 16")

static void lay(const struct bnn_neon_block *block)
{
    const size_t steps = bnn_ceil_div(block->depth, STEP);
    for (size_t step = 0; step < steps; step++)
        for (size_t j = 0; j < block->width; j += STEP) {
            int8x16_t square[STEP];
            UNROLL for (size_t i = 0; i < STEP; i++) square[i] = bnn_neon_columns(block, step * STEP + i, j);
            bnn_neon_transpose_bytes(square);
            for (size_t i = 0; i < STEP; i++)
                vst1q_s8(block->panel + (((j + i) / COLUMNS * steps + step) * COLUMNS + i % COLUMNS) * STEP, square[i]);
        }
}

/* Up to three rows of a, the others as the first; returns which sums they need. */
static enum sums interleave(const int8_t *a, size_t stride, size_t rows, size_t depth, int8_t *to)
{
    int8x16_t least = vdupq_n_s8(0), most = vdupq_n_s8(0);
    for (size_t row = 0; row < ROWS; row++)
        for (size_t k = 0; k < depth; k += STEP) {
            const int8x16_t value = bnn_neon_load_part(a + (row < rows ? row * stride : 0) + k, depth - k);
            least = vminq_s8(least, value), most = vmaxq_s8(most, value);
            vst1q_s8(to + k * ROWS + row * STEP, value);
        }
    if (vminvq_s8(least) >= -NARROW && vmaxvq_s8(most) <= NARROW) return NARROW_SUMS;
    return vminvq_s8(least) > INT8_MIN ? WIDE_SUMS : ANY_SUMS;
}

/* Sums of three rows and four columns, `few` times FEW steps and `rest` single ones, in an order for cores that start
 * instructions in order: operands of the next step are read as soon as those of this one are not needed any more.
 * v0 ... v3: columns, v4 ... v6: rows, v8 ... v19: sums of 16 bits, v20 ... v31: of 32 bits. */
#define LOW(mul, sum, row, column) mul " v" #sum ".8h, v" #row ".8b, v" #column ".8b\n"
#define HIGH(sum, row, column) "smlal2 v" #sum ".8h, v" #row ".16b, v" #column ".16b\n"
#define TWO_LOW(mul, sum, next, row, x, y) LOW(mul, sum, row, x) LOW(mul, next, row, y)
#define TWO_HIGH(sum, next, row, x, y) HIGH(sum, row, x) HIGH(next, row, y)
#define READ_COLUMNS(x, y, at) "ldp q" #x ", q" #y ", [%[panel], #" #at "]\n"
#define READ_ROW(x, at) "ldr q" #x ", [%[a], #" #at "]\n"
/* One step; the next one's operands lie at these offsets. */
#define MULTIPLY(mul, p0, p1, a0, a1, a2)                                                                          \
    TWO_LOW(mul, 8, 9, 4, 0, 1) TWO_LOW(mul, 12, 13, 5, 0, 1) TWO_LOW(mul, 16, 17, 6, 0, 1)                        \
    TWO_HIGH(8, 9, 4, 0, 1) TWO_HIGH(12, 13, 5, 0, 1) TWO_HIGH(16, 17, 6, 0, 1) READ_COLUMNS(0, 1, p0)             \
    TWO_LOW(mul, 10, 11, 4, 2, 3) TWO_LOW(mul, 14, 15, 5, 2, 3) TWO_LOW(mul, 18, 19, 6, 2, 3)                      \
    TWO_HIGH(10, 11, 4, 2, 3) READ_ROW(4, a0) TWO_HIGH(14, 15, 5, 2, 3) READ_ROW(5, a1)                            \
    TWO_HIGH(18, 19, 6, 2, 3) READ_ROW(6, a2) READ_COLUMNS(2, 3, p1)
#define ADD_PAIRS(sum, x) "sadalp v" #sum ".4s, v" #x ".8h\n"
#define ADD_ALL_PAIRS                                                                                              \
    ADD_PAIRS(20, 8) ADD_PAIRS(21, 9) ADD_PAIRS(22, 10) ADD_PAIRS(23, 11) ADD_PAIRS(24, 12) ADD_PAIRS(25, 13)      \
    ADD_PAIRS(26, 14) ADD_PAIRS(27, 15) ADD_PAIRS(28, 16) ADD_PAIRS(29, 17) ADD_PAIRS(30, 18) ADD_PAIRS(31, 19)
#define ZERO(x) "movi v" #x ".4s, #0\n"
#define STORE(x, y, at) "stp q" #x ", q" #y ", [%[sums], #" #at "]\n"

static void multiply(const int8_t *a, const int8_t *panel, size_t few, size_t rest, int32_t sums[ROWS][COLUMNS][4])
{
    __asm__ volatile(
        READ_COLUMNS(0, 1, 0) READ_COLUMNS(2, 3, 32) READ_ROW(4, 0) READ_ROW(5, 16) READ_ROW(6, 32)
        ZERO(20) ZERO(21) ZERO(22) ZERO(23) ZERO(24) ZERO(25) ZERO(26) ZERO(27) ZERO(28) ZERO(29) ZERO(30) ZERO(31)
        "cbz %[few], 2f\n"
        "1:\n"
        MULTIPLY("smull", 64, 96, 48, 64, 80) MULTIPLY("smlal", 128, 160, 96, 112, 128)
        MULTIPLY("smlal", 192, 224, 144, 160, 176) MULTIPLY("smlal", 256, 288, 192, 208, 224)
        ADD_ALL_PAIRS
        "add %[panel], %[panel], #256\n" "add %[a], %[a], #192\n"
        "subs %[few], %[few], #1\n" "b.ne 1b\n"
        "2:\n"
        "cbz %[rest], 4f\n"
        "3:\n"
        MULTIPLY("smull", 64, 96, 48, 64, 80)
        ADD_ALL_PAIRS
        "add %[panel], %[panel], #64\n" "add %[a], %[a], #48\n"
        "subs %[rest], %[rest], #1\n" "b.ne 3b\n"
        "4:\n"
        STORE(20, 21, 0) STORE(22, 23, 32) STORE(24, 25, 64) STORE(26, 27, 96) STORE(28, 29, 128) STORE(30, 31, 160)
        : [a] "+r"(a), [panel] "+r"(panel), [few] "+r"(few), [rest] "+r"(rest)
        : [sums] "r"(sums)
        : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",
          "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31");
}

/* The same of values of which two products do not fit. */
static void multiply_any(const int8_t *a, const int8_t *panel, size_t steps, int32_t sums[ROWS][COLUMNS][4])
{
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < COLUMNS; j++) {
            int32x4_t sum = vdupq_n_s32(0);
            for (size_t step = 0; step < steps; step++) {
                const int8x16_t row = vld1q_s8(a + step * A_BYTES + i * STEP);
                const int8x16_t column = vld1q_s8(panel + step * PANEL_BYTES + j * STEP);
                sum = vpadalq_s16(sum, vmull_s8(vget_low_s8(row), vget_low_s8(column)));
                sum = vpadalq_s16(sum, vmull_high_s8(row, column));
            }
            vst1q_s32(sums[i][j], sum);
        }
}

static void tile(const enum sums kind, const int8_t *a, const int8_t *panel, size_t steps, size_t rows, size_t columns,
                 int32_t *c, size_t c_stride, int add)
{
    int32_t sums[ROWS][COLUMNS][4];
    if (kind == ANY_SUMS) multiply_any(a, panel, steps, sums);
    else if (kind == NARROW_SUMS) multiply(a, panel, steps / FEW, steps % FEW, sums);
    else multiply(a, panel, 0, steps, sums);
    int32x4_t all[ROWS];
    UNROLL for (int i = 0; i < ROWS; i++)
        all[i] = vpaddq_s32(vpaddq_s32(vld1q_s32(sums[i][0]), vld1q_s32(sums[i][1])),
                            vpaddq_s32(vld1q_s32(sums[i][2]), vld1q_s32(sums[i][3])));
    for (size_t i = 0; i < ROWS && i < rows; i++) bnn_neon_put(all[i], c + i * c_stride, columns, add);
}

static void all_rows(const int8_t *a, size_t rows, size_t a_stride, const struct bnn_neon_block *block,
                     int32_t *c, size_t c_stride, int add)
{
    const size_t steps = bnn_ceil_div(block->depth, STEP);
    int8_t some[(MOST_STEPS + 1) * A_BYTES];
    for (size_t row = 0; row < rows; row += ROWS) {
        const enum sums kind = interleave(a + row * a_stride, a_stride, rows - row, block->depth, some);
        for (size_t j = 0; j < block->width; j += COLUMNS)
            tile(kind, some, block->panel + j * STEP * steps, steps, rows - row, block->width - j, c + row * c_stride + j,
                 c_stride, add);
    }
}

void bnn_gemm_i8_i8_i32_neon(const int8_t *a, size_t rows, size_t a_stride, const int8_t *b,
                             size_t b_stride, size_t columns, size_t depth,
                             int32_t *c, size_t c_stride, void *panel, int reuse)
{
    bnn_neon_blocks(BNN_neon_bytes, lay, all_rows, STEP, MOST_DEPTH, a, rows, a_stride, b, b_stride, columns, depth,
                    c, c_stride, panel, reuse);
}
#endif
