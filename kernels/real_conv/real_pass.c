/* Scratch, patches and products. */
#include "real_pass.h"

/* Products of n bits and more lose the lowest. */
enum { BITS = 15 };

struct real_call bnn_real_call(const struct bnn_kernels *k, const struct bnn_real_conv *r, size_t batch,
                               const struct bnn_block_step *step, int threads)
{
    return (struct real_call){k, r, {k, &r->conv, batch, step, threads}, step};
}

int bnn_real_conv_shift(size_t inputs)
{
    const size_t largest = inputs * 127 * 128;
    int shift = 0;
    while (largest >> shift >= (size_t)1 << BITS) shift++;
    return shift;
}

struct real_pass bnn_real_pass(const struct bnn_kernels *k, const struct bnn_real_conv *r, unsigned char *base)
{
    const size_t rows = BNN_CONV_ROWS, tile = rows * BNN_TILE, inputs = r->conv.block.inputs, outputs = r->conv.block.outputs;
    unsigned char *at = base;
    struct real_pass s = {.k = k, .r = r, .sums = bnn_conv_cut_sums(&r->conv, &at)};
    s.panel = bnn_cut(&at, BNN_PANEL_BYTES);
    s.room = bnn_cut(&at, reads_stream(r) ? 0 : rows * inputs);
    s.tile = bnn_cut(&at, tile * sizeof *s.tile);
    s.product = bnn_cut(&at, BNN_TILE * inputs * sizeof(int32_t));
    s.row = bnn_cut(&at, inputs * sizeof *s.row);
    if (is_whole(r)) {
        s.dy = bnn_cut(&at, rows * outputs);
        s.dy_t = bnn_cut(&at, BNN_TILE * rows);
        s.wide = bnn_cut(&at, BNN_TILE * inputs * sizeof *s.wide);
    } else {
        s.reals = bnn_cut(&at, reads_stream(r) ? 0 : rows * inputs * sizeof *s.reals);
        s.real = bnn_cut(&at, tile * sizeof *s.real);
        s.dy = bnn_cut(&at, rows * outputs * sizeof(float));
        s.narrow = bnn_cut(&at, BNN_TILE * inputs * sizeof *s.narrow);
    }
    s.size = (size_t)(at - base);
    return s;
}

size_t bnn_real_conv_scratch(const struct bnn_real_conv *r) { return bnn_real_pass(NULL, r, BNN_NOWHERE).size; }

void bnn_real_move(struct real_pass *s, size_t first, size_t rows)
{
    const struct bnn_real_conv *r = s->r;
    const size_t inputs = r->conv.block.inputs;
    s->first = first, s->rows = rows;
    if (reads_stream(r)) { /* windows of one position */
        s->patch = is_whole(r) ? (const void *)(r->x_i8 + first * inputs) : r->x_f32 + first * inputs;
        return;
    }
    bnn_im2col(&r->conv, first, rows, s->room);
    s->patch = s->room;
    if (is_whole(r)) return;
    s->k->convert_i8_f32(s->room, inputs, rows, inputs, s->reals, inputs);
    s->patch = s->reals;
}

void bnn_real_y(const struct real_pass *s, size_t tile)
{
    const struct bnn_real_conv *r = s->r;
    const size_t inputs = r->conv.block.inputs, outputs = r->conv.block.outputs, width = bnn_tile_width(outputs, tile);
    if (!is_whole(r)) {
        s->k->gemm_f32(s->patch, s->rows, inputs, 1, (const float *)r->w_columns + tile * BNN_TILE, outputs, width, inputs, (float *)s->tile,
                       BNN_TILE);
        return;
    }
    const int shift = bnn_real_conv_shift(inputs);
    s->k->gemm_i8_i8_i32(s->patch, s->rows, inputs, (const int8_t *)r->w_columns + tile * BNN_TILE, outputs, width, inputs,
                         s->tile, BNN_TILE, s->panel, 0);
    for (size_t row = 0; shift && row < s->rows; row++)
        for (size_t c = 0; c < width; c++) s->tile[row * BNN_TILE + c] >>= shift;
}

void bnn_real_normalise(const float *y, const float *scale, const float *shift, size_t rows, size_t width, float *z)
{
    for (size_t row = 0; row < rows; row++, y += BNN_TILE, z += BNN_TILE)
        for (size_t c = 0; c < width; c++) z[c] = y[c] * scale[c] + shift[c];
}

void bnn_real_put(const struct real_pass *s, struct bnn_stream_place place, const float *scale, const float *shift, void *out)
{
    if (is_whole(s->r)) {
        bnn_stream_put(s->k, BNN_i16, s->tile, scale, shift, place, NULL, out, NULL);
        return;
    }
    bnn_real_normalise((const float *)s->tile, scale, shift, place.rows, place.width, s->real);
    bnn_stream_put_f32(s->k, s->r->conv.block.gradient_type, s->real, place, NULL, out);
}

void bnn_real_follow(const struct bnn_block *b, int whole, double n, const struct conv_sums *all, int first)
{
    const int is_l2 = b->norm == BNN_norm_l2;
    for (size_t o = 0; o < b->outputs; o++) {
        if (whole) {
            bnn_follow_statistics(b, o, n, all->whole[0][o], all->whole[is_l2 ? 1 : 2][o], first);
            continue;
        }
        const double mean = b->mean[o], variance = all->real[1][o] / n - mean * mean;
        bnn_follow(b, o, mean, is_l2 ? (variance > 0.0 ? variance : 0.0) : all->real[2][o] / n, first);
    }
}
