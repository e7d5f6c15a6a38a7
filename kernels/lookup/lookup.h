/* lookup.h: products of small integers with signs by table look-up, exact, four multiply-accumulates a byte.
 *
 * Four values a0 ... a3 with |a| <= 31 have sixteen signed sums +-a0 +-a1 +-a2 +-a3, each within one signed byte (4 * 31 =
 * 124).  A table holds them; four signs are the index of the sum.  One byte look-up then does four multiplications and
 * three additions.  (Look-up products: T-MAC, arXiv 2407.00088, for int8 by bytes of table; here the values are narrow
 * enough for one byte.)
 *
 *   lookup_tables_i8   tables of `a` [rows][depth]: out[r][g][s][n], g = depth / BNN_LOOKUP_GROUP, four tables s of a group,
 *                      each of four depths, n = 16 signed sums, as an instruction set stores them: the sum over i of
 *                      (n >> i & 1 ? -1 : +1) * part(a[r][16g + 4s + i]); depths past the last count as 0.
 *                      part: the whole value (|a| <= 31), or one of the two parts of |a| <= 127,
 *                      a = 4 * high + low, high = a / 4 rounded towards 0, |high| <= 31, |low| <= 3
 *   lookup_lay_u1      signs b [depth][columns] (depth-major, columns <= BNN_TILE) to the indices that the product reads;
 *                      the order of the panel is the instruction set's own
 *   lookup_gemm_i32    c[r][j] = weight * sum_t sum_k part(a[r][t][k]) * sgn(b[t][k][j]), or that added to c;
 *                      tables[r * taps + t] is the row's table (of lookup_tables_i8) for tap t, so that rows may lie
 *                      anywhere: a convolution names the tables of its neighbours, and those of a row of zeros for none
 *
 * Sizes: a table row takes bnn_lookup_table_bytes(depth), 64-byte aligned; a panel takes BNN_LOOKUP_PANEL_BYTES per group,
 * 64-byte aligned, [taps][groups].  weight is from 1 to 127.  Bounds: |c| <= weight * taps * depth * 124 / 4 < 2^31, which
 * the callers keep.  Tables and panels are private to an instruction set (bytes of 0 are not the tables of zeros): all three
 * operations of one product must be of the same set.
 */
#ifndef BNN_LOOKUP_H
#define BNN_LOOKUP_H

#include "../common/base.h"

/* Largest |a| whose table fits into bytes. */
#define BNN_LOOKUP_LIMIT 31
/* Depths of four tables together: one vector of 64 bytes. */
#define BNN_LOOKUP_GROUP 16
#define BNN_LOOKUP_TABLE_BYTES 64
/* Indices of a group for BNN_TILE columns. */
#define BNN_LOOKUP_PANEL_BYTES 256

enum bnn_lookup_part { BNN_lookup_whole, BNN_lookup_low, BNN_lookup_high };

static inline size_t bnn_lookup_groups(size_t depth) { return bnn_ceil_div(depth, BNN_LOOKUP_GROUP); }
static inline size_t bnn_lookup_table_bytes(size_t depth) { return bnn_lookup_groups(depth) * BNN_LOOKUP_TABLE_BYTES; }

/* The part of a value that a table is made of. */
static inline int8_t bnn_lookup_part(int8_t value, enum bnn_lookup_part part)
{
    const int high = value / 4;
    return (int8_t)(part == BNN_lookup_whole ? value : part == BNN_lookup_high ? high : value - 4 * high);
}

typedef void bnn_lookup_tables_i8_fn(const int8_t *a BNN_SHAPE(rows, depth), size_t rows, size_t a_stride, size_t depth,
                                     enum bnn_lookup_part part,
                                     uint8_t *tables BNN_SHAPE(rows, bnn_lookup_table_bytes(depth)), size_t stride_bytes);
typedef void bnn_lookup_lay_u1_fn(const uint64_t *b BNN_SHAPE(depth, columns), size_t b_stride_words, size_t depth,
                                  size_t columns,
                                  uint8_t *panel BNN_SHAPE(bnn_lookup_groups(depth) * BNN_LOOKUP_PANEL_BYTES));
typedef void bnn_lookup_gemm_i32_fn(const uint8_t *const *tables BNN_SHAPE(rows * taps, groups * BNN_LOOKUP_TABLE_BYTES),
                                    size_t rows, size_t taps, size_t groups,
                                    const uint8_t *panel BNN_SHAPE(taps * groups * BNN_LOOKUP_PANEL_BYTES), size_t columns,
                                    int weight, int32_t *c BNN_UPDATED(rows, columns), size_t c_stride, int add);

#endif
