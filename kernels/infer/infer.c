#include "passes.h"

static size_t scratch_of(const struct bnn_infer_layer *layer, size_t batch)
{
    switch (layer->kind) {
    case BNN_infer_dense: return bnn_infer_dense_scratch(batch);
    case BNN_infer_conv: return bnn_infer_conv_scratch(layer);
    case BNN_infer_residual: return bnn_infer_residual_scratch(layer);
    case BNN_infer_real_conv: return bnn_infer_real_conv_scratch(layer);
    case BNN_infer_stem: return bnn_stem_scratch(&layer->stem);
    default: return 0;
    }
}

size_t bnn_infer_scratch(const struct bnn_infer_layer *layer, size_t batch)
{
    return bnn_round_up(scratch_of(layer, batch), 64);
}

void bnn_infer(const struct bnn_inference *infer, size_t batch)
{
    for (size_t i = 0; i < infer->count; i++) {
        const struct bnn_infer_layer *layer = &infer->layers[i];
        switch (layer->kind) {
        case BNN_infer_dense: bnn_infer_dense(infer, layer, batch); break;
        case BNN_infer_conv: bnn_infer_conv(infer, layer, batch); break;
        case BNN_infer_residual: bnn_infer_residual(infer, layer, batch); break;
        case BNN_infer_real_conv: bnn_infer_real_conv(infer, layer, batch); break;
        case BNN_infer_stem: bnn_infer_stem(infer, layer, batch); break;
        default: bnn_infer_head(infer, layer, batch);
        }
    }
}
