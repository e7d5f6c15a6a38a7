/* Latent weights to what products take. */
#include "../common/number.h"
#include "pass.h"

static void load_row(const struct real_call *call, size_t output, float *row)
{
    const struct bnn_block *b = &call->r->conv.block;
    if (b->latent_type == BNN_f16)
        call->k->convert_f16_f32((const uint16_t *)b->latent + output * b->inputs, b->inputs, 1, b->inputs, row, b->inputs);
    else
        memcpy(row, (const float *)b->latent + output * b->inputs, b->inputs * sizeof *row);
}

static void prepack_outputs(const void *context, struct bnn_share share)
{
    const struct real_call *call = context;
    const struct bnn_real_conv *r = call->r;
    const size_t inputs = r->conv.block.inputs, outputs = r->conv.block.outputs;
    const struct real_pass s = bnn_real_pass(call->k, r, bnn_scratch_of(&r->conv.block, bnn_thread()));
    for (size_t o = share.first; o < share.end; o++) {
        float amax = 0.0f;
        load_row(call, o, s.row);
        for (size_t i = 0; i < inputs; i++) amax = bnn_absolute(s.row[i]) > amax ? bnn_absolute(s.row[i]) : amax;
        if (is_whole(r)) {
            int8_t *rows = (int8_t *)r->w_rows + o * inputs, *columns = (int8_t *)r->w_columns + o;
            r->w_unit[o] = amax > 0.0f ? amax / 127.0f : 1.0f;
            call->k->quantise_f32_i8(s.row, inputs, 1.0f / r->w_unit[o], rows);
            for (size_t i = 0; i < inputs; i++) columns[i * outputs] = rows[i];
        } else {
            float *columns = (float *)r->w_columns + o;
            memcpy((float *)r->w_rows + o * inputs, s.row, inputs * sizeof *s.row);
            for (size_t i = 0; i < inputs; i++) columns[i * outputs] = s.row[i];
        }
    }
}

void bnn_real_prepack(const struct real_call *call)
{
    const struct bnn_block *b = &call->r->conv.block;
    TIMED(b, BNN_zone_pack, bnn_for_shares(call->conv.threads, b->outputs, prepack_outputs, call));
}
