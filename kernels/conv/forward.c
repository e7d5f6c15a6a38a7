#include "tile.h"

static void sum_taps(const struct bnn_conv *c, size_t output)
{
    const size_t taps = bnn_taps(&c->window), words = bnn_words(c->window.channels);
    const uint64_t *bits = c->dense.w_u1 + output * taps * words;
    for (size_t tap = 0; tap < taps; tap++, bits += words) {
        int32_t negative = 0;
        for (size_t word = 0; word < words; word++) negative += __builtin_popcountll(bits[word]);
        c->tap_sums[tap * c->dense.outputs + output] = (int32_t)c->window.channels - 2 * negative;
    }
}

static void pack_output(const void *context, size_t output)
{
    const struct conv_call *call = context;
    const struct bnn_conv *c = call->c;
    const size_t taps = bnn_taps(&c->window), channels = c->window.channels, words = bnn_words(channels);
    TIMED(&c->dense, BNN_phase_pack, {
        bnn_pack_latent(call->k, &c->dense, output * c->dense.inputs, taps, channels, c->dense.w_u1 + output * taps * words);
        if (c->tap_sums) sum_taps(c, output);
    });
}

static void pack_image(const void *context, size_t image)
{
    const struct conv_call *call = context;
    const struct bnn_dense *d = &call->c->dense;
    const size_t rows = call->c->window.height * call->c->window.width, channels = call->c->window.channels;
    const size_t words = bnn_words(channels);
    TIMED(d, BNN_phase_pack, call->k->pack_f32_u1(d->x_f32 + image * rows * channels, rows, channels, channels,
                                                  d->x_u1 + image * rows * words, words));
}

void bnn_conv_pack(const struct bnn_kernels *k, const struct bnn_conv *c, size_t batch, int threads)
{
    const struct bnn_dense *d = &c->dense;
    if (d->x_i8) { /* few inputs: the channels of all taps in a row, as in a dense block */
        bnn_dense_pack(k, d, batch, threads);
        return;
    }
    const struct conv_call call = {.k = k, .c = c};
    bnn_for(threads, d->outputs, pack_output, &call);
    if (d->x_f32) bnn_for(threads, batch, pack_image, &call);
}

/* What a pass over the pieces does with y of a tile of channels; n: values per channel in the batch. */
typedef void visit(const struct bnn_kernels *k, const struct bnn_conv *c, const struct pass *s, const struct piece *piece,
                   size_t tile, int training, int64_t n);

static void sum_y(const struct bnn_kernels *k, const struct bnn_conv *c, const struct pass *s, const struct piece *piece,
                  size_t tile, int training, int64_t n)
{
    (void)training, (void)n;
    k->norm_sums_i32(s->tile, piece->norm_rows, tile_width(c->dense.outputs, tile), BNN_TILE, s->sums[0] + tile * BNN_TILE,
                     s->sums[1] + tile * BNN_TILE);
}

/* The sums of all threads lie in the first one's scratch; each adds its deviations to its own. */
static void sum_deviations(const struct bnn_kernels *k, const struct bnn_conv *c, const struct pass *s,
                           const struct piece *piece, size_t tile, int training, int64_t n)
{
    (void)training;
    const int64_t *sum = bnn_conv_pass(c, bnn_conv_own(c, 0)).sums[0] + tile * BNN_TILE;
    k->norm_deviation_i32(s->tile, piece->norm_rows, tile_width(c->dense.outputs, tile), BNN_TILE, n, sum,
                          s->sums[2] + tile * BNN_TILE);
}

static void gains(const struct bnn_dense *d, size_t tile, float *scale, float *shift)
{
    for (size_t o = 0; o < tile_width(d->outputs, tile); o++) {
        const size_t at = tile * BNN_TILE + o;
        const struct bnn_channel channel = channel_of(d, at, d->mean[at], d->inverse[at]);
        const double gain = channel.gamma * channel.inverse;
        scale[o] = (float)gain;
        shift[o] = (float)(channel.beta - gain * channel.mean);
    }
}

static void sum_magnitudes(const struct bnn_kernels *k, const struct bnn_conv *c, const struct pass *s,
                           const struct piece *piece, size_t tile, int training, int64_t n)
{
    (void)training, (void)n;
    float scale[BNN_TILE], shift[BNN_TILE];
    gains(&c->dense, tile, scale, shift);
    k->norm_magnitude_i32(s->tile, piece->norm_rows, tile_width(c->dense.outputs, tile), BNN_TILE, scale, shift,
                          s->real_sums[0] + tile * BNN_TILE);
}

/* A word of the mask where pooling chose. */
static void pool_words(const struct pass *s, size_t windows, uint64_t *to, size_t stride, const uint64_t *from)
{
    for (size_t window = 0; window < windows; window++, to += stride) {
        uint64_t word = 0;
        for (size_t j = 0; j < BNN_POOL_ROWS; j++) word |= s->choice[BNN_POOL_ROWS * window + j] & from[BNN_POOL_ROWS * window + j];
        *to = word;
    }
}

/* Signs, mask and real form of z that go out. */
static void activate(const struct bnn_kernels *k, const struct bnn_conv *c, const struct pass *s, const struct piece *piece,
                     size_t tile, int training, int64_t n)
{
    (void)n;
    const struct bnn_dense *d = &c->dense;
    const size_t width = tile_width(d->outputs, tile), words = bnn_words(d->outputs);
    const struct thresholds *t = bnn_conv_thresholds(c, tile);
    const int after = c->window.pool == BNN_pool_before_sign || c->window.pool == BNN_pool_after_sign;
    if (after && !piece->windows) return;
    const int32_t *y = s->tile;
    size_t rows = piece->norm_rows;
    const int masked = training && d->mask_u1 != NULL;
    if (after) {
        bnn_conv_choose(k, c, s, piece, tile, t);
        y = s->chosen, rows = piece->rows / BNN_POOL_ROWS;
    }
    uint64_t *out = d->out_u1 + piece->out_first * words + tile, *mask = d->mask_u1 + piece->out_first * words + tile;
    if (c->window.pool == BNN_pool_after_sign) {
        if (d->out_u1) /* a bit is set where all four signs are negative */
            for (size_t r = 0; r < rows; r++)
                out[r * words] = s->bits[4 * r] & s->bits[4 * r + 1] & s->bits[4 * r + 2] & s->bits[4 * r + 3];
        if (masked) {
            k->within_i32_u1(s->tile, piece->rows, width, BNN_TILE, t->low, t->high, s->mask, 1);
            pool_words(s, rows, mask, words, s->mask);
        }
    } else {
        if (d->out_u1) k->binarise_i32_u1(y, rows, width, BNN_TILE, t->threshold, t->flip, out, words);
        if (masked) k->within_i32_u1(y, rows, width, BNN_TILE, t->low, t->high, mask, words);
    }
    if (d->out_f32) {
        float scale[BNN_TILE], shift[BNN_TILE];
        gains(d, tile, scale, shift);
        k->normalise_i32_f32(y, rows, width, BNN_TILE, scale, shift,
                             d->out_f32 + piece->out_first * d->outputs + tile * BNN_TILE, d->outputs);
    }
}

struct forward {
    const struct bnn_kernels *k;
    const struct bnn_conv *c;
    size_t batch;
    enum source source;
    enum bnn_phase phase;
    visit *look;
    int training;
};

static void pass_piece(const void *context, size_t number)
{
    const struct forward *f = context;
    const struct bnn_conv *c = f->c;
    const struct pass s = bnn_conv_pass(c, bnn_conv_own(c, bnn_thread()));
    const struct piece piece = bnn_piece(c, 0, f->batch, number);
    const int64_t n = (int64_t)(f->batch * bnn_norm_positions(&c->window));
    if (f->source != READ) TIMED(&c->dense, BNN_phase_gather, bnn_gather(c, &piece, s.patch));
    for (size_t tile = 0; tile < bnn_words(c->dense.outputs); tile++) {
        TIMED(&c->dense, BNN_phase_forward, bnn_conv_y(f->k, c, &s, &piece, tile, f->source, c->y_forward, 0));
        TIMED(&c->dense, f->phase, f->look(f->k, c, &s, &piece, tile, f->training, n));
    }
}

static void pass_over(const struct bnn_kernels *k, const struct bnn_conv *c, size_t batch, enum source source,
                      enum bnn_phase phase, visit *look, int training, int threads)
{
    bnn_for(threads, bnn_pieces(c, batch), pass_piece,
            &(struct forward){k, c, batch, source, phase, look, training});
}

/* Batch statistics into dense.mean and dense.inverse. */
static void measure(const struct bnn_kernels *k, const struct bnn_conv *c, size_t batch, int first, enum source again,
                    int threads)
{
    const struct bnn_dense *d = &c->dense;
    const double n = (double)(batch * bnn_norm_positions(&c->window));
    bnn_conv_clear_sums(c, threads);
    pass_over(k, c, batch, c->y_forward ? MULTIPLY_AND_KEEP : MULTIPLY, BNN_phase_statistics, sum_y, 1, threads);
    struct pass all = bnn_conv_add_sums(c, threads);
    if (d->norm != BNN_norm_l2) {
        pass_over(k, c, batch, again, BNN_phase_statistics, sum_deviations, 1, threads);
        for (int thread = 1; thread < threads; thread++)
            for (size_t o = 0; o < d->outputs; o++)
                all.sums[2][o] += bnn_conv_pass(c, bnn_conv_own(c, thread)).sums[2][o];
    }
    for (size_t o = 0; o < d->outputs; o++)
        bnn_follow_statistics(d, o, n, all.sums[0][o], all.sums[d->norm == BNN_norm_l2 ? 1 : 2][o], first);
    if (!d->magnitude) return;
    pass_over(k, c, batch, again, BNN_phase_statistics, sum_magnitudes, 1, threads);
    all = bnn_conv_add_sums(c, threads);
    for (size_t o = 0; o < d->outputs; o++) d->magnitude[o] = all.real_sums[0][o] / n;
}

void bnn_conv_flatten(const uint64_t *from, size_t rows, size_t bits, uint64_t *to)
{
    const size_t words = bnn_words(bits);
    memset(to, 0, bnn_words(rows * bits) * sizeof *to);
    for (size_t row = 0; row < rows; row++)
        for (size_t word = 0; word < words; word++) {
            const size_t at = row * bits + word * BNN_WORD_BITS, shift = at % BNN_WORD_BITS;
            const uint64_t value = from[row * words + word];
            to[at / BNN_WORD_BITS] |= value << shift;
            if (shift && value >> (BNN_WORD_BITS - shift)) to[at / BNN_WORD_BITS + 1] |= value >> (BNN_WORD_BITS - shift);
        }
}

static void flatten_image(const void *context, size_t image)
{
    const struct bnn_conv *c = ((const struct conv_call *)context)->c;
    const size_t rows = bnn_out_positions(&c->window), bits = c->dense.outputs;
    TIMED(&c->dense, BNN_phase_pack, bnn_conv_flatten(c->dense.out_u1 + image * rows * bnn_words(bits), rows, bits,
                                                      c->flat_u1 + image * bnn_words(rows * bits)));
}

void bnn_conv_forward(const struct bnn_kernels *k, const struct bnn_conv *c, size_t batch, int training, int first,
                      int threads)
{
    const struct bnn_dense *d = &c->dense;
    const enum source again = training && c->y_forward ? READ : MULTIPLY;
    bnn_conv_pack(k, c, batch, threads);
    if (training) {
        measure(k, c, batch, first, again, threads);
    } else {
        for (size_t o = 0; o < d->outputs; o++) {
            d->mean[o] = (double)d->running_mean[o];
            d->inverse[o] = bnn_channel_inverse(d->norm, (double)d->running_spread[o]);
        }
    }
    TIMED(d, BNN_phase_activate, bnn_conv_find_thresholds(c, threads));
    pass_over(k, c, batch, again, BNN_phase_activate, activate, training, threads);
    if (c->flat_u1) bnn_for(threads, batch, flatten_image, &(struct conv_call){.c = c});
}
