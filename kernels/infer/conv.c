/* A convolution: im2col patches, products and skipped taps are those of conv/. */
#include "../conv/pass.h"
#include "passes.h"

struct call {
    const struct bnn_inference *infer;
    const struct bnn_infer_layer *layer;
    const struct bnn_conv *conv;
    size_t batch, groups; /* of tiles, where there are fewer pieces than threads */
};

struct bnn_conv bnn_infer_conv_of(const struct bnn_infer_layer *l)
{
    uint64_t *weights = (uint64_t *)(uintptr_t)l->weights; /* which it only reads */
    return (struct bnn_conv){
        .block = {.inputs = l->inputs, .outputs = l->outputs, .x_i8 = l->x_i8, .x_u1 = (uint64_t *)(uintptr_t)l->x_u1,
                  .w_u1 = weights, .w_t_u1 = weights},
        .window = l->window, .origins = l->origins, .tap_sums = l->tap_sums,
    };
}

static size_t patch_bytes(const struct bnn_infer_layer *l)
{
    return l->x_i8 ? l->inputs : bnn_patch_words(&l->window) * sizeof(uint64_t);
}

/* What of a pass's scratch is used here; its size. */
static size_t cut_scratch(const struct bnn_infer_layer *l, unsigned char *base, struct pass *s)
{
    unsigned char *at = base;
    s->panel = bnn_cut(&at, BNN_PANEL_BYTES);
    s->tile = bnn_cut(&at, BNN_CONV_ROWS * BNN_TILE * sizeof *s->tile);
    s->bits = bnn_cut(&at, BNN_CONV_ROWS * sizeof *s->bits);
    s->argmax = bnn_cut(&at, BNN_CONV_ROWS * sizeof *s->argmax);
    s->patch = bnn_cut(&at, BNN_CONV_ROWS * patch_bytes(l));
    return (size_t)(at - base);
}

size_t bnn_infer_conv_scratch(const struct bnn_infer_layer *layer)
{
    struct pass s;
    return cut_scratch(layer, BNN_NOWHERE, &s);
}

/* The sign where pooling behind the sign chose: the first +1 (bit 0) by `by`, or else the first of all. */
static uint64_t chosen_bit(const uint64_t *by, const uint64_t *bits)
{
    uint64_t left = ~UINT64_C(0), found = 0;
    for (size_t j = 0; j < BNN_POOL_ROWS; j++) {
        found |= left & ~by[j] & bits[j];
        left &= by[j];
    }
    return found | (left & bits[0]);
}

/* Pooling behind the norm or the sign: a bit is set where all four signs are negative. */
static void pool_signs(const struct bnn_infer_layer *l, const struct pass *s, size_t tile, uint64_t *out)
{
    const size_t base = tile * BNN_TILE, width = bnn_tile_width(l->outputs, tile), words = bnn_words(l->outputs);
    const size_t rows = s->piece.rows;
    s->k->binarise_i32_u1(s->tile, rows, width, BNN_TILE, l->threshold + base, l->flip + base, s->bits, 1);
    if (l->argmax_threshold)
        s->k->binarise_i32_u1(s->tile, rows, width, BNN_TILE, l->argmax_threshold + base, l->flip + base, s->argmax, 1);
    for (size_t row = 0; row < rows; row += BNN_POOL_ROWS, out += words) {
        const uint64_t *b = s->bits + row;
        *out = l->argmax_threshold ? chosen_bit(s->argmax + row, b) : b[0] & b[1] & b[2] & b[3];
    }
}

static void one_share(const void *context, size_t number)
{
    const struct call *call = context;
    const struct bnn_infer_layer *l = call->layer;
    const struct piece piece = bnn_piece(call->conv, 0, call->batch, number / call->groups);
    const int pools_signs = is_pooled_after_norm(call->conv);
    if (pools_signs && !piece.windows) return; /* what a floor leaves over */
    struct pass s = {.k = call->infer->kernels, .c = call->conv, .piece = piece};
    cut_scratch(l, call->infer->scratch + (size_t)bnn_thread() * call->infer->stride, &s);
    bnn_im2col(call->conv, piece.first, piece.rows, s.patch);
    const size_t words = bnn_words(l->outputs), group = number % call->groups;
    for (size_t tile = group; tile < words; tile += call->groups) {
        const size_t base = tile * BNN_TILE;
        uint64_t *out = l->out_u1 + piece.out_first * words + tile;
        bnn_conv_y(&s, tile, MULTIPLY, NULL, 0);
        if (pools_signs)
            pool_signs(l, &s, tile, out);
        else
            s.k->binarise_i32_u1(s.tile, piece.norm_rows, bnn_tile_width(l->outputs, tile), BNN_TILE,
                                 l->threshold + base, l->flip + base, out, words);
    }
}

static void flatten_image(const void *context, size_t image)
{
    const struct bnn_infer_layer *l = ((const struct call *)context)->layer;
    const size_t rows = bnn_out_positions(&l->window);
    bnn_conv_flatten(l->out_u1 + image * rows * bnn_words(l->outputs), rows, l->outputs,
                     l->flat_u1 + image * bnn_words(rows * l->outputs));
}

void bnn_infer_conv(const struct bnn_inference *infer, const struct bnn_infer_layer *layer, size_t batch)
{
    const struct bnn_conv conv = bnn_infer_conv_of(layer);
    const size_t pieces = bnn_pieces(&conv, batch), threads = (size_t)infer->threads;
    const size_t groups = bnn_min(bnn_ceil_div(threads, pieces), bnn_words(layer->outputs));
    const struct call call = {infer, layer, &conv, batch, groups};
    bnn_for(infer->threads, pieces * groups, one_share, &call);
    if (layer->flat_u1) bnn_for(infer->threads, batch, flatten_image, &call);
}
