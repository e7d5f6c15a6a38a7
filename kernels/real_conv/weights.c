/* Latent weights to what products take, and dW of 64 output channels at a time into them. */
#include "../common/number.h"
#include "real_pass.h"

static void load_row(const struct real_call *call, size_t output, float *row)
{
    const struct bnn_block *b = &call->r->conv.block;
    if (b->latent_type == BNN_f16)
        call->k->convert_f16_f32((const uint16_t *)b->latent + output * b->inputs, b->inputs, 1, b->inputs, row, b->inputs);
    else
        memcpy(row, (const float *)b->latent + output * b->inputs, b->inputs * sizeof *row);
}

static void prepack_outputs(const struct real_call *call, struct bnn_share share)
{
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

static void prepack_share(const void *context, struct bnn_share share)
{
    const struct real_call *call = context;
    TIMED(&call->r->conv.block, BNN_zone_pack, prepack_outputs(call, share));
}

void bnn_real_prepack(const struct real_call *call)
{
    const struct bnn_block *b = &call->r->conv.block;
    bnn_for_shares(call->conv.threads, b->outputs, prepack_share, call);
}

void bnn_real_add(const struct real_pass *s, size_t tile)
{
    const struct bnn_real_conv *r = s->r;
    const size_t inputs = r->conv.block.inputs, stride = r->conv.block.outputs, base = tile * BNN_TILE;
    const size_t outputs = bnn_tile_width(stride, tile);
    if (!is_whole(r)) {
        float *product = s->product;
        s->k->gemm_f32((const float *)s->dy + base, outputs, 1, stride, s->patch, inputs, inputs, s->rows, product, inputs);
        for (size_t i = 0; i < outputs * inputs; i++) s->narrow[i] += product[i];
        return;
    }
    const int32_t *product = s->product;
    s->k->transpose_i8((const int8_t *)s->dy + base, s->rows, outputs, stride, s->dy_t, BNN_CONV_ROWS);
    s->k->gemm_i8_i8_i32(s->dy_t, outputs, BNN_CONV_ROWS, s->patch, inputs, inputs, s->rows, s->product, inputs, s->panel, 0);
    for (size_t i = 0; i < outputs * inputs; i++) s->wide[i] += product[i];
}

static void clear_own(const void *context)
{
    const struct real_call *call = context;
    const size_t count = BNN_TILE * call->r->conv.block.inputs;
    const struct real_pass s = bnn_real_pass(call->k, call->r, bnn_scratch_of(&call->r->conv.block, bnn_thread()));
    if (s.wide) memset(s.wide, 0, count * sizeof *s.wide);
    if (s.narrow) memset(s.narrow, 0, count * sizeof *s.narrow);
}

void bnn_real_clear(const struct real_call *call) { bnn_run(call->conv.threads, clear_own, call); }

/* A tile's rows that move. */
struct update {
    const struct real_call *call;
    size_t tile;
};

static void update_outputs(const struct update *update, struct bnn_share share)
{
    const struct real_call *call = update->call;
    const struct bnn_real_conv *r = call->r;
    const struct bnn_block *b = &r->conv.block;
    const struct real_pass own = bnn_real_pass(call->k, r, bnn_scratch_of(b, bnn_thread()));
    const struct real_pass first = bnn_real_pass(call->k, r, bnn_scratch_of(b, 0));
    const size_t inputs = b->inputs;
    for (size_t o = share.first; o < share.end; o++) {
        const size_t output = update->tile * BNN_TILE + o, at = output * inputs;
        for (int thread = 1; thread < call->conv.threads; thread++) {
            const struct real_pass other = bnn_real_pass(call->k, r, bnn_scratch_of(b, thread));
            for (size_t i = o * inputs; i < (o + 1) * inputs; i++) {
                if (first.wide) first.wide[i] += other.wide[i];
                else first.narrow[i] += other.narrow[i];
            }
        }
        const double one = is_whole(r) ? (double)r->w_unit[output] * (double)(1 << bnn_real_conv_shift(inputs)) : 1.0;
        for (size_t i = 0; i < inputs; i++)
            own.row[i] = first.wide ? (float)((double)first.wide[o * inputs + i] * ((double)b->dy_scale->used / one))
                                    : first.narrow[o * inputs + i];
        const size_t moment = at * bnn_type_bytes(call->step->real.momentum_type);
        call->k->update_real((char *)b->latent + at * bnn_type_bytes(b->latent_type), (char *)b->momentum1 + moment,
                             (char *)b->momentum2 + moment, inputs, own.row, inputs, 1, inputs, (uint32_t)at,
                             &call->step->real);
    }
}

static void update_share(const void *context, struct bnn_share share)
{
    const struct update *update = context;
    TIMED(&update->call->r->conv.block, BNN_zone_update, update_outputs(update, share));
}

void bnn_real_update(const struct real_call *call, size_t tile)
{
    const struct bnn_block *b = &call->r->conv.block;
    bnn_for_shares(call->conv.threads, bnn_tile_width(b->outputs, tile), update_share, &(struct update){call, tile});
}
