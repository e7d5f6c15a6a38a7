/* dX and dW of float32 and float16 gradients: storage as configured, arithmetic in float32, sums over a product's depth in
 * order, so that results do not depend on tiles, threads or instruction set. */
#include "../block/gradient.h"
#include "../block/weights.h"
#include "product.h"

/* dX of one tile of inputs, a block of rows at a time. */
static void input_gradient(const struct dense_call *call, size_t tile, const struct dense_scratch *s)
{
    const struct bnn_kernels *k = call->k;
    const struct bnn_block *b = &call->d->block;
    const size_t width = bnn_tile_width(b->inputs, tile);
    k->expand_u1_f32(b->w_u1 + tile, bnn_words(b->inputs), b->outputs, width, s->operand, BNN_TILE);
    for (size_t row = 0; row < call->batch; row += BNN_DENSE_ROWS) {
        const size_t rows = bnn_min(BNN_DENSE_ROWS, call->batch - row);
        bnn_load_gradient(k, b->gradient_type, b->g, row * b->outputs, b->outputs, rows, b->outputs, s->converted, b->outputs);
        k->gemm_f32(s->converted, rows, b->outputs, 1, s->operand, BNN_TILE, width, b->outputs, s->real, BNN_TILE);
        bnn_store_gradient(k, b->gradient_type, b->dx, row * b->inputs + tile * BNN_TILE, b->inputs, rows, width, s->real);
    }
}

static void input_gradient_tiles(const void *context, struct bnn_share tiles)
{
    const struct dense_call *call = context;
    const struct dense_scratch s = bnn_dense_own_scratch(call);
    for (size_t tile = tiles.first; tile < tiles.end; tile++)
        TIMED(&call->d->block, BNN_zone_input_gradient, input_gradient(call, tile, &s));
}

/* dW of one tile of inputs, a block of output channels at a time. */
static void weight_gradient(const struct dense_call *call, size_t tile, const struct dense_scratch *s)
{
    const struct bnn_kernels *k = call->k;
    const struct bnn_block *b = &call->d->block;
    const size_t column = tile * BNN_TILE, width = bnn_tile_width(b->inputs, tile), batch = call->batch;
    TIMED(b, BNN_zone_weight_gradient, {
        if (b->x_i8) k->convert_i8_f32(b->x_i8 + column, b->inputs, batch, width, s->operand, BNN_TILE);
        else k->expand_u1_f32(b->x_u1 + tile, bnn_words(b->inputs), batch, width, s->operand, BNN_TILE);
    });
    for (size_t row = 0; row < b->outputs; row += BNN_TILE) {
        const size_t rows = bnn_min(BNN_TILE, b->outputs - row);
        TIMED(b, BNN_zone_weight_gradient, {
            bnn_load_gradient(k, b->gradient_type, b->g, row, b->outputs, batch, rows, s->converted, BNN_TILE);
            k->gemm_f32(s->converted, rows, 1, BNN_TILE, s->operand, BNN_TILE, width, batch, s->real, BNN_TILE);
        });
        TIMED(b, BNN_zone_update, bnn_consume(k, b, call->step, bnn_place_of(b, b->inputs, row, 0, tile), rows, width, s->real));
    }
}

static void weight_gradient_tiles(const void *context, struct bnn_share tiles)
{
    const struct dense_call *call = context;
    const struct dense_scratch s = bnn_dense_own_scratch(call);
    for (size_t tile = tiles.first; tile < tiles.end; tile++) weight_gradient(call, tile, &s);
}

void bnn_dense_gradients_real(const struct dense_call *call)
{
    const size_t tiles = bnn_words(call->d->block.inputs);
    if (call->d->block.dx) bnn_for_shares(call->threads, tiles, input_gradient_tiles, call);
    bnn_for_shares(call->threads, tiles, weight_gradient_tiles, call);
}
