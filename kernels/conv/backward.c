#include "tile.h"

void bnn_conv_backward(const struct bnn_kernels *k, const struct bnn_conv *c, size_t batch,
                       const struct bnn_dense_step *step, int threads)
{
    bnn_conv_pack(k, c, batch, threads);
    bnn_conv_output_gradient(k, c, batch, step, threads);
    /* dX uses the packed signs of before the update, and takes the place of dY: dW comes first. */
    bnn_conv_weight_gradient(k, c, batch, step, threads);
    if (c->dense.dx) bnn_conv_input_gradient(k, c, batch, step, threads);
}

void bnn_conv_update(const struct bnn_kernels *k, const struct bnn_conv *c, const struct bnn_dense_step *step, int threads)
{
    struct bnn_dense lines = c->dense;
    bnn_dense_update_norm(k, &c->dense, step);
    if (!c->dense.x_i8) { /* packed signs of dW start on a word for every tap: a row per tap */
        lines.outputs *= bnn_taps(&c->window);
        lines.inputs = c->window.channels;
    }
    bnn_dense_update_weights(k, &lines, step, threads);
}
