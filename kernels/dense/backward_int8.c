/* The integer backward: every product and sum exact, floats only in the per-channel coefficients and the rounding. */
#include "tile.h"

/* Straight-through cancellation where it does not come from y, before the sums. */
static void cancel_stored(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch, size_t tile)
{
    const size_t base = tile * BNN_TILE, width = tile_width(d->outputs, tile);
    int8_t *g = (int8_t *)d->g + base;
    if (d->mask == BNN_mask_stored)
        k->mask_i8(d->mask_u1 + tile, bnn_words(d->outputs), batch, width, g, d->outputs);
    else if (d->mask == BNN_mask_retained)
        for (size_t row = 0; row < batch; row++)
            for (size_t c = 0; c < width; c++) {
                float z = d->out_f32[row * d->outputs + base + c];
                if (!(z >= -1.0f && z <= 1.0f)) g[row * d->outputs + c] = 0;
            }
}

/* Cancels g, and finds the coefficients of dY in units of g's integer; leaves the factor t in the tile. */
static void coefficients(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch, size_t tile, int32_t *y,
                         struct bnn_affine *affine)
{
    const size_t base = tile * BNN_TILE, width = tile_width(d->outputs, tile);
    int8_t *g = (int8_t *)d->g + base;
    int64_t sum_g[BNN_TILE] = {0}, sum_gt[BNN_TILE] = {0};
    double mean_t[BNN_TILE];
    struct thresholds t = thresholds_of(d, tile);
    cancel_stored(k, d, batch, tile);
    if (d->mask != BNN_mask_recompute)
        for (size_t c = 0; c < width; c++) t.low[c] = INT32_MIN, t.high[c] = INT32_MAX;
    if (d->norm == BNN_norm_l1_binary) { /* its second sum is over g*t: cancel by y first, then sum with t */
        k->norm_cancel_i8(y, batch, width, BNN_TILE, t.low, t.high, g, d->outputs, sum_g, sum_gt);
        memset(sum_g, 0, sizeof sum_g), memset(sum_gt, 0, sizeof sum_gt);
        for (size_t c = 0; c < width; c++) t.low[c] = INT32_MIN, t.high[c] = INT32_MAX;
        bnn_dense_factor(k, d, batch, tile, y, mean_t);
        k->norm_cancel_i8(y, batch, width, BNN_TILE, t.low, t.high, g, d->outputs, sum_g, sum_gt);
    } else {
        k->norm_cancel_i8(y, batch, width, BNN_TILE, t.low, t.high, g, d->outputs, sum_g, sum_gt);
        bnn_dense_factor(k, d, batch, tile, y, mean_t);
    }
    for (size_t c = 0; c < width; c++) {
        const struct bnn_channel channel = channel_of(d, base + c, d->mean[base + c], d->inverse[base + c]);
        affine[c] = bnn_channel_backward(d->norm, &channel, (double)batch, (double)sum_g[c], (double)sum_gt[c],
                                         mean_t[c], d->magnitude ? d->magnitude[base + c] : 0.0);
    }
}

/* dY of one tile with its scale, in place of g, and transposed; or only its largest value when `measure` is set. */
static float output_gradient(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch, size_t tile,
                             const struct bnn_dense_step *step, int measure)
{
    const size_t base = tile * BNN_TILE, width = tile_width(d->outputs, tile);
    const double unit = (double)d->g_scale->used / (measure ? 1.0 : (double)d->dy_scale->used);
    const struct scratch s = scratch_of(d, batch);
    int8_t *g = (int8_t *)d->g + base;
    struct bnn_affine affine[BNN_TILE];
    float a[BNN_TILE], b[BNN_TILE], c0[BNN_TILE], largest = 0.0f;
    TIMED(d, BNN_phase_recompute, product(k, d, batch, tile, &s));
    TIMED(d, BNN_phase_norm_backward, {
        coefficients(k, d, batch, tile, s.tile, affine);
        for (size_t c = 0; c < width; c++) {
            a[c] = (float)(affine[c].a * unit);
            b[c] = (float)(affine[c].b * unit);
            c0[c] = (float)(affine[c].c * unit);
        }
        if (measure)
            k->norm_measure_i8(s.tile, batch, width, BNN_TILE, a, b, c0, g, d->outputs, &largest);
        else
            k->norm_affine_i8(s.tile, batch, width, BNN_TILE, a, b, c0, g, d->outputs, step->limit, step->dy_key,
                              (uint32_t)base, &largest);
    });
    if (measure) return largest;
    for (size_t c = 0; c < width; c++) {
        d->grad_beta[base + c] = (float)(affine[c].grad_beta * (double)d->g_scale->used);
        if (d->gamma) d->grad_gamma[base + c] = (float)(affine[c].grad_gamma * (double)d->g_scale->used);
    }
    TIMED(d, BNN_phase_pack, k->transpose_i8(g, batch, width, d->outputs, d->dy_t + base * batch, batch));
    return largest * d->dy_scale->used;
}

static double output_gradient_tile(const void *context, size_t tile)
{
    const struct dense_call *call = context;
    return output_gradient(call->k, call->d, call->batch, tile, call->step, call->measure);
}

static float all_output_gradients(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch,
                                  const struct bnn_dense_step *step, int measure, int threads)
{
    const struct dense_call call = {.k = k, .d = d, .batch = batch, .step = step, .measure = measure};
    return (float)bnn_for_max(threads, bnn_words(d->outputs), output_gradient_tile, &call);
}

/* Rows of dX of one tile of inputs: the largest sum, and, unless `measure`, the requantised values. */
static int32_t take_input_gradient(const struct bnn_kernels *k, const struct bnn_dense *d, const int32_t *sums, size_t row,
                                   size_t rows, size_t tile, uint64_t key, int measure)
{
    const size_t width = tile_width(d->inputs, tile), at = row * d->inputs + tile * BNN_TILE;
    int32_t largest = 0;
    TIMED(d, BNN_phase_requantise, {
        k->largest_i32(sums, rows, width, BNN_TILE, &largest);
        if (!measure)
            k->requantise_i32_i8(sums, rows, width, BNN_TILE, d->dy_scale->used / d->dx_scale->used,
                                 (int8_t *)d->dx + at, d->inputs, key, (uint32_t)at);
    });
    return largest;
}

static int32_t use_input_gradient(const struct bnn_kernels *k, const struct bnn_dense *d,
                                  const struct bnn_signed_product *p, size_t row, size_t rows, size_t tile, int32_t *sums)
{
    return take_input_gradient(k, d, sums, row, rows, tile, p->step->dx_key, p->measure);
}

/* dX of one tile of inputs by the product of bytes. */
static double input_gradient_tile(const void *context, size_t tile)
{
    const struct dense_call *call = context;
    const struct bnn_kernels *k = call->k;
    const struct bnn_dense *d = call->d;
    const struct scratch s = scratch_of(d, call->batch);
    TIMED(d, BNN_phase_input_gradient,
          k->gemm_i8_u1_i32(d->g, call->batch, d->outputs, d->w_u1 + tile, bnn_words(d->inputs),
                            tile_width(d->inputs, tile), d->outputs, s.tile, BNN_TILE, s.panel, 0));
    return take_input_gradient(k, d, s.tile, 0, call->batch, tile, call->step->dx_key, call->measure);
}

static float all_input_gradients(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch,
                                 const struct bnn_dense_step *step, int measure, int threads)
{
    int32_t largest;
    if (step->limit <= BNN_LOOKUP_LIMIT) {
        const struct bnn_signed_product product = {
            d->g, batch, d->outputs, d->outputs, d->w_u1, bnn_words(d->inputs), d->inputs, BNN_phase_input_gradient,
            use_input_gradient, step, measure};
        largest = bnn_dense_multiply_signs(k, d, batch, &product, threads);
    } else {
        const struct dense_call call = {.k = k, .d = d, .batch = batch, .step = step, .measure = measure};
        largest = (int32_t)bnn_for_max(threads, bnn_words(d->inputs), input_gradient_tile, &call);
    }
    return (float)largest * d->dy_scale->used;
}

static int32_t use_weight_gradient(const struct bnn_kernels *k, const struct bnn_dense *d,
                                   const struct bnn_signed_product *p, size_t row, size_t rows, size_t tile, int32_t *sums)
{
    TIMED(d, BNN_phase_update,
          bnn_dense_consume_i32(k, d, p->step, bnn_dense_place(d, row, tile * BNN_TILE), rows,
                                tile_width(d->inputs, tile), sums, BNN_TILE));
    return 0;
}

/* dW of a block of outputs and a tile of inputs by the products of bytes; `reuse`: the panel holds the tile of X. */
static void weight_gradient(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch, size_t row, size_t tile,
                            const struct bnn_dense_step *step, int reuse)
{
    const size_t column = tile * BNN_TILE, width = tile_width(d->inputs, tile), rows = bnn_min(BNN_TILE, d->outputs - row);
    const struct scratch s = scratch_of(d, batch);
    const int8_t *dy_t = d->dy_t + row * batch;
    TIMED(d, BNN_phase_weight_gradient, {
        if (d->x_i8)
            k->gemm_i8_i8_i32(dy_t, rows, batch, d->x_i8 + column, d->inputs, width, batch, s.tile, BNN_TILE, s.panel,
                              reuse);
        else
            k->gemm_i8_u1_i32(dy_t, rows, batch, d->x_u1 + tile, bnn_words(d->inputs), width, batch, s.tile, BNN_TILE,
                              s.panel, reuse);
    });
    TIMED(d, BNN_phase_update,
          bnn_dense_consume_i32(k, d, step, bnn_dense_place(d, row, column), rows, width, s.tile, BNN_TILE));
}

/* Blocks rather than tiles: 784 inputs are 13 tiles, which four threads cannot share well. */
static void own_weight_gradients(const void *context)
{
    const struct dense_call *call = context;
    const struct bnn_dense *d = call->d;
    const size_t row_blocks = bnn_words(d->outputs), blocks = row_blocks * bnn_words(d->inputs);
    const struct bnn_share share = bnn_own_share(blocks, 1);
    for (size_t block = share.first; block < share.end; block++)
        weight_gradient(call->k, d, call->batch, block % row_blocks * BNN_TILE, block / row_blocks, call->step,
                        block > share.first && block % row_blocks);
}

static void all_weight_gradients(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch,
                                 const struct bnn_dense_step *step, int threads)
{
    if (!d->x_i8 && step->limit <= BNN_LOOKUP_LIMIT) {
        const struct bnn_signed_product product = {
            d->dy_t, d->outputs, batch, batch, d->x_u1, bnn_words(d->inputs), d->inputs, BNN_phase_weight_gradient,
            use_weight_gradient, step, 0};
        bnn_dense_multiply_signs(k, d, batch, &product, threads);
        return;
    }
    bnn_run(threads, own_weight_gradients, &(struct dense_call){.k = k, .d = d, .batch = batch, .step = step});
}

void bnn_dense_backward_int8(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch,
                             const struct bnn_dense_step *step, int threads)
{
    const float limit = (float)step->limit;
    if (step->current_scales || d->dy_scale->next == 0.0f)
        bnn_follow(d->dy_scale, all_output_gradients(k, d, batch, step, 1, threads), limit);
    d->dy_scale->used = d->dy_scale->next > 0.0f ? d->dy_scale->next : 1.0f;
    bnn_follow(d->dy_scale, all_output_gradients(k, d, batch, step, 0, threads), limit);
    if (d->dx) {
        if (step->current_scales || d->dx_scale->next == 0.0f)
            bnn_follow(d->dx_scale, all_input_gradients(k, d, batch, step, 1, threads), 127.0f);
        d->dx_scale->used = d->dx_scale->next > 0.0f ? d->dx_scale->next : 1.0f;
        bnn_follow(d->dx_scale, all_input_gradients(k, d, batch, step, 0, threads), 127.0f);
    }
    /* dX has used the packed signs of before the update; from here on the latent weights move. */
    bnn_dense_clear_magnitudes(d);
    all_weight_gradients(k, d, batch, step, threads);
    bnn_dense_follow_magnitudes(d, step);
}
