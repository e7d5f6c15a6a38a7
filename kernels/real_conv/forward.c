#include "../common/number.h"
#include "real_pass.h"

/* A pass over the positions of a batch, and what it does with y of a tile of channels. */
struct forward {
    struct real_call call;
    enum bnn_zone zone;
    void (*look)(const struct forward *f, const struct real_pass *s, size_t tile);
    struct conv_sums all; /* of the former pass */
};

static size_t values_of(const struct real_call *call)
{
    return call->conv.batch * bnn_positions(&call->r->conv.window);
}

static void sum_y(const struct forward *f, const struct real_pass *s, size_t tile)
{
    const struct bnn_block *b = &s->r->conv.block;
    const size_t width = bnn_tile_width(b->outputs, tile), base = tile * BNN_TILE;
    const float *y = (const float *)s->tile;
    (void)f;
    if (is_whole(s->r)) {
        s->k->norm_sums_i32(s->tile, s->rows, width, BNN_TILE, s->sums.whole[0] + base, s->sums.whole[1] + base);
        return;
    }
    for (size_t row = 0; row < s->rows; row++, y += BNN_TILE)
        for (size_t c = 0; c < width; c++) {
            s->sums.real[0][base + c] += (double)y[c];
            s->sums.real[1][base + c] += (double)y[c] * (double)y[c];
        }
}

static void sum_deviations(const struct forward *f, const struct real_pass *s, size_t tile)
{
    const struct bnn_block *b = &s->r->conv.block;
    const size_t width = bnn_tile_width(b->outputs, tile), base = tile * BNN_TILE;
    const float *y = (const float *)s->tile;
    if (is_whole(s->r)) {
        s->k->norm_deviation_i32(s->tile, s->rows, width, BNN_TILE, (int64_t)values_of(&f->call), f->all.whole[0] + base,
                                 s->sums.whole[2] + base);
        return;
    }
    for (size_t row = 0; row < s->rows; row++, y += BNN_TILE)
        for (size_t c = 0; c < width; c++) {
            const double distance = (double)y[c] - b->mean[base + c];
            s->sums.real[2][base + c] += distance < 0.0 ? -distance : distance;
        }
}

static void sum_magnitudes(const struct forward *f, const struct real_pass *s, size_t tile)
{
    const struct bnn_block *b = &s->r->conv.block;
    const size_t width = bnn_tile_width(b->outputs, tile), base = tile * BNN_TILE;
    const struct bnn_gains z = bnn_gains_of(b, tile);
    (void)f;
    if (is_whole(s->r)) {
        s->k->norm_magnitude_i32(s->tile, s->rows, width, BNN_TILE, z.scale, z.shift, s->sums.real[0] + base);
        return;
    }
    bnn_real_normalise((const float *)s->tile, z.scale, z.shift, s->rows, width, s->real);
    for (size_t row = 0; row < s->rows; row++)
        for (size_t c = 0; c < width; c++)
            s->sums.real[0][base + c] += (double)bnn_absolute(s->real[row * BNN_TILE + c]);
}

static void put(const struct forward *f, const struct real_pass *s, size_t tile)
{
    const struct bnn_block *b = &s->r->conv.block;
    const size_t width = bnn_tile_width(b->outputs, tile);
    const struct bnn_gains z = bnn_gains_of(b, tile);
    const struct bnn_stream_place place = {s->first * b->outputs + tile * BNN_TILE, b->outputs, s->rows, width};
    (void)f;
    bnn_real_put(s, place, z.scale, z.shift, b->stream.out);
}

static void look_at_pieces(const void *context, struct bnn_share pieces)
{
    const struct forward *f = context;
    const struct bnn_real_conv *r = f->call.r;
    const struct bnn_block *b = &r->conv.block;
    struct real_pass s = bnn_real_pass(f->call.k, r, bnn_scratch_of(b, bnn_thread()));
    for (size_t number = pieces.first; number < pieces.end; number++) {
        const struct piece piece = bnn_piece(&r->conv, 0, f->call.conv.batch, number);
        TIMED(b, BNN_zone_gather, bnn_real_move(&s, piece.first, piece.rows));
        for (size_t tile = 0; tile < bnn_words(b->outputs); tile++) {
            TIMED(b, BNN_zone_forward, bnn_real_y(&s, tile));
            TIMED(b, f->zone, f->look(f, &s, tile));
        }
    }
}

static void pass_over(struct forward *f, enum bnn_zone zone,
                      void (*look)(const struct forward *f, const struct real_pass *s, size_t tile))
{
    f->zone = zone, f->look = look;
    bnn_for_shares(f->call.conv.threads, bnn_pieces(&f->call.r->conv, f->call.conv.batch), look_at_pieces, f);
}

static void measure(struct forward *f, int first)
{
    const struct bnn_block *b = &f->call.r->conv.block;
    const int is_l2 = b->norm == BNN_norm_l2;
    const double n = (double)values_of(&f->call);
    bnn_conv_clear_sums(&f->call.conv);
    pass_over(f, BNN_zone_statistics, sum_y);
    f->all = bnn_conv_reduce_sums(&f->call.conv);
    for (size_t o = 0; !is_whole(f->call.r) && o < b->outputs; o++) b->mean[o] = f->all.real[0][o] / n;
    if (!is_l2) {
        pass_over(f, BNN_zone_statistics, sum_deviations);
        f->all = bnn_conv_reduce_sums(&f->call.conv);
    }
    bnn_real_follow(b, is_whole(f->call.r), n, &f->all, first);
    if (!b->magnitude) return;
    memset(f->all.real[0], 0, b->outputs * sizeof *f->all.real[0]);
    pass_over(f, BNN_zone_statistics, sum_magnitudes);
    f->all = bnn_conv_reduce_sums(&f->call.conv);
    for (size_t o = 0; o < b->outputs; o++) b->magnitude[o] = f->all.real[0][o] / n;
}

void bnn_real_conv_forward(const struct bnn_kernels *k, const struct bnn_real_conv *r, size_t batch, int first, int threads)
{
    struct forward f = {.call = bnn_real_call(k, r, batch, NULL, threads)};
    if (reads_stream(r)) bnn_real_input(&f.call, first);
    bnn_real_prepack(&f.call);
    measure(&f, first);
    pass_over(&f, BNN_zone_activate, put);
}
