/* neon.h: what batch normalisation's files for NEON share: blocks, intervals. */
#ifndef BNN_NORM_NEON_H
#define BNN_NORM_NEON_H

#include "../common/neon.h"
#include "norm.h"

#define BNN_NAME(op) bnn_##op##_neon

enum { LANES = 16, QUARTER = 4, RUN = 120 };

/* Blocks of rows row0 ... end - 1 and columns c ... c + WIDTH - 1: the rows' y (30 KiB at 64 columns) stay in the
 * first-level cache over the blocks. */
#define EACH_BLOCK(WIDTH)                                                                                    \
    for (size_t row0 = 0, end = bnn_min(RUN, rows); row0 < rows; row0 = end, end = bnn_min(rows, end + RUN)) \
        for (size_t c = 0; c < whole; c += WIDTH)

/* The intervals of 16 columns: y is in [low, high] if y - low <= span without signs; for an empty interval,
 * low > high, if y = INT32_MAX. */
struct intervals {
    uint32x4_t low[QUARTER], span[QUARTER];
};

/* filled: masks of the columns whose interval is not empty. */
static BNN_INLINE struct intervals intervals_of(const int32_t *low, const int32_t *high, uint32x4_t filled[QUARTER])
{
    struct intervals is;
    BNN_UNROLL for (size_t i = 0; i < QUARTER; i++) {
        const int32x4_t least = vld1q_s32(low + 4 * i), most = vld1q_s32(high + 4 * i);
        filled[i] = vcleq_s32(least, most);
        is.low[i] = vbslq_u32(filled[i], vreinterpretq_u32_s32(least), vdupq_n_u32(INT32_MAX));
        is.span[i] = vandq_u32(filled[i], vreinterpretq_u32_s32(vsubq_s32(most, least)));
    }
    return is;
}

/* Columns 4i ... 4i + 3. */
static inline uint32x4_t inside(int32x4_t y, const struct intervals *is, size_t i)
{
    return vcleq_u32(vsubq_u32(vreinterpretq_u32_s32(y), is->low[i]), is->span[i]);
}

#endif
