/* real_conv.h: a convolution with real weights and the batch norm behind it, from pixels or a stream to a new stream.
 *
 * With int8 gradients it multiplies integers: weights are rounded to int8, output channel by output channel, from their float
 * latents; a stream that comes in is rounded to int8 with one scale, after the mean of 2x2 positions if it is pooled.  y is shifted
 * right until it has at most 15 bits, which batch norm does not notice and which keeps all sums exact.  With gradients of
 * floats everything is float32.  Either way y and dY exist in tiles only and are computed again where they are needed.
 *
 *   forward    X; sums of y; z into the stream.     backward   sums of g and g*y; dW, 64 output channels at a time; dX into the
 *                                                              gradient of the stream that came in
 *
 * A stream is read by kernels of 1x1 without strides alone; pixels have no gradient.  W is [O][taps*I].
 */
#ifndef BNN_REAL_CONV_H
#define BNN_REAL_CONV_H

#include "../conv/conv.h"

struct bnn_real_conv {
    /* Window (without pooling) and origins; of the block: pixels x_i8, latents and moments, norm, gradients' type and scales, streams,
     * scratch. */
    struct bnn_conv conv;
    /* The stream that comes in: its sizes, and the side of its mean, 1 or 2.  An odd last row or column is left out. */
    size_t stream_height, stream_width, pooled;
    int8_t *x_i8;       /* X [B*H*W][I], made of a stream: int8, or float32 */
    float *x_f32;
    float *amax;        /* [2]: the running amax of the sums that X is rounded from; the sum that is 1 in X */
    void *w_rows, *w_columns; /* W [O][taps*I] as it is multiplied, int8 or float32, and turned [taps*I][O] */
    float *w_unit;      /* [O]: the weight that is 1 in int8 */
};

/* Bytes of one thread's scratch. */
size_t bnn_real_conv_scratch(const struct bnn_real_conv *r);

/* Bits by which products of so many inputs are shifted right. */
int bnn_real_conv_shift(size_t inputs);

void bnn_real_conv_forward(const struct bnn_kernels *k, const struct bnn_real_conv *r, size_t batch, int first, int threads);
void bnn_real_conv_backward(const struct bnn_kernels *k, const struct bnn_real_conv *r, size_t batch,
                            const struct bnn_block_step *step, int threads);

#endif
