/* stream.h: the real stream of a residual network, which shortcuts carry on: sums, mask of its signs, gradient.
 *
 * The stream r is int16 in units of 1/BNN_STREAM_ONE, limited to +-32767; its signs are those of pack_i16_u1.  Its gradient g is
 * int16 with a scale of its own.  A tile is y [rows][columns] int32 of the product behind it, one column per channel, as in
 * norm.h; per-channel arrays have one entry per column.
 *
 * Forward
 *   stream_add_i16        r = round(BNN_STREAM_ONE * (y*scale[c] + shift[c])), that limited to +-BNN_STREAM_LIMIT, and where
 *                         `add` is set the former r on top, limited to +-32767; half to even (in place)
 *   stream_within_i16_u1  bits[r][c] = |r| <= BNN_STREAM_ONE                        straight-through mask
 *
 * Backward
 *   stream_sums_i16       sum_g[c] += sum_r g, sum_gy[c] += sum_r g*y               |y| <= 2^23: exact to 2^25 rows
 *   stream_measure_i16    max(largest, |v|), v = a[c]*g + (b[c]*y + c0[c])
 *   stream_affine_i16     q = round(v) limited to [-limit, limit], largest as above; rounding, key and index as in norm_affine_i8,
 *                         with the index of q
 *   stream_gradient_i16   g = round(y*multiplier), that limited to +-BNN_STREAM_LIMIT, where the mask has its bit, elsewhere 0,
 *                         and where `add` is set the former g on top, limited to +-32767 (in place); rounding, key and
 *                         index as in norm_affine_i8, with the index of g; max(largest, |g|)
 */
#ifndef BNN_STREAM_H
#define BNN_STREAM_H

#include "../common/base.h"

#define BNN_STREAM_ONE 512
#define BNN_STREAM_LIMIT 16383

typedef void bnn_stream_add_i16_fn(const int32_t *y BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                   const float *scale BNN_SHAPE(columns), const float *shift BNN_SHAPE(columns), int add,
                                   int16_t *r BNN_UPDATED(rows, columns), size_t r_stride);
typedef void bnn_stream_within_i16_u1_fn(const int16_t *r BNN_SHAPE(rows, columns), size_t rows, size_t columns,
                                         size_t stride, uint64_t *bits BNN_SHAPE(rows, columns), size_t stride_words);

typedef void bnn_stream_sums_i16_fn(const int32_t *y BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                    const int16_t *g BNN_SHAPE(rows, columns), size_t g_stride,
                                    int64_t *sum_g BNN_UPDATED(columns), int64_t *sum_gy BNN_UPDATED(columns));
typedef void bnn_stream_measure_i16_fn(const int32_t *y BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                       const float *a BNN_SHAPE(columns), const float *b BNN_SHAPE(columns),
                                       const float *c0 BNN_SHAPE(columns), const int16_t *g BNN_SHAPE(rows, columns),
                                       size_t g_stride, float *largest);
typedef void bnn_stream_affine_i16_fn(const int32_t *y BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                      const float *a BNN_SHAPE(columns), const float *b BNN_SHAPE(columns),
                                      const float *c0 BNN_SHAPE(columns), const int16_t *g BNN_SHAPE(rows, columns),
                                      size_t g_stride, int8_t *q BNN_SHAPE(rows, columns), size_t q_stride, int limit,
                                      uint64_t key, uint32_t index, float *largest);
typedef void bnn_stream_gradient_i16_fn(const int32_t *y BNN_SHAPE(rows, columns), size_t rows, size_t columns,
                                        size_t stride, float multiplier, const uint64_t *bits BNN_SHAPE(rows, columns),
                                        size_t stride_words, int add, int16_t *g BNN_UPDATED(rows, columns),
                                        size_t g_stride, uint64_t key, uint32_t index, int32_t *largest);

#endif
