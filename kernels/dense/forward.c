#include "../block/batch_norm.h"
#include "product.h"

/* Statistics of a tile's channels into mean and inverse; the running ones follow. */
static void statistics(const struct dense_call *call, size_t tile, const int32_t *y)
{
    const struct bnn_block *b = &call->d->block;
    const size_t base = tile * BNN_TILE, width = bnn_tile_width(b->outputs, tile), batch = call->batch;
    int64_t sum[BNN_TILE] = {0}, squares[BNN_TILE] = {0}, deviation[BNN_TILE] = {0};
    call->k->norm_sums_i32(y, batch, width, BNN_TILE, sum, squares);
    if (b->norm != BNN_norm_l2) call->k->norm_deviation_i32(y, batch, width, BNN_TILE, (int64_t)batch, sum, deviation);
    for (size_t c = 0; c < width; c++)
        bnn_follow_statistics(b, base + c, (double)batch, sum[c], b->norm == BNN_norm_l2 ? squares[c] : deviation[c],
                              call->first);
}

/* z's signs, mask and real form; the mean of its magnitudes. */
static void activate(const struct dense_call *call, size_t tile, const int32_t *y)
{
    const struct bnn_block *b = &call->d->block;
    const size_t width = bnn_tile_width(b->outputs, tile), batch = call->batch;
    const struct bnn_thresholds t = bnn_thresholds_of(b, tile);
    bnn_activate(call->k, b, 0, batch, tile, y, &t);
    if (!b->magnitude) return;
    const struct bnn_gains z = bnn_gains_of(b, tile);
    double magnitude[BNN_TILE] = {0};
    call->k->norm_magnitude_i32(y, batch, width, BNN_TILE, z.scale, z.shift, magnitude);
    for (size_t c = 0; c < width; c++) b->magnitude[tile * BNN_TILE + c] = magnitude[c] / (double)batch;
}

static void forward_tiles(const void *context, struct bnn_share tiles)
{
    const struct dense_call *call = context;
    const struct bnn_block *b = &call->d->block;
    const struct dense_scratch s = bnn_dense_own_scratch(call);
    for (size_t tile = tiles.first; tile < tiles.end; tile++) {
        TIMED(b, BNN_zone_forward, bnn_dense_product(call, tile, &s));
        TIMED(b, BNN_zone_statistics, statistics(call, tile, s.tile));
        TIMED(b, BNN_zone_activate, activate(call, tile, s.tile));
    }
}

void bnn_dense_forward(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch, int first, int threads)
{
    const struct dense_call call = {.k = k, .d = d, .batch = batch, .first = first, .threads = threads};
    bnn_dense_prepack(&call);
    bnn_for_shares(threads, bnn_words(d->block.outputs), forward_tiles, &call);
}
