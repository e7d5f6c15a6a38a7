/* safe_rows.h: how many rows of products fit 32 bits, for instruction sets that add them up there. */
#ifndef BNN_NORM_SAFE_ROWS_H
#define BNN_NORM_SAFE_ROWS_H

#include "../common/base.h"

/* Rows whose sums of g*y stay inside int32: `most`, of at most 120, where |y| that passes is at most 2^17, otherwise
 * one: |g*y| is at most 2^30. */
static inline size_t bnn_safe_rows(const int32_t *low, const int32_t *high, size_t columns, size_t most)
{
    const int32_t bound = 1 << 17;
    int wide = 0;
    for (size_t c = 0; c < columns; c++) wide |= (low[c] < -bound) | (high[c] > bound);
    return wide ? 1 : most;
}

#endif
