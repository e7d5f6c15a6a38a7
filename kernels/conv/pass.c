/* Scratch, pieces, sums, and what is made once before passes. */
#include "pass.h"

#include "../block/weights.h"

/* What every thread has first: sums, one behind the other, and the thresholds, of which those of the first thread serve all. */
struct head {
    struct conv_sums sums;
    struct bnn_thresholds *thresholds; /* [words(O)] */
};

static struct head cut_head(const struct bnn_conv *c, unsigned char **at)
{
    const size_t outputs = c->block.outputs;
    struct head h;
    for (int i = 0; i < BNN_SUMS; i++) h.sums.whole[i] = bnn_cut(at, outputs * sizeof *h.sums.whole[i]);
    for (int i = 0; i < BNN_SUMS; i++) h.sums.real[i] = bnn_cut(at, outputs * sizeof *h.sums.real[i]);
    h.thresholds = bnn_cut(at, bnn_words(outputs) * sizeof *h.thresholds);
    return h;
}

struct conv_sums bnn_conv_cut_sums(const struct bnn_conv *c, unsigned char **at) { return cut_head(c, at).sums; }

static struct head head_of(const struct bnn_conv *c, int thread)
{
    unsigned char *at = bnn_scratch_of(&c->block, thread);
    return cut_head(c, &at);
}

/* Carves a pass out of memory from *at on, which then is its end. */
static struct pass carve(const struct bnn_kernels *k, const struct bnn_conv *c, unsigned char **at)
{
    const struct bnn_block *b = &c->block;
    const size_t row = BNN_CONV_ROWS, tile = row * BNN_TILE, words = bnn_patch_words(&c->window);
    struct pass s = {.k = k, .c = c, .sums = cut_head(c, at).sums};
    s.panel = bnn_cut(at, BNN_PANEL_BYTES);
    s.patch = bnn_cut(at, row * bnn_max(words * sizeof(uint64_t), b->x_i8 ? b->inputs : 0));
    s.tile = bnn_cut(at, tile * sizeof *s.tile);
    s.chosen = bnn_cut(at, tile / BNN_POOL_ROWS * sizeof *s.chosen);
    s.bits = bnn_cut(at, row * sizeof *s.bits);
    s.argmax = bnn_cut(at, row * sizeof *s.argmax);
    s.mask = bnn_cut(at, row * sizeof *s.mask);
    s.bytes = bnn_cut(at, tile);
    if (b->gradient_type != BNN_i8) {
        s.real = bnn_cut(at, tile * sizeof *s.real);
        s.pooled = bnn_cut(at, tile / BNN_POOL_ROWS * sizeof *s.pooled);
    }
    return s;
}

struct pass bnn_conv_pass(const struct bnn_kernels *k, const struct bnn_conv *c)
{
    unsigned char *at = bnn_scratch_of(&c->block, bnn_thread());
    return carve(k, c, &at);
}

size_t bnn_conv_pass_scratch(const struct bnn_conv *c)
{
    unsigned char *end = BNN_NOWHERE;
    carve(NULL, c, &end);
    return (size_t)(end - BNN_NOWHERE);
}

size_t bnn_pieces(const struct bnn_conv *c, size_t images)
{
    const size_t positions = bnn_positions(&c->window), pooled = BNN_POOL_ROWS * bnn_windows(&c->window);
    if (c->window.pool == BNN_pool_none || pooled == positions) return bnn_ceil_div(images * positions, BNN_CONV_ROWS);
    return images * (bnn_ceil_div(pooled, BNN_CONV_ROWS) + bnn_ceil_div(positions - pooled, BNN_CONV_ROWS));
}

struct piece bnn_piece(const struct bnn_conv *c, size_t first, size_t images, size_t number)
{
    const struct bnn_window *w = &c->window;
    const size_t positions = bnn_positions(w), windows = bnn_windows(w), pooled = BNN_POOL_ROWS * windows;
    struct piece p = {.windows = w->pool != BNN_pool_none};
    if (!p.windows || pooled == positions) {
        p.first = number * BNN_CONV_ROWS;
        p.rows = bnn_min(BNN_CONV_ROWS, images * positions - p.first);
        p.first += first * positions;
        p.out_first = p.windows ? p.first / BNN_POOL_ROWS : p.first;
    } else { /* an image at a time: first its windows, then what is left over */
        const size_t of_windows = bnn_ceil_div(pooled, BNN_CONV_ROWS);
        const size_t of_image = of_windows + bnn_ceil_div(positions - pooled, BNN_CONV_ROWS);
        const size_t image = first + number / of_image, part = number % of_image;
        p.windows = part < of_windows;
        const size_t start = p.windows ? part * BNN_CONV_ROWS : pooled + (part - of_windows) * BNN_CONV_ROWS;
        p.rows = bnn_min(BNN_CONV_ROWS, (p.windows ? pooled : positions) - start);
        p.first = image * positions + start;
        p.out_first = image * windows + start / BNN_POOL_ROWS;
    }
    const int before = bnn_pools_before_norm(w);
    p.norm_first = before ? p.first / BNN_POOL_ROWS : p.first;
    p.norm_rows = before ? p.rows / BNN_POOL_ROWS : p.rows;
    return p;
}

void bnn_conv_clear_sums(const struct conv_call *call)
{
    for (int thread = 0; thread < call->threads; thread++) {
        const struct head h = head_of(call->c, thread);
        memset(h.sums.whole[0], 0, (size_t)((unsigned char *)h.thresholds - (unsigned char *)h.sums.whole[0]));
    }
}

struct conv_sums bnn_conv_reduce_sums(const struct conv_call *call)
{
    const struct conv_sums all = head_of(call->c, 0).sums;
    for (int thread = 1; thread < call->threads; thread++) {
        const struct conv_sums s = head_of(call->c, thread).sums;
        for (int i = 0; i < BNN_SUMS; i++)
            for (size_t o = 0; o < call->c->block.outputs; o++) {
                all.whole[i][o] += s.whole[i][o], s.whole[i][o] = 0;
                all.real[i][o] += s.real[i][o], s.real[i][o] = 0.0;
            }
    }
    return all;
}

const struct bnn_thresholds *bnn_conv_thresholds(const struct bnn_conv *c)
{
    struct bnn_thresholds *thresholds = head_of(c, 0).thresholds;
    for (size_t tile = 0; tile < bnn_words(c->block.outputs); tile++) thresholds[tile] = bnn_thresholds_of(&c->block, tile);
    return thresholds;
}

static void sum_taps(const struct bnn_conv *c, size_t output)
{
    const size_t taps = bnn_taps(&c->window), words = bnn_words(c->window.channels);
    const uint64_t *bits = c->block.w_u1 + output * taps * words;
    for (size_t tap = 0; tap < taps; tap++, bits += words) {
        int32_t negative = 0;
        for (size_t word = 0; word < words; word++) negative += __builtin_popcountll(bits[word]);
        c->tap_sums[tap * c->block.outputs + output] = (int32_t)c->window.channels - 2 * negative;
    }
}

static void prepack_output(const void *context, size_t output)
{
    const struct conv_call *call = context;
    const struct bnn_conv *c = call->c;
    const struct bnn_block *b = &c->block;
    const size_t taps = bnn_taps(&c->window), channels = c->window.channels, words = bnn_words(channels);
    TIMED(b, BNN_zone_pack, {
        bnn_prepack_latent(call->k, b, output * b->inputs, taps, channels, b->w_u1 + output * taps * words);
        if (c->tap_sums) sum_taps(c, output);
    });
}

static void pack_image(const void *context, size_t image)
{
    const struct conv_call *call = context;
    const struct bnn_block *b = &call->c->block;
    const size_t rows = call->c->window.height * call->c->window.width, channels = call->c->window.channels;
    const size_t words = bnn_words(channels);
    TIMED(b, BNN_zone_pack, call->k->pack_f32_u1(b->x_f32 + image * rows * channels, rows, channels, channels,
                                                  b->x_u1 + image * rows * words, words));
}

void bnn_conv_prepack(const struct conv_call *call)
{
    const struct bnn_block *b = &call->c->block;
    if (b->x_i8) { /* few inputs: the channels of all taps in a row, as in a dense block */
        bnn_prepack_weights(call->k, b, call->threads);
        return;
    }
    bnn_for(call->threads, b->outputs, prepack_output, call);
    if (b->x_f32) bnn_for(call->threads, call->batch, pack_image, call);
}
