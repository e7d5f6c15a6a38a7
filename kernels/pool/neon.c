/* neon.c: pooling by masks of whole lanes, 16 columns at a time.  Tiles whose width is no multiple of 16 (only the last
 * channels of a layer are that) are left to the portable functions.
 *
 *   per window and 16 columns   pool_max_i32: 16 ldr, 4 ldr of turns, 20 eor, 12 cmgt, 12 smax, 4 str; 9 uzp1, 3 and,
 *                               4 addp, str make bits; one ld4 a window lays the bits of four blocks together
 *   per row and 16 columns      pool_spread_i8: tbl and cmtst give each byte its bit; and, str
 */
#if defined(__aarch64__)
#include <arm_neon.h>

#include "pool.h"

#define BNN_NAME(op) bnn_##op##_neon

bnn_pool_max_i32_fn bnn_pool_max_i32_portable;
bnn_pool_spread_i8_fn bnn_pool_spread_i8_portable;

enum { LANES = 16, QUARTER = 4, BLOCKS = BNN_TILE / LANES };

/* Byte i: 1 << i % 8. */
static inline uint8x16_t bit_of_byte(void) { return vreinterpretq_u8_u64(vdupq_n_u64(UINT64_C(0x8040201008040201))); }

/* 16 masks of 32 bits become masks of bytes, of which the byte's own bit remains. */
static inline uint8x16_t byte_bits(const uint32x4_t masks[QUARTER])
{
    const uint16x8_t low = vuzp1q_u16(vreinterpretq_u16_u32(masks[0]), vreinterpretq_u16_u32(masks[1]));
    const uint16x8_t high = vuzp1q_u16(vreinterpretq_u16_u32(masks[2]), vreinterpretq_u16_u32(masks[3]));
    return vandq_u8(vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high)), bit_of_byte());
}

/* The largest of a window's 16 columns.  Bit c of later[j - 1]: row j beats those before it; later[3] is nothing. */
static inline void best_of(const int32_t *y, size_t stride, const int32_t *turn, int32_t *out, uint16_t later[QUARTER])
{
    uint32x4_t beats[BNN_POOL_ROWS - 1][QUARTER];
    for (size_t i = 0; i < QUARTER; i++) {
        const int32x4_t turn_i32x4 = vld1q_s32(turn + 4 * i);
        int32x4_t best = veorq_s32(vld1q_s32(y + 4 * i), turn_i32x4);
        for (size_t j = 1; j < BNN_POOL_ROWS; j++) {
            const int32x4_t value = veorq_s32(vld1q_s32(y + j * stride + 4 * i), turn_i32x4);
            beats[j - 1][i] = vcgtq_s32(value, best);
            best = vmaxq_s32(best, value);
        }
        vst1q_s32(out + 4 * i, veorq_s32(best, turn_i32x4));
    }
    const uint8x16_t third = byte_bits(beats[2]);
    const uint8x16_t fours = vpaddq_u8(vpaddq_u8(byte_bits(beats[0]), byte_bits(beats[1])), vpaddq_u8(third, third));
    vst1_u16(later, vget_low_u16(vreinterpretq_u16_u8(vpaddq_u8(fours, fours))));
}

/* The last row that beat those before it is the first with the largest value. */
static inline void choose(uint64_t *choice, size_t stride, const uint16_t *later, uint64_t all)
{
    const uint16x4x4_t rows = vld4_u16(later);
    const uint64_t one = vget_lane_u64(vreinterpret_u64_u16(rows.val[0]), 0);
    const uint64_t two = vget_lane_u64(vreinterpret_u64_u16(rows.val[1]), 0);
    const uint64_t three = vget_lane_u64(vreinterpret_u64_u16(rows.val[2]), 0);
    choice[0] = all & ~(one | two | three);
    choice[stride] = one & ~(two | three);
    choice[2 * stride] = two & ~three;
    choice[3 * stride] = three;
}

/* Values are compared as y ^ turn: complement turns the order round, and keeps equals equal. */
void BNN_NAME(pool_max_i32)(const int32_t *y, size_t rows, size_t columns, size_t stride, const uint8_t *flip,
                            int32_t *out, size_t out_stride, uint64_t *choice, size_t choice_stride)
{
    if (columns % LANES) {
        bnn_pool_max_i32_portable(y, rows, columns, stride, flip, out, out_stride, choice, choice_stride);
        return;
    }
    int32_t turn[BNN_TILE];
    uint16_t later[BLOCKS][QUARTER] = {{0}};
    for (size_t c = 0; c < columns; c++) turn[c] = flip[c] ? -1 : 0;
    for (size_t row = 0; row < rows; row++, y += BNN_POOL_ROWS * stride, out += out_stride) {
        for (size_t c = 0; c < columns; c += LANES) best_of(y + c, stride, turn + c, out + c, later[c / LANES]);
        choose(choice, choice_stride, later[0], bnn_low_bits(columns));
        choice += BNN_POOL_ROWS * choice_stride;
    }
}

/* The bytes of 16 values whose bit is set in bytes 2i and 2i + 1 of the word. */
static inline int8x16_t kept_bytes(int8x16_t values, uint8x16_t word, uint8_t i)
{
    const uint8x16_t byte = vcombine_u8(vdup_n_u8(2 * i), vdup_n_u8(2 * i + 1));
    return vandq_s8(values, vreinterpretq_s8_u8(vtstq_u8(vqtbl1q_u8(word, byte), bit_of_byte())));
}

/* Inlined, so that a constant number of blocks unrolls. */
static inline __attribute__((always_inline)) void spread(const int8_t *values, size_t rows, size_t blocks,
                                                         size_t stride, const uint64_t *choice, size_t choice_stride,
                                                         int8_t *out, size_t out_stride)
{
    for (size_t row = 0; row < rows; row++, values += stride) {
        int8x16_t from[BLOCKS];
        for (size_t i = 0; i < blocks; i++) from[i] = vld1q_s8(values + LANES * i);
        for (size_t j = 0; j < BNN_POOL_ROWS; j++, choice += choice_stride, out += out_stride) {
            const uint8x16_t word = vreinterpretq_u8_u64(vdupq_n_u64(*choice));
            for (size_t i = 0; i < blocks; i++) vst1q_s8(out + LANES * i, kept_bytes(from[i], word, (uint8_t)i));
        }
    }
}

void BNN_NAME(pool_spread_i8)(const int8_t *values, size_t rows, size_t columns, size_t stride, const uint64_t *choice,
                              size_t choice_stride, int8_t *out, size_t out_stride)
{
    const size_t blocks = columns / LANES;
    if (columns % LANES)
        bnn_pool_spread_i8_portable(values, rows, columns, stride, choice, choice_stride, out, out_stride);
    else if (blocks == BLOCKS) spread(values, rows, BLOCKS, stride, choice, choice_stride, out, out_stride);
    else spread(values, rows, blocks, stride, choice, choice_stride, out, out_stride);
}
#endif
