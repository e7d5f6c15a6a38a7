#include "../common/parallel.h"
#include "passes.h"

struct call {
    const struct bnn_inference *infer;
    const struct bnn_infer_layer *layer;
    size_t batch;
};

size_t bnn_infer_dense_scratch(size_t batch)
{
    return BNN_PANEL_BYTES + bnn_min(BNN_INFER_ROWS, batch) * BNN_TILE * sizeof(int32_t);
}

/* A tile of channels of some rows. */
static void tile_rows(const struct bnn_kernels *k, const struct bnn_infer_layer *l, size_t tile, size_t row, size_t rows,
                      unsigned char *scratch)
{
    const size_t base = tile * BNN_TILE, width = bnn_min(BNN_TILE, l->outputs - base), words = bnn_words(l->inputs);
    int32_t *y = (int32_t *)(scratch + BNN_PANEL_BYTES);
    if (l->x_i8)
        k->gemm_i8_u1_i32(l->x_i8 + row * l->inputs, rows, l->inputs, l->weights + tile, bnn_words(l->outputs), width,
                          l->inputs, y, BNN_TILE, scratch, 0);
    else
        k->xnor_gemm_u1_i32(l->x_u1 + row * words, rows, words, l->weights + base * words, width, words, l->inputs, y,
                            BNN_TILE, scratch);
    if (l->out_u1)
        k->binarise_i32_u1(y, rows, width, BNN_TILE, l->threshold + base, l->flip + base,
                           l->out_u1 + row * bnn_words(l->outputs) + tile, bnn_words(l->outputs));
    else
        k->normalise_i32_f32(y, rows, width, BNN_TILE, l->scale + base, l->shift + base,
                             l->out_f32 + row * l->outputs + base, l->outputs);
}

static void one_tile(const void *context, size_t tile)
{
    const struct call *call = context;
    unsigned char *scratch = call->infer->scratch + (size_t)bnn_thread() * call->infer->stride;
    for (size_t row = 0; row < call->batch; row += BNN_INFER_ROWS)
        tile_rows(call->infer->kernels, call->layer, tile, row, bnn_min(BNN_INFER_ROWS, call->batch - row), scratch);
}

void bnn_infer_dense(const struct bnn_inference *infer, const struct bnn_infer_layer *layer, size_t batch)
{
    bnn_for(infer->threads, bnn_words(layer->outputs), one_tile, &(struct call){infer, layer, batch});
}
