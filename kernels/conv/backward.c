#include "../block/weights.h"
#include "pass.h"

size_t bnn_conv_scratch(const struct bnn_conv *c)
{
    return bnn_max(bnn_conv_pass_scratch(c), bnn_max(bnn_conv_weight_scratch(c), bnn_conv_input_scratch(c)));
}

void bnn_conv_backward(const struct bnn_kernels *k, const struct bnn_conv *c, size_t batch,
                       const struct bnn_block_step *step, int threads)
{
    const struct conv_call call = {k, c, batch, step, threads};
    bnn_conv_prepack(&call);
    bnn_conv_output_gradient(&call);
    /* dX uses the packed signs of before the update, and takes the place of dY: dW comes first. */
    bnn_conv_weight_gradient(&call);
    if (c->block.dx) bnn_conv_input_gradient(&call);
}

void bnn_conv_update(const struct bnn_kernels *k, const struct bnn_conv *c, const struct bnn_block_step *step, int threads)
{
    /* Packed signs of dW start on a word for every tap, those of the first layer for every output. */
    bnn_update(k, &c->block, step, c->block.x_i8 ? c->block.inputs : c->window.channels, threads);
}
