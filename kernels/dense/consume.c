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
                         size_t row, size_t rows, size_t column, size_t width, const float *gradient, size_t g_stride)
{
    static const size_t bytes[] = {[BNN_f32] = 4, [BNN_f16] = 2, [BNN_i16] = 2, [BNN_i8] = 1};
    const size_t at = row * d->inputs + column, momentum_at = at * bytes[step->momentum_type];
    char *m1 = d->momentum1, *m2 = d->momentum2;
    k->update_real((char *)d->latent + at * bytes[step->latent_type], m1 ? m1 + momentum_at : NULL,
                   m2 ? m2 + momentum_at : NULL, d->inputs, gradient, g_stride, rows, width, (uint32_t)at, step);
}

void bnn_dense_consume(const struct bnn_kernels *k, const struct bnn_dense *d, const struct bnn_dense_step *step,
                       size_t row, size_t rows, size_t column, size_t width, float *gradient)
{
    if (d->dw && d->dw_type == BNN_f32) {
        for (size_t r = 0; r < rows; r++)
            memcpy((float *)d->dw + (row + r) * d->inputs + column, gradient + r * BNN_TILE, width * sizeof *gradient);
    } else if (d->dw) {
        const size_t words = bnn_words(d->inputs);
        store_signs(gradient, rows, width, (uint64_t *)d->dw + row * words + column / BNN_TILE, words);
    } else {
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < width; c++) {
                float *value = &gradient[r * BNN_TILE + c];
                *value = (float)((*value > 0.0f) - (*value < 0.0f));
            }
        update_block(k, d, &step->real, row, rows, column, width, gradient, BNN_TILE);
    }
}

/* One row block of a stored dW. */
static void update_rows(const struct bnn_kernels *k, const struct bnn_dense *d, const struct bnn_real_step *step,
                        size_t row, size_t rows)
{
    if (d->dw_type == BNN_f32) {
        update_block(k, d, step, row, rows, 0, d->inputs, (const float *)d->dw + row * d->inputs, d->inputs);
        return;
    }
    const size_t words = bnn_words(d->inputs);
    float signs[BNN_TILE];
    for (size_t r = row; r < row + rows; r++)
        for (size_t column = 0; column < d->inputs; column += BNN_TILE) {
            const size_t width = bnn_min(BNN_TILE, d->inputs - column);
            k->expand_u1_f32((const uint64_t *)d->dw + r * words + column / BNN_TILE, words, 1, width, signs, BNN_TILE);
            update_block(k, d, step, r, 1, column, width, signs, BNN_TILE);
        }
}

void bnn_dense_update(const struct bnn_kernels *k, const struct bnn_dense *d, const struct bnn_dense_step *step,
                      int threads)
{
    TIMED(d, BNN_phase_update, {
        k->adam_f32(d->beta, d->beta_adam1, d->beta_adam2, d->grad_beta, d->outputs, &step->norm);
        if (d->gamma)
            k->adam_f32(d->gamma, d->gamma_adam1, d->gamma_adam2, d->grad_gamma, d->outputs, &step->norm);
    });
    if (!d->dw) return;
    BNN_PARALLEL_FOR(threads)
    for (size_t row = 0; row < d->outputs; row += BNN_ROW_BLOCK)
        TIMED(d, BNN_phase_update,
              update_rows(k, d, &step->real, row, bnn_min(BNN_ROW_BLOCK, d->outputs - row)));
}
