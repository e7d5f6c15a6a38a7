#include "../block/batch_norm.h"
#include "../block/weights.h"
#include "product.h"

/* dY of a tile of channels; y is in the scratch. */
static float output_gradient(const struct dense_call *call, size_t tile, const struct dense_scratch *s)
{
    const struct bnn_kernels *k = call->k;
    const struct bnn_block *b = &call->d->block;
    const size_t base = tile * BNN_TILE, width = bnn_tile_width(b->outputs, tile), batch = call->batch;
    const struct bnn_thresholds thresholds = bnn_thresholds_of(b, tile);
    struct bnn_norm_tile n = {.tile = tile, .rows = batch, .at = base, .thresholds = &thresholds, .y = s->tile};
    double sum_g[BNN_TILE] = {0}, sum_gt[BNN_TILE] = {0}, a[BNN_TILE], slope[BNN_TILE], shift[BNN_TILE];
    int64_t sum_t[BNN_TILE] = {0};
    const struct bnn_norm_sums sums = {sum_g, sum_gt, sum_t};
    const struct bnn_norm_affine affine = {a, slope, shift};
    bnn_mask_gradient(k, b, 0, batch, base, width);
    bnn_norm_load(k, b, &n, s->real);
    bnn_norm_sum(k, b, &n, &sums);
    bnn_norm_coefficients(b, base, width, (double)batch, &sums, &affine);
    return bnn_norm_write(k, b, &n, &affine, call->step, call->measure);
}

static double output_gradient_tiles(const void *context, struct bnn_share tiles)
{
    const struct dense_call *call = context;
    const struct bnn_dense *d = call->d;
    const struct bnn_block *b = &d->block;
    const struct dense_scratch s = bnn_dense_own_scratch(call);
    float largest = 0.0f, amax;
    for (size_t tile = tiles.first; tile < tiles.end; tile++) {
        const size_t base = tile * BNN_TILE, batch = call->batch;
        TIMED(b, BNN_zone_recompute, bnn_dense_product(call, tile, &s));
        TIMED(b, BNN_zone_norm_backward, amax = output_gradient(call, tile, &s));
        if (b->gradient_type == BNN_i8 && !call->measure)
            TIMED(b, BNN_zone_pack, call->k->transpose_i8((const int8_t *)b->g + base, batch, bnn_tile_width(b->outputs, tile),
                                                           b->outputs, d->dy_t + base * batch, batch));
        largest = amax > largest ? amax : largest;
    }
    return largest;
}

static float output_gradients(const void *context, int measure)
{
    struct dense_call call = *(const struct dense_call *)context;
    call.measure = measure;
    return (float)bnn_max_of_shares(call.threads, bnn_words(call.d->block.outputs), output_gradient_tiles, &call);
}

void bnn_dense_backward(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch,
                        const struct bnn_block_step *step, int threads)
{
    const struct dense_call call = {.k = k, .d = d, .batch = batch, .step = step, .threads = threads};
    bnn_dense_prepack(&call);
    if (d->block.gradient_type != BNN_i8) {
        output_gradients(&call, 0);
        bnn_dense_gradients_real(&call);
    } else {
        bnn_make_scaled(d->block.dy_scale, step->current_scales, (float)step->limit, output_gradients, &call);
        bnn_dense_gradients_int8(&call);
    }
}

void bnn_dense_update(const struct bnn_kernels *k, const struct bnn_dense *d, const struct bnn_block_step *step, int threads)
{
    bnn_update(k, &d->block, step, d->block.inputs, threads);
}
