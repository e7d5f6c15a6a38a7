/* head.h: what a residual network ends with: (ReLU), the mean over all positions, and a dense layer with real weights and bias.
 *
 * float32 for every method: its products add in the order of their depth, so that results are the same everywhere.  W is [O][C].
 *
 *   forward    features; logits.     backward   gradients of W and bias, which move at once; that of the features into the
 *                                               stream's */
#ifndef BNN_HEAD_H
#define BNN_HEAD_H

#include "../block/block.h"

struct bnn_head {
    /* inputs = C, outputs = O; latent and moments; beta and its moments are the bias; the stream that comes in; out_f32: logits
     * [B][O]; g: float32 [B][O]; scratch */
    struct bnn_block block;
    size_t positions; /* of an image */
    int relu;
    float *features;  /* [B][C] */
    float *weights;   /* W as float32: the latents themselves where they are */
    float *turned;    /* W turned [C][O], for the forward pass */
};

size_t bnn_head_scratch(const struct bnn_head *head);

void bnn_head_forward(const struct bnn_kernels *k, const struct bnn_head *head, size_t batch, int threads);
void bnn_head_backward(const struct bnn_kernels *k, const struct bnn_head *head, size_t batch,
                       const struct bnn_block_step *step, int threads);

/* Features of an image from its stream: [C] float32; `value` is scratch as large. */
void bnn_features(const struct bnn_kernels *k, enum bnn_type type, const void *stream, size_t positions, size_t channels,
                  int relu, float *features);
/* Logits [rows][O] of features, from weights [C][O]. */
void bnn_scores(const struct bnn_kernels *k, const float *features, size_t rows, size_t channels, const float *weights,
                const float *bias, size_t outputs, float *logits);

#endif
