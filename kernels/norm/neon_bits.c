/* neon_bits.c: comparisons of y as bits, and bits as masks of gradients.
 *
 * Columns past the last whole word are left to the
 * portable functions.
 *
 *   per 64 elements        instructions (128 bits; A53 does one a cycle and half an ldr, A72 one or two)
 *   binarise_i32_u1        16 ldr, 16 cmgt, 14 bsl, 2 and, 2 addp, eor
 *   within_i32_u1          16 ldr, 16 sub, 16 cmhs, 14 bsl, 2 and, 2 addv
 *   mask_i8                4 ldr, 4 tbl, 4 cmtst, 4 and, 4 str
 */
#if defined(__aarch64__)
#include "neon.h"

bnn_binarise_i32_u1_fn bnn_binarise_i32_u1_portable;
bnn_within_i32_u1_fn bnn_within_i32_u1_portable;
bnn_mask_i8_fn bnn_mask_i8_portable;

enum { HALF_WORD = 32, PER_HALF = HALF_WORD / QUARTER };

/* y < threshold of 32 columns. */
static BNN_INLINE uint32x4_t below(const int32_t *y, const int32x4_t limits[PER_HALF])
{
    uint32x4_t masks[PER_HALF];
    BNN_UNROLL for (size_t i = 0; i < PER_HALF; i++) masks[i] = vcltq_s32(vld1q_s32(y + 4 * i), limits[i]);
    return bnn_neon_half_word(masks);
}

static inline void store_half(uint64_t *word, size_t half, uint32_t bits)
{
    memcpy((uint8_t *)word + half * sizeof bits, &bits, sizeof bits);
}

/* Half words, whose limits fit the registers beside two rows; half 0 are columns 0 ... 31. */
static void binarise_halves(const int32_t *y, size_t rows, size_t stride, const int32_t *threshold, uint32_t flips,
                            uint64_t *bits, size_t stride_words, size_t half)
{
    int32x4_t limits[PER_HALF];
    BNN_UNROLL for (size_t i = 0; i < PER_HALF; i++) limits[i] = vld1q_s32(threshold + 4 * i);
    for (; rows > 1; rows -= 2, y += 2 * stride, bits += 2 * stride_words) {
        const uint32x4_t first = below(y, limits), second = below(y + stride, limits), both = vpaddq_u32(first, second);
        const uint32x2_t words = veor_u32(vget_low_u32(vpaddq_u32(both, both)), vdup_n_u32(flips));
        store_half(bits, half, vget_lane_u32(words, 0));
        store_half(bits + stride_words, half, vget_lane_u32(words, 1));
    }
    if (rows) store_half(bits, half, vaddvq_u32(below(y, limits)) ^ flips);
}

void BNN_NAME(binarise_i32_u1)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                               const int32_t *threshold, const uint8_t *flip, uint64_t *bits, size_t stride_words)
{
    const size_t whole = columns - columns % BNN_WORD_BITS, words = whole / BNN_WORD_BITS;
    for (size_t c = 0; c < whole; c += HALF_WORD) {
        uint32_t flips = 0;
        for (size_t i = 0; i < HALF_WORD; i++) flips |= (uint32_t)flip[c + i] << i;
        binarise_halves(y + c, rows, stride, threshold + c, flips, bits + c / BNN_WORD_BITS, stride_words,
                        c / HALF_WORD % 2);
    }
    if (whole < columns)
        bnn_binarise_i32_u1_portable(y + whole, rows, columns - whole, stride, threshold + whole, flip + whole,
                                     bits + words, stride_words);
}

/* The sum of the lanes. */
static inline uint32_t half_word(const uint32x4_t masks[PER_HALF]) { return vaddvq_u32(bnn_neon_half_word(masks)); }

void BNN_NAME(within_i32_u1)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                             const int32_t *low, const int32_t *high, uint64_t *bits, size_t stride_words)
{
    const size_t whole = columns - columns % BNN_WORD_BITS, words = whole / BNN_WORD_BITS;
    for (size_t c = 0; c < whole; c += HALF_WORD) {
        uint32x4_t masks[PER_HALF];
        const struct intervals first = intervals_of(low + c, high + c, masks);
        const struct intervals second = intervals_of(low + c + LANES, high + c + LANES, masks + QUARTER);
        const uint64_t filled = half_word(masks);
        for (size_t row = 0; row < rows; row++) {
            const int32_t *at = y + row * stride + c;
            uint64_t *word = bits + row * stride_words + c / BNN_WORD_BITS;
            BNN_UNROLL for (size_t i = 0; i < QUARTER; i++) {
                masks[i] = inside(vld1q_s32(at + 4 * i), &first, i);
                masks[QUARTER + i] = inside(vld1q_s32(at + LANES + 4 * i), &second, i);
            }
            const uint64_t half = half_word(masks) & filled;
            *word = c % BNN_WORD_BITS ? *word | half << HALF_WORD : half;
        }
    }
    if (whole < columns)
        bnn_within_i32_u1_portable(y + whole, rows, columns - whole, stride, low + whole, high + whole, bits + words,
                                   stride_words);
}

void BNN_NAME(mask_i8)(const uint64_t *bits, size_t stride_words, size_t rows, size_t columns,
                       int8_t *g, size_t g_stride)
{
    /* Byte i: 1 << i % 8. */
    const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(UINT64_C(0x8040201008040201)));
    /* Byte i: i / 8, the byte of the word that holds its bit. */
    const uint8x16_t spread = vcombine_u8(vdup_n_u8(0), vdup_n_u8(1));
    const size_t whole = columns - columns % BNN_WORD_BITS;
    for (size_t row = 0; row < rows; row++)
        for (size_t c = 0; c < whole; c += BNN_WORD_BITS) {
            const uint8x16_t word = vreinterpretq_u8_u64(vdupq_n_u64(bits[row * stride_words + c / BNN_WORD_BITS]));
            int8_t *at = g + row * g_stride + c;
            for (uint8_t i = 0; i < QUARTER; i++) {
                const uint8x16_t own = vqtbl1q_u8(word, vaddq_u8(spread, vdupq_n_u8(2 * i)));
                const int8x16_t kept = vreinterpretq_s8_u8(vtstq_u8(own, bit));
                vst1q_s8(at + LANES * i, vandq_s8(vld1q_s8(at + LANES * i), kept));
            }
        }
    if (whole < columns)
        bnn_mask_i8_portable(bits + whole / BNN_WORD_BITS, stride_words, rows, columns - whole, g + whole, g_stride);
}
#endif
