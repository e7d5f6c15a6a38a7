/* The backward of float32 and float16 gradients: storage as configured, arithmetic in float32, sums over the batch in
 * double and over a product's depth in order, so that results do not depend on tiles, threads or instruction set. */
#include "gradient.h"
#include "tile.h"

static void cancel(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch, size_t tile, const int32_t *y,
                   float *g)
{
    const size_t base = tile * BNN_TILE, width = tile_width(d->outputs, tile);
    if (d->mask == BNN_mask_stored) {
        k->mask_f32(d->mask_u1 + tile, bnn_words(d->outputs), batch, width, g, BNN_TILE);
    } else if (d->mask == BNN_mask_recompute) {
        const struct thresholds t = thresholds_of(d, tile);
        k->norm_cancel_f32(y, batch, width, BNN_TILE, t.low, t.high, g, BNN_TILE);
    } else if (d->mask == BNN_mask_retained) {
        for (size_t row = 0; row < batch; row++)
            for (size_t c = 0; c < width; c++) {
                float z = d->out_f32[row * d->outputs + base + c];
                if (!(z >= -1.0f && z <= 1.0f)) g[row * BNN_TILE + c] = 0.0f;
            }
    }
}

/* dY of one tile of channels, in place of g. */
static void output_gradient(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch, size_t tile,
                            const struct scratch *s)
{
    const size_t base = tile * BNN_TILE, width = tile_width(d->outputs, tile);
    double sum_g[BNN_TILE] = {0}, sum_gt[BNN_TILE] = {0}, mean_t[BNN_TILE];
    float a[BNN_TILE], b[BNN_TILE], c0[BNN_TILE], *g = s->real;
    bnn_load_gradient(k, d->gradient_type, d->g, base, d->outputs, batch, width, g, BNN_TILE);
    cancel(k, d, batch, tile, s->tile, g);
    if (d->norm == BNN_norm_l1_binary) { /* its second sum is over g*t, the others' over g*y */
        bnn_dense_factor(k, d, batch, tile, s->tile, mean_t);
        k->norm_sums_f32(s->tile, batch, width, BNN_TILE, g, BNN_TILE, sum_g, sum_gt);
    } else {
        k->norm_sums_f32(s->tile, batch, width, BNN_TILE, g, BNN_TILE, sum_g, sum_gt);
        bnn_dense_factor(k, d, batch, tile, s->tile, mean_t);
    }
    for (size_t c = 0; c < width; c++) {
        const struct bnn_channel channel = channel_of(d, base + c, d->mean[base + c], d->inverse[base + c]);
        const struct bnn_affine affine =
            bnn_channel_backward(d->norm, &channel, (double)batch, sum_g[c], sum_gt[c], mean_t[c],
                                 d->magnitude ? d->magnitude[base + c] : 0.0);
        a[c] = (float)affine.a, b[c] = (float)affine.b, c0[c] = (float)affine.c;
        d->grad_beta[base + c] = (float)affine.grad_beta;
        if (d->gamma) d->grad_gamma[base + c] = (float)affine.grad_gamma;
    }
    k->norm_affine_f32(s->tile, batch, width, BNN_TILE, a, b, c0, g, BNN_TILE);
    bnn_store_gradient(k, d->gradient_type, d->g, base, d->outputs, batch, width, g);
}

/* dX of one tile of inputs, a block of rows at a time. */
static void input_gradient(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch, size_t tile)
{
    const size_t width = tile_width(d->inputs, tile);
    const struct scratch s = scratch_of(d, batch);
    k->expand_u1_f32(d->w_u1 + tile, bnn_words(d->inputs), d->outputs, width, s.operand, BNN_TILE);
    for (size_t row = 0; row < batch; row += BNN_ROW_BLOCK) {
        const size_t rows = bnn_min(BNN_ROW_BLOCK, batch - row);
        bnn_load_gradient(k, d->gradient_type, d->g, row * d->outputs, d->outputs, rows, d->outputs, s.converted,
                          d->outputs);
        k->gemm_f32(s.converted, rows, d->outputs, 1, s.operand, BNN_TILE, width, d->outputs, s.real, BNN_TILE);
        bnn_store_gradient(k, d->gradient_type, d->dx, row * d->inputs + tile * BNN_TILE, d->inputs, rows, width, s.real);
    }
}

/* dW of one tile of inputs, a block of output channels at a time. */
static void weight_gradient(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch, size_t tile,
                            const struct bnn_dense_step *step)
{
    const size_t column = tile * BNN_TILE, width = tile_width(d->inputs, tile);
    const struct scratch s = scratch_of(d, batch);
    TIMED(d, BNN_phase_weight_gradient, {
        if (d->x_i8)
            k->convert_i8_f32(d->x_i8 + column, d->inputs, batch, width, s.operand, BNN_TILE);
        else
            k->expand_u1_f32(d->x_u1 + tile, bnn_words(d->inputs), batch, width, s.operand, BNN_TILE);
    });
    for (size_t row = 0; row < d->outputs; row += BNN_TILE) {
        const size_t rows = bnn_min(BNN_TILE, d->outputs - row);
        TIMED(d, BNN_phase_weight_gradient, {
            bnn_load_gradient(k, d->gradient_type, d->g, row, d->outputs, batch, rows, s.converted, BNN_TILE);
            k->gemm_f32(s.converted, rows, 1, BNN_TILE, s.operand, BNN_TILE, width, batch, s.real, BNN_TILE);
        });
        TIMED(d, BNN_phase_update, bnn_dense_consume(k, d, step, bnn_dense_place(d, row, column), rows, width, s.real));
    }
}

static void output_gradient_tile(const void *context, size_t tile)
{
    const struct dense_call *call = context;
    const struct scratch s = scratch_of(call->d, call->batch);
    TIMED(call->d, BNN_phase_recompute, product(call->k, call->d, call->batch, tile, &s));
    TIMED(call->d, BNN_phase_norm_backward, output_gradient(call->k, call->d, call->batch, tile, &s));
}

static void input_gradient_tile(const void *context, size_t tile)
{
    const struct dense_call *call = context;
    TIMED(call->d, BNN_phase_input_gradient, input_gradient(call->k, call->d, call->batch, tile));
}

static void weight_gradient_tile(const void *context, size_t tile)
{
    const struct dense_call *call = context;
    weight_gradient(call->k, call->d, call->batch, tile, call->step);
}

void bnn_dense_backward_real(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch,
                             const struct bnn_dense_step *step, int threads)
{
    const struct dense_call call = {.k = k, .d = d, .batch = batch, .step = step};
    bnn_for(threads, bnn_words(d->outputs), output_gradient_tile, &call);
    if (d->dx) bnn_for(threads, bnn_words(d->inputs), input_gradient_tile, &call);
    bnn_for(threads, bnn_words(d->inputs), weight_gradient_tile, &call);
}
