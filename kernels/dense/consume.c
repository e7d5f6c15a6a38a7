/* Where a tile of dW goes: into storage, or into the weights at once; and the step that takes it out of storage. */
#include "tile.h"

/* Signs as bits: set where the gradient is negative. */
static void store_signs(const float *gradient, size_t rows, size_t width, uint64_t *bits, size_t stride_words)
{
    for (size_t row = 0; row < rows; row++) {
        uint64_t word = 0;
        for (size_t c = 0; c < width; c++) word |= (uint64_t)(gradient[row * BNN_TILE + c] < 0.0f) << c;
        bits[row * stride_words] = word;
    }
}

static void update_block(const struct bnn_kernels *k, const struct bnn_dense *d, const struct bnn_real_step *step,
                         size_t at, size_t stride, size_t rows, size_t width, const float *gradient, size_t g_stride)
{
    const size_t momentum_at = at * bnn_type_bytes(step->momentum_type);
    char *m1 = d->momentum1, *m2 = d->momentum2;
    k->update_real((char *)d->latent + at * bnn_type_bytes(step->latent_type), m1 ? m1 + momentum_at : NULL,
                   m2 ? m2 + momentum_at : NULL, stride, gradient, g_stride, rows, width, (uint32_t)at, step);
}

void bnn_dense_consume(const struct bnn_kernels *k, const struct bnn_dense *d, const struct bnn_dense_step *step,
                       struct bnn_place place, size_t rows, size_t width, float *gradient)
{
    if (d->dw && d->dw_type == BNN_f32) {
        for (size_t r = 0; r < rows; r++)
            memcpy((float *)d->dw + place.at + r * place.stride, gradient + r * BNN_TILE, width * sizeof *gradient);
    } else if (d->dw) {
        store_signs(gradient, rows, width, (uint64_t *)d->dw + place.word, place.word_stride);
    } else {
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < width; c++) {
                float *value = &gradient[r * BNN_TILE + c];
                *value = (float)((*value > 0.0f) - (*value < 0.0f));
            }
        update_block(k, d, &step->real, place.at, place.stride, rows, width, gradient, BNN_TILE);
    }
}

/* From a channel's sums to integers of which BNN_TYPICAL_PUSH stands for its usual gradient: the root of the mean square,
 * were it normally distributed, sqrt(pi/2) times the mean magnitude.  0 as long as none is known, and again where a channel
 * has been without gradients for so long that what is left of it has no inverse. */
static float multiplier_of(const struct bnn_dense *d, const struct bnn_dense_step *step, size_t channel)
{
    const float usual = 1.25331414f * (d->dw_magnitude[channel] * step->magnitude_correction);
    return usual > BNN_LEAST_USUAL ? BNN_TYPICAL_PUSH * (d->dy_scale->used * step->real.gradient_scale) / usual : 0.0f;
}

void bnn_dense_clear_magnitudes(const struct bnn_dense *d)
{
    if (d->dw_magnitude) memset(d->dw_sums, 0, d->outputs * sizeof *d->dw_sums);
}

void bnn_dense_follow_magnitudes(const struct bnn_dense *d, const struct bnn_dense_step *step)
{
    if (!d->dw_magnitude) return;
    const double unit = (double)d->dy_scale->used * step->real.gradient_scale / (double)d->inputs;
    for (size_t o = 0; o < d->outputs; o++) {
        const float mean = (float)((double)d->dw_sums[o] * unit);
        d->dw_magnitude[o] = step->real.beta2 * d->dw_magnitude[o] + (1.0f - step->real.beta2) * mean;
    }
}

void bnn_dense_consume_i32(const struct bnn_kernels *k, const struct bnn_dense *d, const struct bnn_dense_step *step,
                           struct bnn_place place, size_t rows, size_t width, const int32_t *sums, size_t sums_stride)
{
    int8_t *latent = (int8_t *)d->latent + place.at, *momentum = (int8_t *)d->momentum1;
    if (d->dw_magnitude) {
        const size_t channel = place.at / place.stride;
        float multiplier[BNN_TILE] = {0};
        int64_t magnitude[BNN_TILE] = {0};
        for (size_t r = 0; r < rows; r++) multiplier[r] = multiplier_of(d, step, channel + r);
        k->update_channel_momentum_i8(latent, momentum + place.at, place.stride, sums, sums_stride, rows, width,
                                      (uint32_t)place.at, multiplier, magnitude, &step->channel);
        for (size_t r = 0; r < rows; r++) BNN_ATOMIC_ADD(&d->dw_sums[channel + r], magnitude[r]);
        return;
    }
    if (d->integer_update && momentum) {
        k->update_sign_momentum_i8(latent, momentum + place.at, place.stride, sums, sums_stride, rows, width,
                                   (uint32_t)place.at, &step->sign);
        return;
    }
    if (d->integer_update) {
        k->update_sign_i8(latent, place.stride, sums, sums_stride, rows, width, (uint32_t)place.at, &step->sign);
        return;
    }
    float gradient[BNN_UPDATE_ROWS * BNN_TILE];
    for (size_t row = 0; row < rows; row += BNN_UPDATE_ROWS) {
        const size_t some = bnn_min(BNN_UPDATE_ROWS, rows - row);
        const struct bnn_place there = {place.at + row * place.stride, place.stride,
                                        place.word + row * place.word_stride, place.word_stride};
        for (size_t r = 0; r < some; r++)
            for (size_t c = 0; c < width; c++)
                gradient[r * BNN_TILE + c] = (float)sums[(row + r) * sums_stride + c] * d->dy_scale->used;
        bnn_dense_consume(k, d, step, there, some, width, gradient);
    }
}

/* Some rows of a stored dW. */
static void update_rows(const struct bnn_kernels *k, const struct bnn_dense *d, const struct bnn_real_step *step,
                        size_t row, size_t rows)
{
    if (d->dw_type == BNN_f32) {
        update_block(k, d, step, row * d->inputs, d->inputs, rows, d->inputs, (const float *)d->dw + row * d->inputs,
                     d->inputs);
        return;
    }
    const size_t words = bnn_words(d->inputs);
    float signs[BNN_TILE];
    for (size_t r = row; r < row + rows; r++)
        for (size_t column = 0; column < d->inputs; column += BNN_TILE) {
            const size_t width = bnn_min(BNN_TILE, d->inputs - column);
            k->expand_u1_f32((const uint64_t *)d->dw + r * words + column / BNN_TILE, words, 1, width, signs, BNN_TILE);
            update_block(k, d, step, r * d->inputs + column, d->inputs, 1, width, signs, BNN_TILE);
        }
}

void bnn_dense_update_norm(const struct bnn_kernels *k, const struct bnn_dense *d, const struct bnn_dense_step *step)
{
    TIMED(d, BNN_phase_update, {
        k->adam_f32(d->beta, d->beta_adam1, d->beta_adam2, d->grad_beta, d->outputs, &step->norm);
        if (d->gamma)
            k->adam_f32(d->gamma, d->gamma_adam1, d->gamma_adam2, d->grad_gamma, d->outputs, &step->norm);
    });
}

static void update_row_block(const void *context, size_t block)
{
    const struct dense_call *call = context;
    const size_t row = block * BNN_ROW_BLOCK, rows = bnn_min(BNN_ROW_BLOCK, call->d->outputs - row);
    TIMED(call->d, BNN_phase_update, update_rows(call->k, call->d, &call->step->real, row, rows));
}

void bnn_dense_update_weights(const struct bnn_kernels *k, const struct bnn_dense *d, const struct bnn_dense_step *step,
                              int threads)
{
    if (!d->dw) return;
    bnn_for(threads, bnn_ceil_div(d->outputs, BNN_ROW_BLOCK), update_row_block,
            &(struct dense_call){.k = k, .d = d, .step = step});
}

void bnn_dense_update(const struct bnn_kernels *k, const struct bnn_dense *d, const struct bnn_dense_step *step,
                      int threads)
{
    bnn_dense_update_norm(k, d, step);
    bnn_dense_update_weights(k, d, step, threads);
}
