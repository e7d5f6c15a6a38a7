/* Batch norm's backward of a tile: cancellation, sums, coefficients, dY.  Sums of int8 gradients are exact, floats only in the
 * per-channel coefficients and the rounding; those of real gradients are double. */
#include "batch_norm.h"
#include "gradient.h"

/* An interval that holds every y. */
#define EIGHT(x) x, x, x, x, x, x, x, x
static const int32_t lowest[BNN_TILE] = {EIGHT(EIGHT(INT32_MIN))}, highest[BNN_TILE] = {EIGHT(EIGHT(INT32_MAX))};
#undef EIGHT

void bnn_norm_load(const struct bnn_kernels *k, const struct bnn_block *b, struct bnn_norm_tile *n, float *real)
{
    const void *from = b->stream.g_out ? b->stream.g_out : b->g;
    n->g = real, n->g_stride = BNN_TILE;
    if (b->gradient_type != BNN_i8) {
        bnn_load_gradient(k, b->gradient_type, from, n->at, b->outputs, n->rows, bnn_tile_width(b->outputs, n->tile), real,
                          BNN_TILE);
        return;
    }
    n->g = (int8_t *)b->g + n->at, n->g_stride = b->outputs;
    if (b->stream.g_out) n->stream = (const int16_t *)from + n->at;
}

/* Zeros in g where y is out of an interval; adds sums of what is left, if there are any. */
static void cancel(const struct bnn_kernels *k, const struct bnn_block *b, const struct bnn_norm_tile *n, int by_y,
                   const struct bnn_norm_sums *sums)
{
    const size_t width = bnn_tile_width(b->outputs, n->tile);
    const int32_t *low = by_y ? n->thresholds->low : lowest, *high = by_y ? n->thresholds->high : highest;
    if (n->stream) { /* what goes into a stream has no sign behind it: nothing to cancel */
        if (sums) k->stream_sums_i16(n->y, n->rows, width, BNN_TILE, n->stream, b->outputs, sums->g, sums->gt);
        return;
    }
    if (b->gradient_type == BNN_i8) {
        int64_t ignored[2][BNN_TILE] = {{0}};
        k->norm_cancel_i8(n->y, n->rows, width, BNN_TILE, low, high, n->g, n->g_stride, sums ? sums->g : ignored[0],
                          sums ? sums->gt : ignored[1]);
        return;
    }
    if (by_y) k->norm_cancel_f32(n->y, n->rows, width, BNN_TILE, low, high, n->g, n->g_stride);
    if (sums) k->norm_sums_f32(n->y, n->rows, width, BNN_TILE, n->g, n->g_stride, sums->g, sums->gt);
}

void bnn_norm_cancel(const struct bnn_kernels *k, const struct bnn_block *b, const struct bnn_norm_tile *n)
{
    if (b->mask == BNN_mask_recompute) cancel(k, b, n, 1, NULL);
}

void bnn_norm_factor(const struct bnn_kernels *k, const struct bnn_block *b, const struct bnn_norm_tile *n)
{
    const size_t width = bnn_tile_width(b->outputs, n->tile);
    const struct bnn_thresholds *t = n->thresholds;
    if (b->norm == BNN_norm_l2) return;
    if (b->norm == BNN_norm_l1_binary) {
        k->sign_tile_i32(n->y, n->rows, width, BNN_TILE, t->threshold, t->flip);
        return;
    }
    int32_t threshold[BNN_TILE];
    uint8_t flip[BNN_TILE];
    for (size_t c = 0; c < width; c++) {
        const struct bnn_channel plain = {b->mean[n->tile * BNN_TILE + c], 1.0, 1.0, 0.0};
        bnn_channel_threshold(&plain, &threshold[c], &flip[c]);
    }
    k->sign_tile_i32(n->y, n->rows, width, BNN_TILE, threshold, flip);
}

void bnn_norm_sum(const struct bnn_kernels *k, const struct bnn_block *b, const struct bnn_norm_tile *n,
                  const struct bnn_norm_sums *sums)
{
    int64_t ignored[BNN_TILE] = {0};
    if (b->norm == BNN_norm_l1_binary) { /* its second sum is over g*t */
        bnn_norm_cancel(k, b, n);
        bnn_norm_factor(k, b, n);
        cancel(k, b, n, 0, sums);
        return;
    }
    cancel(k, b, n, b->mask == BNN_mask_recompute, sums);
    bnn_norm_factor(k, b, n);
    if (b->norm == BNN_norm_l1)
        k->norm_sums_i32(n->y, n->rows, bnn_tile_width(b->outputs, n->tile), BNN_TILE, sums->t, ignored);
}

void bnn_norm_coefficients(const struct bnn_block *b, size_t first, size_t channels, double count,
                           const struct bnn_norm_sums *sums, const struct bnn_norm_affine *affine)
{
    const int whole = b->gradient_type == BNN_i8;
    const double unit = whole ? (double)b->g_scale->used : 1.0;
    for (size_t c = 0; c < channels; c++) {
        const size_t at = first + c;
        const struct bnn_channel channel = bnn_channel_of(b, at);
        const double sum_g = whole ? (double)((const int64_t *)sums->g)[c] : ((const double *)sums->g)[c];
        const double sum_gt = whole ? (double)((const int64_t *)sums->gt)[c] : ((const double *)sums->gt)[c];
        const double mean_t = b->norm == BNN_norm_l1 ? (double)sums->t[c] / count : 0.0;
        const struct bnn_affine of_channel = bnn_channel_backward(b->norm, &channel, count, sum_g, sum_gt, mean_t,
                                                                  b->magnitude ? b->magnitude[at] : 0.0);
        affine->a[c] = of_channel.a, affine->b[c] = of_channel.b, affine->c[c] = of_channel.c;
        b->grad_beta[at] = (float)(of_channel.grad_beta * unit);
        if (b->gamma) b->grad_gamma[at] = (float)(of_channel.grad_gamma * unit);
    }
}

float bnn_norm_write(const struct bnn_kernels *k, const struct bnn_block *b, const struct bnn_norm_tile *n,
                     const struct bnn_norm_affine *affine, const struct bnn_block_step *step, int measure)
{
    const size_t width = bnn_tile_width(b->outputs, n->tile);
    const int whole = b->gradient_type == BNN_i8;
    /* Of a dY that is an integer; measured, it is not yet one. */
    const double quantum = whole && !measure ? (double)b->dy_scale->used : 1.0;
    const double unit = whole ? (double)b->g_scale->used / quantum : 1.0;
    float slope[BNN_TILE], factor[BNN_TILE], shift[BNN_TILE], amax = 0.0f;
    for (size_t c = 0; c < width; c++) {
        slope[c] = (float)(affine->a[c] * unit);
        factor[c] = (float)(affine->b[c] * unit);
        shift[c] = (float)(affine->c[c] * unit);
    }
    if (!whole) {
        k->norm_affine_f32(n->y, n->rows, width, BNN_TILE, slope, factor, shift, n->g, n->g_stride);
        bnn_store_gradient(k, b->gradient_type, b->g, n->at, b->outputs, n->rows, width, n->g);
    } else if (n->stream && measure) {
        k->stream_measure_i16(n->y, n->rows, width, BNN_TILE, slope, factor, shift, n->stream, b->outputs, &amax);
    } else if (n->stream) {
        k->stream_affine_i16(n->y, n->rows, width, BNN_TILE, slope, factor, shift, n->stream, b->outputs, n->g, n->g_stride,
                             step->limit, step->dy_key, (uint32_t)n->at, &amax);
    } else if (measure) {
        k->norm_measure_i8(n->y, n->rows, width, BNN_TILE, slope, factor, shift, n->g, n->g_stride, &amax);
    } else {
        k->norm_affine_i8(n->y, n->rows, width, BNN_TILE, slope, factor, shift, n->g, n->g_stride, step->limit, step->dy_key,
                          (uint32_t)n->at, &amax);
    }
    return amax * (float)quantum;
}
