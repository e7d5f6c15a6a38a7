#include "product.h"

#include "../block/weights.h"

static struct dense_scratch carve(unsigned char *base, size_t outputs, size_t batch, enum bnn_type gradient_type)
{
    const size_t rows = bnn_max(batch, BNN_TILE), tile = rows * BNN_TILE * sizeof(float);
    unsigned char *at = base;
    struct dense_scratch s = {.panel = bnn_cut(&at, BNN_PANEL_BYTES)};
    s.tile = bnn_cut(&at, bnn_dense_tile_bytes(batch));
    if (gradient_type != BNN_i8) {
        s.real = bnn_cut(&at, tile);
        s.operand = bnn_cut(&at, bnn_max(rows, outputs) * BNN_TILE * sizeof *s.operand);
        s.converted = bnn_cut(&at, bnn_max(tile, BNN_DENSE_ROWS * bnn_round_up(outputs, BNN_TILE) * sizeof *s.converted));
    }
    s.bytes = (size_t)(at - base);
    return s;
}

size_t bnn_dense_scratch(size_t outputs, size_t batch, enum bnn_type gradient_type)
{
    return carve(BNN_NOWHERE, outputs, batch, gradient_type).bytes;
}

struct dense_scratch bnn_dense_own_scratch(const struct dense_call *call)
{
    const struct bnn_block *b = &call->d->block;
    return carve(bnn_scratch_of(b, bnn_thread()), b->outputs, call->batch, b->gradient_type);
}

void bnn_dense_product(const struct dense_call *call, size_t tile, const struct dense_scratch *s)
{
    const struct bnn_kernels *k = call->k;
    const struct bnn_block *b = &call->d->block;
    const size_t width = bnn_tile_width(b->outputs, tile), words = bnn_words(b->inputs);
    if (b->x_i8)
        k->gemm_i8_u1_i32(b->x_i8, call->batch, b->inputs, b->w_t_u1 + tile, bnn_words(b->outputs), width, b->inputs, s->tile,
                          BNN_TILE, s->panel, 0);
    else
        k->xnor_gemm_u1_i32(b->x_u1, call->batch, words, b->w_u1 + tile * BNN_TILE * words, width, words, b->inputs, s->tile,
                            BNN_TILE, s->panel);
}

void bnn_dense_prepack(const struct dense_call *call)
{
    const struct bnn_block *b = &call->d->block;
    bnn_prepack_weights(call->k, b, call->threads);
    if (b->x_f32)
        TIMED(b, BNN_zone_pack,
              call->k->pack_f32_u1(b->x_f32, call->batch, b->inputs, b->inputs, b->x_u1, bnn_words(b->inputs)));
}
