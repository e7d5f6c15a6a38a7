/* dY of positions: where pooling comes before the norm there is one for each window, which goes to those of its positions
 * that the argmax masks tell, or to all that were added. */
#include "../block/gradient.h"
#include "pass.h"

/* Argmax masks of rows of positions, `stride` words apart. */
struct masks {
    const uint64_t *words;
    size_t stride;
};

static struct masks masks_at(const struct bnn_conv *c, size_t first, size_t channel)
{
    static const uint64_t all = ~UINT64_C(0);
    const size_t words = bnn_words(c->block.outputs);
    if (c->window.pool == BNN_pool_sum_before_norm) return (struct masks){&all, 0};
    return (struct masks){c->argmax + first * words + channel / BNN_TILE, words};
}

void bnn_conv_spread_dy(const struct bnn_kernels *k, const struct bnn_conv *c, size_t first, size_t rows, size_t channel,
                        int8_t *out, size_t stride)
{
    const size_t outputs = c->block.outputs, windows = rows / BNN_POOL_ROWS;
    const struct masks masks = masks_at(c, first, channel);
    k->pool_spread_i8((const int8_t *)c->block.g + first / BNN_POOL_ROWS * outputs + channel, windows,
                      bnn_min(BNN_TILE, outputs - channel), outputs, masks.words, masks.stride, out, stride);
}

const int8_t *bnn_conv_dy(const struct bnn_kernels *k, const struct bnn_conv *c, size_t first, size_t rows, size_t channel,
                          int8_t *spread, size_t *stride)
{
    if (!bnn_pools_before_norm(&c->window)) {
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
    const int is_spread = bnn_pools_before_norm(&c->window);
    const size_t pool = is_spread ? BNN_POOL_ROWS : 1, width = bnn_min(BNN_TILE, b->outputs - channel);
    bnn_load_gradient(k, b->gradient_type, b->g, first / pool * b->outputs + channel, b->outputs, rows / pool, width,
                      is_spread ? pooled : out, BNN_TILE);
    if (!is_spread) return;
    const struct masks masks = masks_at(c, first, channel);
    k->pool_spread_f32(pooled, rows / pool, width, BNN_TILE, masks.words, masks.stride, out, BNN_TILE);
}
