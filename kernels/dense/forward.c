#include "tile.h"

size_t bnn_dense_scratch(size_t outputs, size_t batch, enum bnn_type gradient_type)
{
    return bnn_round_up(carve(NULL, outputs, batch, gradient_type).bytes, 64);
}

void bnn_pack_latent(const struct bnn_kernels *k, const struct bnn_dense *d, size_t at, size_t rows, size_t columns,
                     uint64_t *bits)
{
    const size_t words = bnn_words(columns);
    switch (d->latent_type) {
    case BNN_f32: k->pack_f32_u1((const float *)d->latent + at, rows, columns, columns, bits, words); break;
    case BNN_f16: k->pack_f16_u1((const uint16_t *)d->latent + at, rows, columns, columns, bits, words); break;
    case BNN_i16: k->pack_i16_u1((const int16_t *)d->latent + at, rows, columns, columns, bits, words); break;
    default: k->pack_i8_u1((const int8_t *)d->latent + at, rows, columns, columns, bits, words);
    }
}

static void pack_tile(const void *context, size_t tile)
{
    const struct dense_call *call = context;
    const struct bnn_kernels *k = call->k;
    const struct bnn_dense *d = call->d;
    const size_t first = tile * BNN_TILE, rows = tile_width(d->outputs, tile), words = bnn_words(d->inputs);
    TIMED(d, BNN_phase_pack, {
        bnn_pack_latent(k, d, first * d->inputs, rows, d->inputs, d->w_u1 + first * words);
        if (d->x_i8)
            k->transpose_u1(d->w_u1 + first * words, rows, d->inputs, words, d->w_t_u1 + tile, bnn_words(d->outputs));
    });
}

void bnn_dense_pack(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch, int threads)
{
    bnn_for(threads, bnn_words(d->outputs), pack_tile, &(struct dense_call){.k = k, .d = d});
    if (d->x_f32)
        TIMED(d, BNN_phase_pack, k->pack_f32_u1(d->x_f32, batch, d->inputs, d->inputs, d->x_u1, bnn_words(d->inputs)));
}

void bnn_follow_statistics(const struct bnn_dense *d, size_t channel, double n, int64_t sum, int64_t squares, int first)
{
    double spread;
    bnn_channel_spread(d->norm, n, sum, squares, &d->mean[channel], &spread);
    d->inverse[channel] = bnn_channel_inverse(d->norm, spread);
    float *mean = &d->running_mean[channel], *running = &d->running_spread[channel];
    *mean = first ? (float)d->mean[channel] : 0.9f * *mean + 0.1f * (float)d->mean[channel];
    *running = first ? (float)spread : 0.9f * *running + 0.1f * (float)spread;
}

/* Statistics of a tile's channels into d->mean and d->inverse; the running ones follow. */
static void statistics(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch, size_t tile, int first,
                       const int32_t *y)
{
    int64_t sum[BNN_TILE] = {0}, squares[BNN_TILE] = {0}, deviation[BNN_TILE] = {0};
    const size_t base = tile * BNN_TILE, width = tile_width(d->outputs, tile);
    k->norm_sums_i32(y, batch, width, BNN_TILE, sum, squares);
    if (d->norm != BNN_norm_l2) k->norm_deviation_i32(y, batch, width, BNN_TILE, (int64_t)batch, sum, deviation);
    for (size_t c = 0; c < width; c++)
        bnn_follow_statistics(d, base + c, (double)batch, sum[c], d->norm == BNN_norm_l2 ? squares[c] : deviation[c],
                              first);
}

static void use_running(const struct bnn_dense *d, size_t tile)
{
    for (size_t c = tile * BNN_TILE; c < tile * BNN_TILE + tile_width(d->outputs, tile); c++) {
        d->mean[c] = (double)d->running_mean[c];
        d->inverse[c] = bnn_channel_inverse(d->norm, (double)d->running_spread[c]);
    }
}

/* z's signs, mask and real form, whichever are kept. */
static void activate(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch, size_t tile, int training,
                     const int32_t *y)
{
    const size_t base = tile * BNN_TILE, width = tile_width(d->outputs, tile), words = bnn_words(d->outputs);
    const struct thresholds t = thresholds_of(d, tile);
    float scale[BNN_TILE], shift[BNN_TILE];
    for (size_t c = 0; c < width; c++) {
        struct bnn_channel channel = channel_of(d, base + c, d->mean[base + c], d->inverse[base + c]);
        double gain = channel.gamma * channel.inverse;
        scale[c] = (float)gain;
        shift[c] = (float)(channel.beta - gain * channel.mean);
    }
    if (d->out_u1) k->binarise_i32_u1(y, batch, width, BNN_TILE, t.threshold, t.flip, d->out_u1 + tile, words);
    if (d->out_f32) k->normalise_i32_f32(y, batch, width, BNN_TILE, scale, shift, d->out_f32 + base, d->outputs);
    if (!training) return;
    if (d->mask_u1) k->within_i32_u1(y, batch, width, BNN_TILE, t.low, t.high, d->mask_u1 + tile, words);
    if (d->magnitude) {
        double magnitude[BNN_TILE] = {0};
        k->norm_magnitude_i32(y, batch, width, BNN_TILE, scale, shift, magnitude);
        for (size_t c = 0; c < width; c++) d->magnitude[base + c] = magnitude[c] / (double)batch;
    }
}

static void forward_tile(const void *context, size_t tile)
{
    const struct dense_call *call = context;
    const struct bnn_kernels *k = call->k;
    const struct bnn_dense *d = call->d;
    struct scratch s = scratch_of(d, call->batch);
    TIMED(d, BNN_phase_forward, product(k, d, call->batch, tile, &s));
    TIMED(d, BNN_phase_statistics, {
        if (call->training) statistics(k, d, call->batch, tile, call->first, s.tile);
        else use_running(d, tile);
    });
    TIMED(d, BNN_phase_activate, activate(k, d, call->batch, tile, call->training, s.tile));
}

void bnn_dense_forward(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch, int training, int first,
                       int threads)
{
    bnn_dense_pack(k, d, batch, threads);
    bnn_for(threads, bnn_words(d->outputs), forward_tile,
            &(struct dense_call){.k = k, .d = d, .batch = batch, .training = training, .first = first});
}
