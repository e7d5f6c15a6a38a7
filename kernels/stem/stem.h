/* stem.h: how networks for large images begin: a real convolution of pixels, batch norm, (ReLU), max-pool of 3x3 windows at
 * every second position, (a second batch norm), into a new stream.
 *
 * Neither y nor dY of the convolution, four times as large as the stream, exist but in strips of an image.  Pooling
 * commutes with batch norm and ReLU, which are monotonic: it takes the largest y of a channel whose gamma is positive, and
 * the smallest of one whose gamma is negative.  So only pooled y is kept from one pass to the next.
 *
 *   forward    sums of y, pooled y; (sums of the second norm;) z into the stream
 *   backward   pooled y again; (sums of g at the second norm;) sums of its gradient at the first; dY strip by strip, and dW
 *
 * y has at most 15 bits: integers are shifted right (as in real_conv.h), so that their pooled ones are int16, and their sums over an
 * image are exact in double.  In int8 arithmetic the pooled z are rounded to the stream's units before the second norm, and their
 * gradient to BNN_STEM_FINE-ths of the unit of the stream's gradient.
 *
 * A position's gradient is the sum of those of the windows that chose it, of equal values the first in scan order. */
#ifndef BNN_STEM_H
#define BNN_STEM_H

#include "../real_conv/real_conv.h"

#define BNN_STEM_FINE 16.0

struct bnn_stem {
    /* The convolution with pixels and first norm; its stream is the one that is made, [B*pooled positions][O]. */
    struct bnn_real_conv real;
    int relu;
    size_t pad_top, pad_left;           /* how far the first window sticks out */
    size_t pooled_height, pooled_width;
    struct bnn_block *second;           /* the second norm, of which only that is set; or NULL */
    void *pooled;                       /* y of every window [B*pooled positions][O]: int16 or float32 */
    double *affine;                     /* [6][O]: what the norms make of gradients */
};

/* Bytes of one thread's scratch. */
size_t bnn_stem_scratch(const struct bnn_stem *stem);

void bnn_stem_forward(const struct bnn_kernels *k, const struct bnn_stem *stem, size_t batch, int first, int threads);
/* By the norms as they are, of which statistics stay as well. */
void bnn_stem_apply(const struct bnn_kernels *k, const struct bnn_stem *stem, size_t batch, int threads);
void bnn_stem_backward(const struct bnn_kernels *k, const struct bnn_stem *stem, size_t batch,
                       const struct bnn_block_step *step, int threads);

#endif
