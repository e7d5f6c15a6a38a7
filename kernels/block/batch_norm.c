#include "batch_norm.h"

void bnn_follow_statistics(const struct bnn_block *b, size_t channel, double n, int64_t sum, int64_t squares, int first)
{
    double mean, spread;
    bnn_channel_spread(b->norm, n, sum, squares, &mean, &spread);
    bnn_follow(b, channel, mean, spread, first);
}

void bnn_follow(const struct bnn_block *b, size_t channel, double mean, double spread, int first)
{
    b->mean[channel] = mean;
    b->inverse[channel] = bnn_channel_inverse(b->norm, spread);
    float *running_mean = &b->running_mean[channel], *running = &b->running_spread[channel];
    *running_mean = first ? (float)mean : 0.9f * *running_mean + 0.1f * (float)mean;
    *running = first ? (float)spread : 0.9f * *running + 0.1f * (float)spread;
}

struct bnn_thresholds bnn_thresholds_of(const struct bnn_block *b, size_t tile)
{
    struct bnn_thresholds t = {0};
    for (size_t c = 0; c < bnn_tile_width(b->outputs, tile); c++) {
        const struct bnn_channel channel = bnn_channel_of(b, tile * BNN_TILE + c);
        bnn_channel_threshold(&channel, &t.threshold[c], &t.flip[c]);
        bnn_channel_interval(&channel, &t.low[c], &t.high[c]);
    }
    return t;
}

struct bnn_gains bnn_gains_of(const struct bnn_block *b, size_t tile)
{
    struct bnn_gains g;
    for (size_t c = 0; c < bnn_tile_width(b->outputs, tile); c++) {
        const struct bnn_channel channel = bnn_channel_of(b, tile * BNN_TILE + c);
        const double gain = channel.gamma * channel.inverse;
        g.scale[c] = (float)gain;
        g.shift[c] = (float)(channel.beta - gain * channel.mean);
    }
    return g;
}

void bnn_activate(const struct bnn_kernels *k, const struct bnn_block *b, size_t row, size_t rows, size_t tile,
                  const int32_t *y, const struct bnn_thresholds *t)
{
    const size_t width = bnn_tile_width(b->outputs, tile), words = bnn_words(b->outputs), at = row * words + tile;
    if (b->out_u1) k->binarise_i32_u1(y, rows, width, BNN_TILE, t->threshold, t->flip, b->out_u1 + at, words);
    if (b->mask_u1) k->within_i32_u1(y, rows, width, BNN_TILE, t->low, t->high, b->mask_u1 + at, words);
    bnn_normalise(k, b, row, rows, tile, y);
}

void bnn_normalise(const struct bnn_kernels *k, const struct bnn_block *b, size_t row, size_t rows, size_t tile,
                   const int32_t *y)
{
    if (!b->out_f32) return;
    const struct bnn_gains z = bnn_gains_of(b, tile);
    k->normalise_i32_f32(y, rows, bnn_tile_width(b->outputs, tile), BNN_TILE, z.scale, z.shift,
                         b->out_f32 + row * b->outputs + tile * BNN_TILE, b->outputs);
}

/* Zeros in g where z is outside of [-1, 1] or no number; for any type of g whose zero is all bits 0. */
#define MASK(TYPE)                                                                                                  \
    for (size_t r = row; r < row + rows; r++)                                                                       \
        for (size_t c = column; c < column + columns; c++) {                                                        \
            const float z = b->out_f32[r * b->outputs + c];                                                         \
            if (!(z >= -1.0f && z <= 1.0f)) ((TYPE *)b->g)[r * b->outputs + c] = 0;                                  \
        }

static void mask_by_value(const struct bnn_block *b, size_t row, size_t rows, size_t column, size_t columns)
{
    switch (b->gradient_type) {
    case BNN_f32: MASK(float) break;
    case BNN_f16: MASK(uint16_t) break;
    default: MASK(int8_t)
    }
}
#undef MASK

void bnn_mask_gradient(const struct bnn_kernels *k, const struct bnn_block *b, size_t row, size_t rows, size_t column,
                       size_t columns)
{
    const size_t words = bnn_words(b->outputs), at = row * b->outputs + column;
    if (b->mask == BNN_mask_retained) mask_by_value(b, row, rows, column, columns);
    if (b->mask != BNN_mask_stored) return;
    const uint64_t *bits = b->mask_u1 + row * words + column / BNN_WORD_BITS;
    switch (b->gradient_type) {
    case BNN_i8: k->mask_i8(bits, words, rows, columns, (int8_t *)b->g + at, b->outputs); break;
    case BNN_f32: k->mask_f32(bits, words, rows, columns, (float *)b->g + at, b->outputs); break;
    default:
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < columns; c++)
                if (!(bits[r * words + c / BNN_WORD_BITS] >> c % BNN_WORD_BITS & 1))
                    ((uint16_t *)b->g)[at + r * b->outputs + c] = 0;
    }
}
