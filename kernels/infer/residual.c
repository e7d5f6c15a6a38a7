/* A residual convolution: signs of a stream, and z added to one. */
#include "../conv/pass.h"
#include "passes.h"

struct call {
    const struct bnn_inference *infer;
    const struct bnn_infer_layer *layer;
    const struct bnn_conv *conv;
    size_t batch;
};

/* What of a pass's scratch is used here; its size. */
static size_t cut_scratch(const struct bnn_infer_layer *l, unsigned char *base, struct pass *s)
{
    const size_t words = bnn_taps(&l->window) * bnn_words(l->window.channels);
    unsigned char *at = base;
    s->panel = bnn_cut(&at, BNN_PANEL_BYTES);
    s->tile = bnn_cut(&at, BNN_CONV_ROWS * BNN_TILE * sizeof *s->tile);
    s->real = bnn_cut(&at, BNN_CONV_ROWS * BNN_TILE * sizeof *s->real);
    s->patch = bnn_cut(&at, BNN_CONV_ROWS * words * sizeof(uint64_t));
    return (size_t)(at - base);
}

size_t bnn_infer_residual_scratch(const struct bnn_infer_layer *layer)
{
    struct pass s;
    return cut_scratch(layer, BNN_NOWHERE, &s);
}

static void pack_image(const void *context, size_t image)
{
    const struct call *call = context;
    const struct bnn_infer_layer *l = call->layer;
    const size_t rows = l->window.height * l->window.width, channels = l->window.channels, at = image * rows;
    bnn_stream_signs(call->infer->kernels, l->stream_type,
                     (const char *)l->stream_in + at * channels * bnn_type_bytes(l->stream_type), rows, channels,
                     l->signs + at * bnn_words(channels), NULL);
}

static void one_piece(const void *context, size_t number)
{
    const struct call *call = context;
    const struct bnn_infer_layer *l = call->layer;
    struct pass s = {.k = call->infer->kernels, .c = call->conv, .piece = bnn_piece(call->conv, 0, call->batch, number)};
    cut_scratch(l, call->infer->scratch + (size_t)bnn_thread() * call->infer->stride, &s);
    bnn_im2col(call->conv, s.piece.first, s.piece.rows, s.patch);
    for (size_t tile = 0; tile < bnn_words(l->outputs); tile++) {
        const size_t base = tile * BNN_TILE;
        const struct bnn_stream_place place = {s.piece.out_first * l->outputs + base, l->outputs, s.piece.rows,
                                               bnn_tile_width(l->outputs, tile)};
        bnn_conv_y(&s, tile, MULTIPLY, NULL, 0);
        bnn_stream_put(s.k, l->stream_type, s.tile, l->scale + base, l->shift + base, place, l->addend, l->stream_out, s.real);
    }
}

void bnn_infer_residual(const struct bnn_inference *infer, const struct bnn_infer_layer *layer, size_t batch)
{
    const struct bnn_conv conv = bnn_infer_conv_of(layer);
    const struct call call = {infer, layer, &conv, batch};
    bnn_for(infer->threads, batch, pack_image, &call);
    bnn_for(infer->threads, bnn_pieces(&conv, batch), one_piece, &call);
}
