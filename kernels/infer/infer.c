#include "passes.h"

size_t bnn_infer_scratch(const struct bnn_infer_layer *layer, size_t batch)
{
    const size_t bytes = layer->origins ? bnn_infer_conv_scratch(layer) : bnn_infer_dense_scratch(batch);
    return bnn_round_up(bytes, 64);
}

void bnn_infer(const struct bnn_inference *infer, size_t batch)
{
    for (size_t i = 0; i < infer->count; i++) {
        const struct bnn_infer_layer *layer = &infer->layers[i];
        if (layer->origins) bnn_infer_conv(infer, layer, batch);
        else bnn_infer_dense(infer, layer, batch);
    }
}
