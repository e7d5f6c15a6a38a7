/* Layers with real weights: what begins a stream, and the head. */
#include "../head/head.h"
#include "../real_conv/real_pass.h"
#include "passes.h"

struct call {
    const struct bnn_inference *infer;
    const struct bnn_infer_layer *layer;
    size_t batch;
};

/* The layer's own, as a training step has it. */
static struct bnn_real_conv real_of(const struct bnn_inference *infer, const struct bnn_infer_layer *l)
{
    struct bnn_real_conv r = l->stem.real;
    struct bnn_block *b = &r.conv.block;
    b->scratch = infer->scratch, b->scratch_stride = infer->stride;
    return r;
}

size_t bnn_infer_real_conv_scratch(const struct bnn_infer_layer *layer) { return bnn_real_conv_scratch(&layer->stem.real); }

static void put_pieces(const void *context, struct bnn_share pieces)
{
    const struct call *call = context;
    const struct bnn_infer_layer *l = call->layer;
    const struct bnn_real_conv r = real_of(call->infer, l);
    struct real_pass s = bnn_real_pass(call->infer->kernels, &r, bnn_scratch_of(&r.conv.block, bnn_thread()));
    for (size_t number = pieces.first; number < pieces.end; number++) {
        const struct piece piece = bnn_piece(&r.conv, 0, call->batch, number);
        bnn_real_move(&s, piece.first, piece.rows);
        for (size_t tile = 0; tile < bnn_words(l->outputs); tile++) {
            const size_t base = tile * BNN_TILE;
            const struct bnn_stream_place place = {s.first * l->outputs + base, l->outputs, s.rows,
                                                   bnn_tile_width(l->outputs, tile)};
            bnn_real_y(&s, tile);
            bnn_real_put(&s, place, l->scale + base, l->shift + base, l->stream_out);
        }
    }
}

void bnn_infer_real_conv(const struct bnn_inference *infer, const struct bnn_infer_layer *layer, size_t batch)
{
    const struct call call = {infer, layer, batch};
    const struct bnn_real_conv r = real_of(infer, layer);
    const struct real_call real = bnn_real_call(infer->kernels, &r, batch, NULL, infer->threads);
    if (layer->stream_in) bnn_real_round(&real);
    bnn_for_shares(infer->threads, bnn_pieces(&r.conv, batch), put_pieces, &call);
}

void bnn_infer_stem(const struct bnn_inference *infer, const struct bnn_infer_layer *layer, size_t batch)
{
    struct bnn_stem stem = layer->stem;
    stem.real = real_of(infer, layer);
    bnn_stem_apply(infer->kernels, &stem, batch, infer->threads);
}

static void sum_image(const void *context, size_t image)
{
    const struct call *call = context;
    const struct bnn_infer_layer *l = call->layer;
    const size_t at = image * l->positions * l->inputs * bnn_type_bytes(l->stream_type);
    bnn_features(call->infer->kernels, l->stream_type, (const char *)l->stream_in + at, l->positions, l->inputs, l->relu,
                 l->features + image * l->inputs);
}

static void score_image(const void *context, size_t image)
{
    const struct call *call = context;
    const struct bnn_infer_layer *l = call->layer;
    bnn_scores(call->infer->kernels, l->features + image * l->inputs, 1, l->inputs, l->real_weights, l->bias, l->outputs,
               l->out_f32 + image * l->outputs);
}

void bnn_infer_head(const struct bnn_inference *infer, const struct bnn_infer_layer *layer, size_t batch)
{
    const struct call call = {infer, layer, batch};
    bnn_for(infer->threads, batch, sum_image, &call);
    bnn_for(infer->threads, batch, score_image, &call);
}
