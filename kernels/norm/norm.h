/* norm.h: batch normalisation of exact integers, the sign after it, and both backwards.
 *
 * A tile is y [rows][columns] int32, one column per channel, `stride` elements from row to row; rows are samples (and
 * positions).  Arrays called per channel have one entry per column.  All sums are exact integers, so that neither the
 * tiling nor the thread count nor the instruction set shows in a result; float arithmetic is elementwise, in the order
 * written, never contracted.
 *
 * Sums (added to what the arrays hold)
 *   norm_sums_i32        sum[c] += sum_r y, sum_squares[c] += sum_r y^2              |y| <= 2^23: exact to 2^17 - 1 rows,
 *                                                                                      |y| < 2^17: to 2^29
 *   norm_deviation_i32   deviation[c] += sum_r |n*y - sum[c]|                        l1 norm: n^2 times the mean |y - mu|
 *   norm_magnitude_i32   magnitude[c] += sum_r |y*scale[c] + shift[c]|               rows in order, in double
 *
 * Forward
 *   binarise_i32_u1      bits[r][c] = (y < threshold[c]) xor flip[c]                 sgn(z) as a comparison of integers
 *   within_i32_u1        bits[r][c] = low[c] <= y <= high[c]                         |z| <= 1: straight-through mask
 *   normalise_i32_f32    z[r][c] = y*scale[c] + shift[c]
 *
 * Backward, integer gradients g [rows][columns] int8 (in place)
 *   norm_cancel_i8       g = 0 where y is outside [low[c], high[c]];
 *                        sum_g[c] += sum_r g, sum_gy[c] += sum_r g*y                 |y| <= 2^23: exact to 2^33 rows
 *   sign_tile_i32        y = +1 or -1 as binarise_i32_u1 decides (in place)
 *   norm_measure_i8      max(largest, |v|), v = a[c]*g + (b[c]*t + c0[c])            t: the tile, y or its signs
 *   norm_affine_i8       g = round(v) limited to [-limit, limit], largest as above;  half to even, or, with key != 0,
 *                        floor((round(256 v) + u) / 256), u = 8 random bits: byte c % 4 of the hash of index + r * stride
 *                        of g + 4 * (c / 4)
 *   requantise_i32_i8    q = round(v * multiplier) limited to +-127; rounding, key and index as in norm_affine_i8
 *   largest_i32          max(largest, |v|)
 *   mask_i8              g = 0 where the mask bit is 0
 *
 * Backward, real gradients g [rows][columns] float32 (in place)
 *   norm_cancel_f32, mask_f32, norm_sums_f32, norm_affine_f32: the same without rounding; sums in double, rows in order
 */
#ifndef BNN_NORM_H
#define BNN_NORM_H

#include "../common/base.h"

typedef void bnn_norm_sums_i32_fn(const int32_t *y BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                  int64_t *sum BNN_UPDATED(columns), int64_t *sum_squares BNN_UPDATED(columns));
typedef void bnn_norm_deviation_i32_fn(const int32_t *y BNN_SHAPE(rows, columns), size_t rows, size_t columns,
                                       size_t stride, int64_t n, const int64_t *sum BNN_UPDATED(columns),
                                       int64_t *deviation BNN_UPDATED(columns));
typedef void bnn_norm_magnitude_i32_fn(const int32_t *y BNN_SHAPE(rows, columns), size_t rows, size_t columns,
                                       size_t stride, const float *scale BNN_SHAPE(columns),
                                       const float *shift BNN_SHAPE(columns), double *magnitude BNN_UPDATED(columns));
typedef void bnn_binarise_i32_u1_fn(const int32_t *y BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                    const int32_t *threshold BNN_SHAPE(columns), const uint8_t *flip BNN_SHAPE(columns),
                                    uint64_t *bits BNN_SHAPE(rows, columns), size_t stride_words);
typedef void bnn_within_i32_u1_fn(const int32_t *y BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                  const int32_t *low BNN_SHAPE(columns), const int32_t *high BNN_SHAPE(columns),
                                  uint64_t *bits BNN_SHAPE(rows, columns), size_t stride_words);
typedef void bnn_normalise_i32_f32_fn(const int32_t *y BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                      const float *scale BNN_SHAPE(columns), const float *shift BNN_SHAPE(columns),
                                      float *z BNN_SHAPE(rows, columns), size_t z_stride);

typedef void bnn_norm_cancel_i8_fn(const int32_t *y BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                   const int32_t *low BNN_SHAPE(columns), const int32_t *high BNN_SHAPE(columns),
                                   int8_t *g BNN_UPDATED(rows, columns), size_t g_stride,
                                   int64_t *sum_g BNN_UPDATED(columns), int64_t *sum_gy BNN_UPDATED(columns));
typedef void bnn_sign_tile_i32_fn(int32_t *y BNN_UPDATED(rows, columns), size_t rows, size_t columns, size_t stride,
                                  const int32_t *threshold BNN_SHAPE(columns), const uint8_t *flip BNN_SHAPE(columns));
typedef void bnn_norm_measure_i8_fn(const int32_t *t BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                    const float *a BNN_SHAPE(columns), const float *b BNN_SHAPE(columns),
                                    const float *c0 BNN_SHAPE(columns), const int8_t *g BNN_SHAPE(rows, columns),
                                    size_t g_stride, float *largest);
typedef void bnn_norm_affine_i8_fn(const int32_t *t BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                   const float *a BNN_SHAPE(columns), const float *b BNN_SHAPE(columns),
                                   const float *c0 BNN_SHAPE(columns), int8_t *g BNN_UPDATED(rows, columns),
                                   size_t g_stride, int limit, uint64_t key, uint32_t index, float *largest);
typedef void bnn_requantise_i32_i8_fn(const int32_t *v BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                      float multiplier, int8_t *q BNN_SHAPE(rows, columns), size_t q_stride, uint64_t key,
                                      uint32_t index);
typedef void bnn_largest_i32_fn(const int32_t *v BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                int32_t *largest);
typedef void bnn_mask_i8_fn(const uint64_t *bits BNN_SHAPE(rows, columns), size_t stride_words, size_t rows, size_t columns,
                            int8_t *g BNN_UPDATED(rows, columns), size_t g_stride);

typedef void bnn_norm_cancel_f32_fn(const int32_t *y BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                    const int32_t *low BNN_SHAPE(columns), const int32_t *high BNN_SHAPE(columns),
                                    float *g BNN_UPDATED(rows, columns), size_t g_stride);
typedef void bnn_mask_f32_fn(const uint64_t *bits BNN_SHAPE(rows, columns), size_t stride_words, size_t rows,
                             size_t columns, float *g BNN_UPDATED(rows, columns), size_t g_stride);
typedef void bnn_norm_sums_f32_fn(const int32_t *t BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                  const float *g BNN_SHAPE(rows, columns), size_t g_stride,
                                  double *sum_g BNN_UPDATED(columns), double *sum_gt BNN_UPDATED(columns));
typedef void bnn_norm_affine_f32_fn(const int32_t *t BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                    const float *a BNN_SHAPE(columns), const float *b BNN_SHAPE(columns),
                                    const float *c0 BNN_SHAPE(columns), float *g BNN_UPDATED(rows, columns),
                                    size_t g_stride);

#endif
