/* xnor.h: the product of two binary matrices, exact.
 *
 *   xnor_gemm_u1_i32   y[r][c] = sum_k sgn_a[r][k] * sgn_b[c][k] = depth - 2 * popcount(a[r] ^ b[c])
 *
 * a [rows][words(depth)], b [columns][words(depth)]: packed signs, tail bits 0 in both; y [rows][columns] int32.
 * Any rows and columns; |y| <= depth < 2^31.  `panel`: BNN_PANEL_BYTES of scratch, 64-byte aligned.
 * Nothing is read or written past the last element of an operand.
 */
#ifndef BNN_XNOR_H
#define BNN_XNOR_H

#include "../common/base.h"

typedef void bnn_xnor_gemm_u1_i32_fn(const uint64_t *a BNN_SHAPE(rows, depth), size_t rows, size_t a_stride_words,
                                     const uint64_t *b BNN_SHAPE(columns, depth), size_t columns, size_t b_stride_words,
                                     size_t depth, int32_t *y BNN_SHAPE(rows, columns), size_t y_stride, void *panel);

#endif
