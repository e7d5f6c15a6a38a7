/* neon.h: what the stream's files for NEON share: blocks, limits. */
#ifndef BNN_STREAM_NEON_H
#define BNN_STREAM_NEON_H

#include "../common/neon_round.h"

#define BNN_NAME(op) bnn_##op##_neon
#define BNN_HAVE_stream_add_i16
#define BNN_HAVE_stream_within_i16_u1
#define BNN_HAVE_stream_sums_i16
#define BNN_HAVE_stream_measure_i16
#define BNN_HAVE_stream_affine_i16
#define BNN_HAVE_stream_gradient_i16
#include "loops.h"

enum { LANES = 16, QUARTER = 4, RUN = 120 };

/* Blocks of rows row0 ... end - 1 and columns c ... c + WIDTH - 1: the rows' y (30 KiB at 64 columns) stay in the
 * first-level cache over the blocks. */
#define EACH_BLOCK(WIDTH)                                                                                    \
    for (size_t row0 = 0, end = bnn_min(RUN, rows); row0 < rows; row0 = end, end = bnn_min(rows, end + RUN)) \
        for (size_t c = 0; c < whole; c += WIDTH)

/* At least -BNN_STREAM_LIMIT. */
static inline int16x8_t at_least(int16x8_t words) { return vmaxq_s16(words, vdupq_n_s16(-BNN_STREAM_LIMIT)); }

/* 8 values rounded half to even, within +-BNN_STREAM_LIMIT. */
static inline int16x8_t limited_words(const float32x4_t v[2])
{
    return at_least(bnn_neon_words_at_most(v, vdupq_n_f32((float)BNN_STREAM_LIMIT)));
}

/* former + change, within +-32767. */
static inline int16x8_t add_limited(int16x8_t former, int16x8_t change)
{
    return vmaxq_s16(vqaddq_s16(former, change), vdupq_n_s16(-INT16_MAX));
}

#endif
