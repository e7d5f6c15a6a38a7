/* real.h: float32 and float16 work: the products of the real-gradient methods, the loss, and Adam for gamma and beta.
 *
 *   gemm_f32        c[r][j] = sum_k a[r*a_row_stride + k*a_depth_stride] * b[k][j]      k in order, no contraction: the same bits on
 *                                                                         every instruction set and thread count
 *   expand_u1_f32   out[r][j] = +1 or -1 of the bit
 *   convert_i8_f32, convert_f16_f32, convert_f32_f16 (half to even)       [rows][columns] with strides
 *   quantise_f32_i8 q = round(v * multiplier) limited to +-127, half to even
 *   softmax_f32     for each row r: p = softmax(z[r]); gradient[r] = p - target, the gradient of the *summed* loss;
 *                   loss[r] = -sum target*log p; correct[r] = 1 where the label has the (first) largest z.
 *                   target = 1 - smoothing + smoothing/classes at the label, smoothing/classes elsewhere.
 *                   gradient may be z or NULL.
 *   adam_f32        the step of Kingma and Ba 2015 on a vector
 */
#ifndef BNN_REAL_H
#define BNN_REAL_H

#include "../common/base.h"

typedef void bnn_gemm_f32_fn(const float *a BNN_SHAPE(rows, depth), size_t rows, size_t a_row_stride, size_t a_depth_stride,
                             const float *b BNN_SHAPE(depth, columns), size_t b_stride, size_t columns, size_t depth,
                             float *c BNN_SHAPE(rows, columns), size_t c_stride);
typedef void bnn_expand_u1_f32_fn(const uint64_t *bits BNN_SHAPE(rows, columns), size_t stride_words, size_t rows,
                                  size_t columns, float *out BNN_SHAPE(rows, columns), size_t out_stride);
typedef void bnn_convert_i8_f32_fn(const int8_t *values BNN_SHAPE(rows, columns), size_t stride, size_t rows,
                                   size_t columns, float *out BNN_SHAPE(rows, columns), size_t out_stride);
typedef void bnn_convert_f16_f32_fn(const uint16_t *values BNN_SHAPE(rows, columns), size_t stride, size_t rows,
                                    size_t columns, float *out BNN_SHAPE(rows, columns), size_t out_stride);
typedef void bnn_convert_f32_f16_fn(const float *values BNN_SHAPE(rows, columns), size_t stride, size_t rows,
                                    size_t columns, uint16_t *out BNN_SHAPE(rows, columns), size_t out_stride);
typedef void bnn_quantise_f32_i8_fn(const float *values BNN_SHAPE(count), size_t count, float multiplier,
                                    int8_t *q BNN_SHAPE(count));
typedef void bnn_softmax_f32_fn(const float *z BNN_SHAPE(rows, classes), const bnn_label *labels BNN_SHAPE(rows), size_t rows,
                                size_t classes, float smoothing, float *gradient BNN_SHAPE(rows, classes),
                                double *loss BNN_SHAPE(rows), uint8_t *correct BNN_SHAPE(rows));

struct bnn_adam_step {
    float learning_rate, beta1, beta2, correction1, correction2, epsilon; /* correction = 1 / (1 - beta^t) */
    float gradient_scale;
};
typedef void bnn_adam_f32_fn(float *value BNN_UPDATED(count), float *m BNN_UPDATED(count), float *v BNN_UPDATED(count),
                             const float *gradient BNN_SHAPE(count), size_t count, const struct bnn_adam_step *step);

#endif
