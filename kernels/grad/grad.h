/* grad.h: products of int8 values with signs or with int8 values, exact.
 *
 *   gemm_i8_u1_i32   c[r][j] = sum_k a[r][k] * sgn(b[k][j])      sgn = 1 - 2 * bit
 *   gemm_i8_i8_i32   c[r][j] = sum_k a[r][k] * b[k][j]
 *
 * They serve, with B = batch: the first layer (a = x [B][in], b = W^T [in][out]), the input gradient
 * (a = dY [B][out], b = W [out][in]) and the weight gradient (a = dY^T [out][B], b = X [B][in]).
 *
 * a [rows][depth] int8, `a_stride` elements from row to row; c [rows][columns] int32.  Any rows, columns and depth.
 * b is depth-major: u1 [depth][words(columns)], or int8 [depth][columns].
 * Bounds: |c| <= depth * 128 (u1) or depth * 128 * 128 (i8) < 2^31, which the bindings check; int32 sums may wrap on the
 * way and are right in the end, 16-bit accumulators state their bound where they stand.
 * `panel`: BNN_PANEL_BYTES of scratch, 64-byte aligned, where b is re-laid in pieces of BNN_PANEL_DEPTH x BNN_TILE.
 * `reuse` != 0 promises that the former call with this panel had the same b, columns and depth, and was of the same
 * instruction set; it spares the re-laying where columns <= BNN_TILE and depth <= BNN_PANEL_DEPTH and is ignored otherwise.
 * Nothing is read or written past the last element of an operand.
 */
#ifndef BNN_GRAD_H
#define BNN_GRAD_H

#include "../common/base.h"

typedef void bnn_gemm_i8_u1_i32_fn(const int8_t *a BNN_SHAPE(rows, depth), size_t rows, size_t a_stride,
                                   const uint64_t *b BNN_SHAPE(depth, columns), size_t b_stride_words, size_t columns,
                                   size_t depth, int32_t *c BNN_SHAPE(rows, columns), size_t c_stride, void *panel,
                                   int reuse);
typedef void bnn_gemm_i8_i8_i32_fn(const int8_t *a BNN_SHAPE(rows, depth), size_t rows, size_t a_stride,
                                   const int8_t *b BNN_SHAPE(depth, columns), size_t b_stride, size_t columns, size_t depth,
                                   int32_t *c BNN_SHAPE(rows, columns), size_t c_stride, void *panel, int reuse);

#endif
