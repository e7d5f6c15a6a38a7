/* dX and dW of int8 gradients: every product and sum exact. */
#include "../block/weights.h"
#include "product.h"

/* Rows of dX of one tile of inputs: the largest sum, and, unless it is only measured, the requantised values. */
static int32_t use_input_gradient(const struct dense_call *call, size_t row, size_t rows, size_t tile, const int32_t *sums)
{
    const struct bnn_block *b = &call->d->block;
    const size_t width = bnn_tile_width(b->inputs, tile), at = row * b->inputs + tile * BNN_TILE;
    int32_t largest = 0;
    TIMED(b, BNN_zone_requantise, {
        call->k->largest_i32(sums, rows, width, BNN_TILE, &largest);
        if (!call->measure)
            call->k->requantise_i32_i8(sums, rows, width, BNN_TILE, b->dy_scale->used / b->dx_scale->used, (int8_t *)b->dx + at,
                                       b->inputs, call->step->dx_key, (uint32_t)at);
    });
    return largest;
}

/* dX of tiles of inputs by the product of bytes. */
static double input_gradient_tiles(const void *context, struct bnn_share tiles)
{
    const struct dense_call *call = context;
    const struct bnn_block *b = &call->d->block;
    const struct dense_scratch s = bnn_dense_own_scratch(call);
    int32_t largest = 0;
    for (size_t tile = tiles.first; tile < tiles.end; tile++) {
        TIMED(b, BNN_zone_input_gradient,
              call->k->gemm_i8_u1_i32(b->g, call->batch, b->outputs, b->w_u1 + tile, bnn_words(b->inputs),
                                      bnn_tile_width(b->inputs, tile), b->outputs, s.tile, BNN_TILE, s.panel, 0));
        const int32_t of_tile = use_input_gradient(call, 0, call->batch, tile, s.tile);
        largest = of_tile > largest ? of_tile : largest;
    }
    return largest;
}

static float input_gradients(const void *context, int measure)
{
    struct dense_call call = *(const struct dense_call *)context;
    const struct bnn_block *b = &call.d->block;
    const struct bnn_signed_product product = {b->g, call.batch, b->outputs, b->outputs, b->w_u1, bnn_words(b->inputs),
                                               b->inputs, BNN_zone_input_gradient, use_input_gradient};
    call.measure = measure;
    const int32_t largest = call.step->limit <= BNN_LOOKUP_LIMIT
                                ? bnn_dense_multiply_signs(&call, &product)
                                : (int32_t)bnn_max_of_shares(call.threads, bnn_words(b->inputs), input_gradient_tiles, &call);
    return (float)largest * b->dy_scale->used;
}

static int32_t use_weight_gradient(const struct dense_call *call, size_t row, size_t rows, size_t tile, const int32_t *sums)
{
    const struct bnn_block *b = &call->d->block;
    TIMED(b, BNN_zone_update,
          bnn_consume_i32(call->k, b, call->step, bnn_place_of(b, b->inputs, row, 0, tile), rows,
                          bnn_tile_width(b->inputs, tile), sums, BNN_TILE));
    return 0;
}

/* dW of a block of outputs and a tile of inputs by the products of bytes; `reuse`: the panel holds the tile of X. */
static void weight_gradient(const struct dense_call *call, size_t row, size_t tile, const struct dense_scratch *s, int reuse)
{
    const struct bnn_kernels *k = call->k;
    const struct bnn_block *b = &call->d->block;
    const size_t column = tile * BNN_TILE, width = bnn_tile_width(b->inputs, tile), batch = call->batch;
    const size_t rows = bnn_min(BNN_TILE, b->outputs - row);
    const int8_t *dy_t = call->d->dy_t + row * batch;
    TIMED(b, BNN_zone_weight_gradient, {
        if (b->x_i8)
            k->gemm_i8_i8_i32(dy_t, rows, batch, b->x_i8 + column, b->inputs, width, batch, s->tile, BNN_TILE, s->panel, reuse);
        else
            k->gemm_i8_u1_i32(dy_t, rows, batch, b->x_u1 + tile, bnn_words(b->inputs), width, batch, s->tile, BNN_TILE,
                              s->panel, reuse);
    });
    use_weight_gradient(call, row, rows, tile, s->tile);
}

/* Blocks rather than tiles: 784 inputs are 13 tiles, which four threads cannot share well. */
static void own_weight_gradients(const void *context)
{
    const struct dense_call *call = context;
    const struct bnn_block *b = &call->d->block;
    const struct dense_scratch s = bnn_dense_own_scratch(call);
    const size_t row_blocks = bnn_words(b->outputs), blocks = row_blocks * bnn_words(b->inputs);
    const struct bnn_share share = bnn_own_share(blocks, 1);
    for (size_t block = share.first; block < share.end; block++)
        weight_gradient(call, block % row_blocks * BNN_TILE, block / row_blocks, &s, block > share.first && block % row_blocks);
}

static void weight_gradients(const struct dense_call *call)
{
    const struct bnn_block *b = &call->d->block;
    const struct bnn_signed_product product = {call->d->dy_t, b->outputs, call->batch, call->batch, b->x_u1,
                                               bnn_words(b->inputs), b->inputs, BNN_zone_weight_gradient, use_weight_gradient};
    if (!b->x_i8 && call->step->limit <= BNN_LOOKUP_LIMIT) bnn_dense_multiply_signs(call, &product);
    else bnn_run(call->threads, own_weight_gradients, call);
}

void bnn_dense_gradients_int8(const struct dense_call *call)
{
    const struct bnn_block *b = &call->d->block;
    if (b->dx) bnn_make_scaled(b->dx_scale, call->step->current_scales, 127.0f, input_gradients, call);
    /* dX has used the packed signs of before the update; from here on the latent weights move. */
    bnn_clear_magnitudes(b);
    weight_gradients(call);
    bnn_follow_magnitudes(b, call->step);
}
