/* neon.c: pooling by masks of whole lanes, up to 64 columns at a time, so that cores which start instructions in order
 * have other vectors to go on with.  Tiles whose width is no multiple of 16 (only the last channels of a layer are that)
 * are left to the portable functions.
 *
 *   per window and 16 columns   pool_max_i32: 16 ldr, 4 ldr of turns, 20 eor, 12 cmgt, 12 smax, 4 str; 11 bsl, 2 and,
 *                               2 addp make bits
 *   per row and 16 columns      pool_spread_i8: tbl and cmtst give each byte its bit; and, str
 *                               narrow_i32_i16: 4 ldr, 2 uzp1, 2 str; widen_i16_i32: 2 ldr, 4 sshll, 4 str
 */
#if defined(__aarch64__)
#include "../common/neon.h"
#include "pool.h"

#define BNN_NAME(op) bnn_##op##_neon

bnn_pool_max_i32_fn bnn_pool_max_i32_portable;
bnn_pool_spread_i8_fn bnn_pool_spread_i8_portable;
bnn_narrow_i32_i16_fn bnn_narrow_i32_i16_portable;
bnn_widen_i16_i32_fn bnn_widen_i16_i32_portable;

enum { LANES = 16, QUARTER = 4, BLOCKS = BNN_TILE / LANES, LATER = BNN_POOL_ROWS - 1 };

/* The largest of a window's 16 columns.  Lane l of beats[j - 1][i]: row j beats those before it in column 4i + l. */
static BNN_INLINE void best_of(const int32_t *y, size_t stride, const int32_t *turn, int32_t *out,
                               uint32x4_t beats[LATER][QUARTER])
{
    int32x4_t turns[QUARTER], best[QUARTER], value[QUARTER];
    BNN_UNROLL for (size_t i = 0; i < QUARTER; i++) turns[i] = vld1q_s32(turn + 4 * i);
    BNN_UNROLL for (size_t i = 0; i < QUARTER; i++) best[i] = veorq_s32(vld1q_s32(y + 4 * i), turns[i]);
    BNN_UNROLL for (size_t j = 1; j < BNN_POOL_ROWS; j++) {
        BNN_UNROLL for (size_t i = 0; i < QUARTER; i++)
            value[i] = veorq_s32(vld1q_s32(y + j * stride + 4 * i), turns[i]);
        BNN_UNROLL for (size_t i = 0; i < QUARTER; i++) beats[j - 1][i] = vcgtq_s32(value[i], best[i]);
        BNN_UNROLL for (size_t i = 0; i < QUARTER; i++) best[i] = vmaxq_s32(best[i], value[i]);
    }
    BNN_UNROLL for (size_t i = 0; i < QUARTER; i++) vst1q_s32(out + 4 * i, veorq_s32(best[i], turns[i]));
}

/* Of 32 columns (or 16, and nothing): half words of beats. */
static BNN_INLINE void best_of_half(const int32_t *y, size_t blocks, size_t stride, const int32_t *turn, int32_t *out,
                                    uint32x4_t later[LATER])
{
    uint32x4_t near[LATER][QUARTER], far[LATER][QUARTER] = {{{0}}};
    best_of(y, stride, turn, out, near);
    if (blocks > 1) best_of(y + LANES, stride, turn + LANES, out + LANES, far);
    BNN_UNROLL for (size_t j = 0; j < LATER; j++) {
        const uint32x4_t masks[2 * QUARTER] = {near[j][0], near[j][1], near[j][2], near[j][3],
                                               far[j][0], far[j][1], far[j][2], far[j][3]};
        later[j] = bnn_neon_half_word(masks);
    }
}

/* The last row that beat those before it is the first with the largest value. */
static BNN_INLINE void choose(uint64_t *argmax, size_t stride, const uint32x4_t low[LATER], const uint32x4_t high[LATER],
                              uint64_t all)
{
    const uint64x2_t first = vreinterpretq_u64_u32(vpaddq_u32(vpaddq_u32(low[0], high[0]), vpaddq_u32(low[1], high[1])));
    const uint32x4_t last = vpaddq_u32(low[2], high[2]);
    const uint64_t one = vgetq_lane_u64(first, 0), two = vgetq_lane_u64(first, 1);
    const uint64_t three = vgetq_lane_u64(vreinterpretq_u64_u32(vpaddq_u32(last, last)), 0);
    argmax[0] = all & ~(one | two | three);
    argmax[stride] = one & ~(two | three);
    argmax[2 * stride] = two & ~three;
    argmax[3 * stride] = three;
}

/* Inlined, so that a constant number of blocks of 16 columns unrolls. */
static BNN_INLINE void pool_max(const int32_t *y, size_t rows, size_t blocks, size_t stride, const int32_t *turn,
                                int32_t *out, size_t out_stride, uint64_t *argmax, size_t argmax_stride)
{
    const uint64_t all = bnn_low_bits(blocks * LANES);
    for (size_t row = 0; row < rows; row++, y += BNN_POOL_ROWS * stride, out += out_stride) {
        uint32x4_t low[LATER], high[LATER] = {{0}};
        best_of_half(y, blocks, stride, turn, out, low);
        if (blocks > 2) best_of_half(y + 2 * LANES, blocks - 2, stride, turn + 2 * LANES, out + 2 * LANES, high);
        choose(argmax, argmax_stride, low, high, all);
        argmax += BNN_POOL_ROWS * argmax_stride;
    }
}

/* Values are compared as y ^ turn: complement turns the order round, and keeps equals equal. */
void BNN_NAME(pool_max_i32)(const int32_t *y, size_t rows, size_t columns, size_t stride, const uint8_t *flip,
                            int32_t *out, size_t out_stride, uint64_t *argmax, size_t argmax_stride)
{
    int32_t turn[BNN_TILE];
    if (columns % LANES == 0)
        for (size_t c = 0; c < columns; c++) turn[c] = flip[c] ? -1 : 0;
#define POOL(BLOCKS) pool_max(y, rows, BLOCKS, stride, turn, out, out_stride, argmax, argmax_stride)
    if (columns % LANES || columns == 0)
        bnn_pool_max_i32_portable(y, rows, columns, stride, flip, out, out_stride, argmax, argmax_stride);
    else if (columns == LANES) POOL(1);
    else if (columns == 2 * LANES) POOL(2);
    else if (columns == 3 * LANES) POOL(3);
    else POOL(4);
#undef POOL
}

/* Inlined, so that a constant number of blocks of 16 columns unrolls. */
static BNN_INLINE void spread(const int8_t *values, size_t rows, size_t blocks, size_t stride, const uint64_t *argmax,
                              size_t argmax_stride, int8_t *out, size_t out_stride)
{
    /* Byte i: 1 << i % 8, and i / 8, the byte of a block's bits that holds its own. */
    const uint8x16_t own = vreinterpretq_u8_u64(vdupq_n_u64(UINT64_C(0x8040201008040201)));
    const uint8x16_t byte = vcombine_u8(vdup_n_u8(0), vdup_n_u8(1));
    uint8x16_t place[BLOCKS];
    BNN_UNROLL for (size_t i = 0; i < blocks; i++) place[i] = vaddq_u8(byte, vdupq_n_u8((uint8_t)(2 * i)));
    for (size_t row = 0; row < rows; row++, values += stride) {
        int8x16_t from[BLOCKS];
        BNN_UNROLL for (size_t i = 0; i < blocks; i++) from[i] = vld1q_s8(values + LANES * i);
        for (size_t j = 0; j < BNN_POOL_ROWS; j += 2, argmax += 2 * argmax_stride, out += 2 * out_stride) {
            const uint8x16_t word = vreinterpretq_u8_u64(vld1q_dup_u64(argmax));
            const uint8x16_t next = vreinterpretq_u8_u64(vld1q_dup_u64(argmax + argmax_stride));
            uint8x16_t kept[2 * BLOCKS];
            BNN_UNROLL for (size_t i = 0; i < 2 * blocks; i++)
                kept[i] = vqtbl1q_u8(i < blocks ? word : next, place[i % blocks]);
            BNN_UNROLL for (size_t i = 0; i < 2 * blocks; i++) kept[i] = vtstq_u8(kept[i], own);
            BNN_UNROLL for (size_t i = 0; i < 2 * blocks; i++)
                vst1q_s8(out + (i < blocks ? 0 : out_stride) + LANES * (i % blocks),
                         vandq_s8(from[i % blocks], vreinterpretq_s8_u8(kept[i])));
        }
    }
}

void BNN_NAME(pool_spread_i8)(const int8_t *values, size_t rows, size_t columns, size_t stride, const uint64_t *argmax,
                              size_t argmax_stride, int8_t *out, size_t out_stride)
{
#define SPREAD(BLOCKS) spread(values, rows, BLOCKS, stride, argmax, argmax_stride, out, out_stride)
    if (columns % LANES || columns == 0)
        bnn_pool_spread_i8_portable(values, rows, columns, stride, argmax, argmax_stride, out, out_stride);
    else if (columns == LANES) SPREAD(1);
    else if (columns == 2 * LANES) SPREAD(2);
    else if (columns == 3 * LANES) SPREAD(3);
    else SPREAD(4);
#undef SPREAD
}

/* Rows of `blocks` times 16 columns. */
static BNN_INLINE void narrow(const int32_t *y, size_t rows, size_t blocks, size_t stride, int16_t *out, size_t out_stride)
{
    for (size_t row = 0; row < rows; row++, y += stride, out += out_stride) {
        int16x8_t value[BLOCKS * QUARTER];
        BNN_UNROLL for (size_t i = 0; i < QUARTER * blocks; i++) value[i] = vreinterpretq_s16_s32(vld1q_s32(y + 4 * i));
        BNN_UNROLL for (size_t i = 0; i < QUARTER * blocks; i += 2)
            vst1q_s16(out + 4 * i, vuzp1q_s16(value[i], value[i + 1]));
    }
}

static BNN_INLINE void widen(const int16_t *y, size_t rows, size_t blocks, size_t stride, int32_t *out, size_t out_stride)
{
    for (size_t row = 0; row < rows; row++, y += stride, out += out_stride) {
        int16x8_t value[BLOCKS * QUARTER / 2];
        BNN_UNROLL for (size_t i = 0; i < 2 * blocks; i++) value[i] = vld1q_s16(y + 8 * i);
        BNN_UNROLL for (size_t i = 0; i < 2 * blocks; i++) {
            vst1q_s32(out + 8 * i, vmovl_s16(vget_low_s16(value[i])));
            vst1q_s32(out + 8 * i + 4, vmovl_high_s16(value[i]));
        }
    }
}

/* CONVERT(blocks) for every four blocks of 16 columns from c on, or fewer. */
#define EACH_BLOCKS(CONVERT)                                      \
    for (size_t c = 0; c < whole; c += BLOCKS * LANES) {          \
        const size_t blocks = (whole - c) / LANES;                \
        if (blocks >= 4) CONVERT(4);                              \
        else if (blocks == 3) CONVERT(3);                         \
        else if (blocks == 2) CONVERT(2);                         \
        else CONVERT(1);                                          \
    }

/* Columns past the last 16 are left to the portable functions. */
void BNN_NAME(narrow_i32_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, int16_t *out,
                              size_t out_stride)
{
    const size_t whole = columns - columns % LANES;
#define NARROW(BLOCKS) narrow(y + c, rows, BLOCKS, stride, out + c, out_stride)
    EACH_BLOCKS(NARROW)
#undef NARROW
    if (whole < columns) bnn_narrow_i32_i16_portable(y + whole, rows, columns - whole, stride, out + whole, out_stride);
}

void BNN_NAME(widen_i16_i32)(const int16_t *y, size_t rows, size_t columns, size_t stride, int32_t *out,
                             size_t out_stride)
{
    const size_t whole = columns - columns % LANES;
#define WIDEN(BLOCKS) widen(y + c, rows, BLOCKS, stride, out + c, out_stride)
    EACH_BLOCKS(WIDEN)
#undef WIDEN
    if (whole < columns) bnn_widen_i16_i32_portable(y + whole, rows, columns - whole, stride, out + whole, out_stride);
}
#endif
