/* pool.h: pooling of four rows to one, and the way back.
 *
 * The four positions of a window stand in four rows one after the other, in scan order (see kernels/conv/window.h).
 *
 *   pool_max_i32      out[r][c] = y[4r + j][c] where j is the first of 0 ... 3 with the largest value, or, where
 *                     flip[c] != 0, with the smallest; argmax bit c of row 4r + j is 1, of the three others 0.
 *                     out may be y: row r is written after rows 4r ... 4r + 3 are read
 *   pool_sum_i32      out[r][c] = the sum of y[4r + j][c], j = 0 ... 3, which fits; out may be y, likewise
 *   pool_spread_i8    out[4r + j][c] = values[r][c] where argmax[4r + j] has bit c, else 0; likewise pool_spread_f32
 *   narrow_i32_i16    out = y, which fits;   widen_i16_i32 the way back
 *
 * `rows` counts windows (in narrow and widen: rows), columns are at most BNN_TILE (one word of argmax a row) but in pool_sum_i32;
 * strides in elements, of `argmax` in words.
 */
#ifndef BNN_POOL_H
#define BNN_POOL_H

#include "../common/base.h"

#define BNN_POOL_ROWS 4

typedef void bnn_pool_max_i32_fn(const int32_t *y BNN_SHAPE(BNN_POOL_ROWS * rows, columns), size_t rows, size_t columns,
                                 size_t stride, const uint8_t *flip BNN_SHAPE(columns),
                                 int32_t *out BNN_SHAPE(rows, columns), size_t out_stride,
                                 uint64_t *argmax BNN_SHAPE(BNN_POOL_ROWS * rows, BNN_TILE), size_t argmax_stride);
typedef void bnn_pool_sum_i32_fn(const int32_t *y BNN_SHAPE(BNN_POOL_ROWS * rows, columns), size_t rows, size_t columns,
                                 size_t stride, int32_t *out BNN_SHAPE(rows, columns), size_t out_stride);
typedef void bnn_pool_spread_i8_fn(const int8_t *values BNN_SHAPE(rows, columns), size_t rows, size_t columns,
                                   size_t stride, const uint64_t *argmax BNN_SHAPE(BNN_POOL_ROWS * rows, BNN_TILE),
                                   size_t argmax_stride, int8_t *out BNN_SHAPE(BNN_POOL_ROWS * rows, columns),
                                   size_t out_stride);
typedef void bnn_pool_spread_f32_fn(const float *values BNN_SHAPE(rows, columns), size_t rows, size_t columns,
                                    size_t stride, const uint64_t *argmax BNN_SHAPE(BNN_POOL_ROWS * rows, BNN_TILE),
                                    size_t argmax_stride, float *out BNN_SHAPE(BNN_POOL_ROWS * rows, columns),
                                    size_t out_stride);
typedef void bnn_narrow_i32_i16_fn(const int32_t *y BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                   int16_t *out BNN_SHAPE(rows, columns), size_t out_stride);
typedef void bnn_widen_i16_i32_fn(const int16_t *y BNN_SHAPE(rows, columns), size_t rows, size_t columns, size_t stride,
                                  int32_t *out BNN_SHAPE(rows, columns), size_t out_stride);

#endif
