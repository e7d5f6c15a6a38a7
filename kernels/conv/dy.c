/* dY of positions, spread by its argmax masks where pooling comes before the norm and there is one for each window. */
#include "../block/gradient.h"
#include "pass.h"

static const uint64_t *argmax_at(const struct bnn_conv *c, size_t first, size_t channel)
{
    return c->argmax + first * bnn_words(c->block.outputs) + channel / BNN_TILE;
}

void bnn_conv_spread_dy(const struct bnn_kernels *k, const struct bnn_conv *c, size_t first, size_t rows, size_t channel,
                        int8_t *out, size_t stride)
{
    const size_t outputs = c->block.outputs, windows = rows / BNN_POOL_ROWS;
    k->pool_spread_i8((const int8_t *)c->block.g + first / BNN_POOL_ROWS * outputs + channel, windows,
                      bnn_min(BNN_TILE, outputs - channel), outputs, argmax_at(c, first, channel), bnn_words(outputs), out,
                      stride);
}

const int8_t *bnn_conv_dy(const struct bnn_kernels *k, const struct bnn_conv *c, size_t first, size_t rows, size_t channel,
                          int8_t *spread, size_t *stride)
{
    if (c->window.pool != BNN_pool_before_norm) {
        *stride = c->block.outputs;
        return (const int8_t *)c->block.g + first * c->block.outputs + channel;
    }
    *stride = BNN_TILE;
    bnn_conv_spread_dy(k, c, first, rows, channel, spread, BNN_TILE);
    return spread;
}

void bnn_conv_dy_f32(const struct bnn_kernels *k, const struct bnn_conv *c, size_t first, size_t rows, size_t channel,
                     float *pooled, float *out)
{
    const struct bnn_block *b = &c->block;
    const int is_spread = c->window.pool == BNN_pool_before_norm;
    const size_t pool = is_spread ? BNN_POOL_ROWS : 1, width = bnn_min(BNN_TILE, b->outputs - channel);
    bnn_load_gradient(k, b->gradient_type, b->g, first / pool * b->outputs + channel, b->outputs, rows / pool, width,
                      is_spread ? pooled : out, BNN_TILE);
    if (is_spread)
        k->pool_spread_f32(pooled, rows / pool, width, BNN_TILE, argmax_at(c, first, channel), bnn_words(b->outputs), out,
                           BNN_TILE);
}
