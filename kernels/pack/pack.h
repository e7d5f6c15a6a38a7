/* pack.h: signs to bits, and transposition.
 *
 *   pack_<t>_u1   bits[r][c] = values[r][c] < 0        (-0.0 is not below 0: sgn(0) = +1; NaN packs as +1)
 *   transpose_u1  out[c][r] = bits[r][c]
 *   transpose_i8  out[c][r] = values[r][c]
 *
 * values [rows][columns], `stride` elements from row to row; bits [rows][words(columns)], `stride_words` words from
 * row to row.  Writers set the bits past the last column to 0.  Operands never overlap.
 */
#ifndef BNN_PACK_H
#define BNN_PACK_H

#include "../common/base.h"

typedef void bnn_pack_i8_u1_fn(const int8_t *values BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                               uint64_t *bits BNN_SHAPE(rows, columns), size_t stride_words);
typedef void bnn_pack_i16_u1_fn(const int16_t *values BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                uint64_t *bits BNN_SHAPE(rows, columns), size_t stride_words);
/* IEEE binary16 as its bit pattern. */
typedef void bnn_pack_f16_u1_fn(const uint16_t *values BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                uint64_t *bits BNN_SHAPE(rows, columns), size_t stride_words);
typedef void bnn_pack_f32_u1_fn(const float *values BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                uint64_t *bits BNN_SHAPE(rows, columns), size_t stride_words);
typedef void bnn_transpose_u1_fn(const uint64_t *bits BNN_SHAPE(rows, columns), size_t rows, size_t columns,
                                 size_t stride_words, uint64_t *out BNN_SHAPE(columns, rows), size_t out_stride_words);
typedef void bnn_transpose_i8_fn(const int8_t *values BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                 int8_t *out BNN_SHAPE(columns, rows), size_t out_stride);

#endif
