/* loss.h: softmax cross-entropy of a batch, and its gradient in the representation of the backward pass.
 *
 * The gradient is that of the loss summed over the batch, p - target: it neither vanishes in float16 nor depends on B.
 */
#ifndef BNN_LOSS_H
#define BNN_LOSS_H

#include "../block/scale.h"
#include "../dispatch/dispatch.h"

struct bnn_loss_result {
    double loss;    /* summed over the rows, in order */
    uint32_t correct;  /* rows whose label has the largest logit */
};

/* logits [rows][classes] are overwritten by the float32 gradient; `gradient` receives it as float32, float16, or int8 with
 * its scale. */
struct bnn_loss_result bnn_loss(const struct bnn_kernels *kernels, float *logits, const uint16_t *labels, size_t rows,
                                size_t classes, float smoothing, enum bnn_type type, void *gradient,
                                struct bnn_scale *scale, int threads);

#endif
