#include "weights.h"

/* Rows of latent weights that a stored dW moves at a time. */
enum { UPDATE_BLOCK = 16 };
/* Rows of integers that are converted at a time where the update is not one of integers. */
enum { CONVERTED_ROWS = 8 };
/* Less than this is no usual gradient. */
static const float LEAST_USUAL = 1e-30f;

/* What the threads of a loop know of the call that shares it out. */
struct call {
    const struct bnn_kernels *k;
    const struct bnn_block *b;
    const struct bnn_block_step *step;
    size_t line;
};

void bnn_prepack_latent(const struct bnn_kernels *k, const struct bnn_block *b, size_t at, size_t rows, size_t columns,
                        uint64_t *bits)
{
    const size_t words = bnn_words(columns);
    switch (b->latent_type) {
    case BNN_f32: k->pack_f32_u1((const float *)b->latent + at, rows, columns, columns, bits, words); break;
    case BNN_f16: k->pack_f16_u1((const uint16_t *)b->latent + at, rows, columns, columns, bits, words); break;
    case BNN_i16: k->pack_i16_u1((const int16_t *)b->latent + at, rows, columns, columns, bits, words); break;
    default: k->pack_i8_u1((const int8_t *)b->latent + at, rows, columns, columns, bits, words);
    }
}

static void prepack_tile(const void *context, size_t tile)
{
    const struct call *call = context;
    const struct bnn_kernels *k = call->k;
    const struct bnn_block *b = call->b;
    const size_t first = tile * BNN_TILE, rows = bnn_tile_width(b->outputs, tile), words = bnn_words(b->inputs);
    TIMED(b, BNN_zone_pack, {
        bnn_prepack_latent(k, b, first * b->inputs, rows, b->inputs, b->w_u1 + first * words);
        if (b->x_i8)
            k->transpose_u1(b->w_u1 + first * words, rows, b->inputs, words, b->w_t_u1 + tile, bnn_words(b->outputs));
    });
}

void bnn_prepack_weights(const struct bnn_kernels *k, const struct bnn_block *b, int threads)
{
    bnn_for(threads, bnn_words(b->outputs), prepack_tile, &(struct call){.k = k, .b = b});
}

/* Signs as bits: set where the gradient is negative. */
static void store_signs(const float *gradient, size_t rows, size_t width, uint64_t *bits, size_t stride_words)
{
    for (size_t row = 0; row < rows; row++) {
        uint64_t word = 0;
        for (size_t c = 0; c < width; c++) word |= (uint64_t)(gradient[row * BNN_TILE + c] < 0.0f) << c;
        bits[row * stride_words] = word;
    }
}

static void update_block(const struct bnn_kernels *k, const struct bnn_block *b, const struct bnn_real_step *step,
                         size_t at, size_t stride, size_t rows, size_t width, const float *gradient, size_t g_stride)
{
    const size_t momentum_at = at * bnn_type_bytes(step->momentum_type);
    char *m1 = b->momentum1, *m2 = b->momentum2;
    k->update_real((char *)b->latent + at * bnn_type_bytes(step->latent_type), m1 ? m1 + momentum_at : NULL,
                   m2 ? m2 + momentum_at : NULL, stride, gradient, g_stride, rows, width, (uint32_t)at, step);
}

void bnn_consume(const struct bnn_kernels *k, const struct bnn_block *b, const struct bnn_block_step *step,
                 struct bnn_place place, size_t rows, size_t width, float *gradient)
{
    if (b->dw && b->dw_type == BNN_f32) {
        for (size_t r = 0; r < rows; r++)
            memcpy((float *)b->dw + place.at + r * place.stride, gradient + r * BNN_TILE, width * sizeof *gradient);
    } else if (b->dw) {
        store_signs(gradient, rows, width, (uint64_t *)b->dw + place.word, place.word_stride);
    } else {
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < width; c++) {
                float *value = &gradient[r * BNN_TILE + c];
                *value = (float)((*value > 0.0f) - (*value < 0.0f));
            }
        update_block(k, b, &step->real, place.at, place.stride, rows, width, gradient, BNN_TILE);
    }
}

/* From a channel's sums to normalised gradients, of which BNN_USUAL_GRADIENT is the usual one: the root of the mean square,
 * were it normally distributed, sqrt(pi/2) times the mean magnitude.  0 as long as none is known, and again where a channel
 * has been without gradients for so long that what is left of it has no inverse. */
static float multiplier_of(const struct bnn_block *b, const struct bnn_block_step *step, size_t channel)
{
    const float usual = 1.25331414f * (b->dw_magnitude[channel] * step->magnitude_correction);
    return usual > LEAST_USUAL ? BNN_USUAL_GRADIENT * (b->dy_scale->used * step->real.gradient_scale) / usual : 0.0f;
}

void bnn_clear_magnitudes(const struct bnn_block *b)
{
    if (b->dw_magnitude) memset(b->dw_sums, 0, b->outputs * sizeof *b->dw_sums);
}

void bnn_follow_magnitudes(const struct bnn_block *b, const struct bnn_block_step *step)
{
    if (!b->dw_magnitude) return;
    const double unit = (double)b->dy_scale->used * step->real.gradient_scale / (double)b->inputs;
    for (size_t o = 0; o < b->outputs; o++) {
        const float mean = (float)((double)b->dw_sums[o] * unit);
        b->dw_magnitude[o] = step->real.beta2 * b->dw_magnitude[o] + (1.0f - step->real.beta2) * mean;
    }
}

void bnn_consume_i32(const struct bnn_kernels *k, const struct bnn_block *b, const struct bnn_block_step *step,
                     struct bnn_place place, size_t rows, size_t width, const int32_t *sums, size_t sums_stride)
{
    int8_t *latent = (int8_t *)b->latent + place.at, *momentum = (int8_t *)b->momentum1;
    if (b->dw_magnitude) {
        const size_t channel = place.at / place.stride;
        float multiplier[BNN_TILE] = {0};
        int64_t magnitude[BNN_TILE] = {0};
        for (size_t r = 0; r < rows; r++) multiplier[r] = multiplier_of(b, step, channel + r);
        k->update_channel_momentum_i8(latent, momentum + place.at, place.stride, sums, sums_stride, rows, width,
                                      (uint32_t)place.at, multiplier, magnitude, &step->channel);
        for (size_t r = 0; r < rows; r++) BNN_ATOMIC_ADD(&b->dw_sums[channel + r], magnitude[r]);
        return;
    }
    if (b->integer_update && momentum) {
        k->update_sign_momentum_i8(latent, momentum + place.at, place.stride, sums, sums_stride, rows, width,
                                   (uint32_t)place.at, &step->sign);
        return;
    }
    if (b->integer_update) {
        k->update_sign_i8(latent, place.stride, sums, sums_stride, rows, width, (uint32_t)place.at, &step->sign);
        return;
    }
    float gradient[CONVERTED_ROWS * BNN_TILE];
    for (size_t row = 0; row < rows; row += CONVERTED_ROWS) {
        const size_t some = bnn_min(CONVERTED_ROWS, rows - row);
        const struct bnn_place there = {place.at + row * place.stride, place.stride,
                                        place.word + row * place.word_stride, place.word_stride};
        for (size_t r = 0; r < some; r++)
            for (size_t c = 0; c < width; c++)
                gradient[r * BNN_TILE + c] = (float)sums[(row + r) * sums_stride + c] * b->dy_scale->used;
        bnn_consume(k, b, step, there, some, width, gradient);
    }
}

/* Some rows of a stored dW. */
static void update_rows(const struct bnn_kernels *k, const struct bnn_block *b, const struct bnn_real_step *step,
                        size_t line, size_t row, size_t rows)
{
    if (b->dw_type == BNN_f32) {
        update_block(k, b, step, row * line, line, rows, line, (const float *)b->dw + row * line, line);
        return;
    }
    const size_t words = bnn_words(line);
    float signs[BNN_TILE];
    for (size_t r = row; r < row + rows; r++)
        for (size_t tile = 0; tile < words; tile++) {
            const size_t width = bnn_tile_width(line, tile);
            k->expand_u1_f32((const uint64_t *)b->dw + r * words + tile, words, 1, width, signs, BNN_TILE);
            update_block(k, b, step, r * line + tile * BNN_TILE, line, 1, width, signs, BNN_TILE);
        }
}

static size_t lines_of(const struct call *call) { return call->b->outputs * call->b->inputs / call->line; }

static void update_row_block(const void *context, size_t block)
{
    const struct call *call = context;
    const size_t row = block * UPDATE_BLOCK, rows = bnn_min(UPDATE_BLOCK, lines_of(call) - row);
    TIMED(call->b, BNN_zone_update, update_rows(call->k, call->b, &call->step->real, call->line, row, rows));
}

void bnn_update(const struct bnn_kernels *k, const struct bnn_block *b, const struct bnn_block_step *step, size_t line,
                int threads)
{
    const struct call call = {k, b, step, line};
    TIMED(b, BNN_zone_update, {
        k->adam_f32(b->beta, b->beta_adam1, b->beta_adam2, b->grad_beta, b->outputs, &step->norm);
        if (b->gamma)
            k->adam_f32(b->gamma, b->gamma_adam1, b->gamma_adam2, b->grad_gamma, b->outputs, &step->norm);
    });
    if (b->dw) bnn_for(threads, bnn_ceil_div(lines_of(&call), UPDATE_BLOCK), update_row_block, &call);
}
