/* gradient.h: float32 and float16 gradients to a float32 tile and back. */
#ifndef BNN_GRADIENT_H
#define BNN_GRADIENT_H

#include "../dispatch/dispatch.h"
#include "../common/number.h"

#define BNN_LARGEST_HALF 65504.0f

/* out [rows][width] from element `at` of a gradient with `stride` elements a row. */
static inline void bnn_load_gradient(const struct bnn_kernels *k, enum bnn_type type, const void *from, size_t at,
                                     size_t stride, size_t rows, size_t width, float *out, size_t out_stride)
{
    if (type == BNN_f16)
        k->convert_f16_f32((const uint16_t *)from + at, stride, rows, width, out, out_stride);
    else
        for (size_t r = 0; r < rows; r++)
            memcpy(out + r * out_stride, (const float *)from + at + r * stride, width * sizeof *out);
}

/* From values [rows][BNN_TILE].  float16 saturates: one infinity (batch norm of a constant channel divides by epsilon)
 * would make all weights NaN. */
static inline void bnn_store_gradient(const struct bnn_kernels *k, enum bnn_type type, void *to, size_t at,
                                      size_t stride, size_t rows, size_t width, float *values)
{
    if (type == BNN_f16) {
        for (size_t i = 0; i < rows * BNN_TILE; i++) values[i] = bnn_clip(values[i], BNN_LARGEST_HALF);
        k->convert_f32_f16(values, BNN_TILE, rows, width, (uint16_t *)to + at, stride);
    } else
        for (size_t r = 0; r < rows; r++)
            memcpy((float *)to + at + r * stride, values + r * BNN_TILE, width * sizeof *values);
}

#endif
