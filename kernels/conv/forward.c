#include "pass.h"

/* A pass over the pieces of a batch. */
struct forward {
    struct conv_call call;
    const struct bnn_thresholds *thresholds;
    struct conv_sums all; /* of the former pass */
    enum source source;
    enum bnn_zone zone;
    /* What it does with y of a tile of channels. */
    void (*look)(const struct forward *f, const struct pass *s, size_t tile);
};

/* Values per channel in the batch. */
static size_t values_of(const struct conv_call *call) { return call->batch * bnn_norm_positions(&call->c->window); }

static void sum_y(const struct forward *f, const struct pass *s, size_t tile)
{
    (void)f;
    s->k->norm_sums_i32(s->tile, s->piece.norm_rows, bnn_tile_width(s->c->block.outputs, tile), BNN_TILE,
                        s->sums.whole[0] + tile * BNN_TILE, s->sums.whole[1] + tile * BNN_TILE);
}

/* The sums of all threads lie in the first one's scratch; each adds its deviations to its own. */
static void sum_deviations(const struct forward *f, const struct pass *s, size_t tile)
{
    s->k->norm_deviation_i32(s->tile, s->piece.norm_rows, bnn_tile_width(s->c->block.outputs, tile), BNN_TILE,
                             (int64_t)values_of(&f->call), f->all.whole[0] + tile * BNN_TILE,
                             s->sums.whole[2] + tile * BNN_TILE);
}

static void sum_magnitudes(const struct forward *f, const struct pass *s, size_t tile)
{
    (void)f;
    const struct bnn_gains z = bnn_gains_of(&s->c->block, tile);
    s->k->norm_magnitude_i32(s->tile, s->piece.norm_rows, bnn_tile_width(s->c->block.outputs, tile), BNN_TILE, z.scale,
                             z.shift, s->sums.real[0] + tile * BNN_TILE);
}

/* Signs and mask of pooling after the sign: a bit is set where all four signs are negative; the mask where pooling chose. */
static void pool_bits(const struct forward *f, const struct pass *s, size_t windows, size_t tile)
{
    const struct bnn_block *b = &s->c->block;
    const struct bnn_thresholds *t = f->thresholds + tile;
    const size_t words = bnn_words(b->outputs), at = s->piece.out_first * words + tile;
    const uint64_t *sign = s->bits, *argmax = s->argmax, *inside = s->mask;
    for (size_t i = 0; b->out_u1 && i < windows; i++, sign += BNN_POOL_ROWS)
        b->out_u1[at + i * words] = sign[0] & sign[1] & sign[2] & sign[3];
    if (!b->mask_u1) return;
    s->k->within_i32_u1(s->tile, s->piece.rows, bnn_tile_width(b->outputs, tile), BNN_TILE, t->low, t->high, s->mask, 1);
    for (size_t i = 0; i < windows; i++, argmax += BNN_POOL_ROWS, inside += BNN_POOL_ROWS)
        b->mask_u1[at + i * words] = (argmax[0] & inside[0]) | (argmax[1] & inside[1]) | (argmax[2] & inside[2]) |
                                     (argmax[3] & inside[3]);
}

/* z into the stream. */
static void carry_on(const struct pass *s, size_t tile)
{
    const struct bnn_block *b = &s->c->block;
    const struct bnn_gains z = bnn_gains_of(b, tile);
    const struct bnn_stream_place place = {s->piece.out_first * b->outputs + tile * BNN_TILE, b->outputs, s->piece.norm_rows,
                                           bnn_tile_width(b->outputs, tile)};
    bnn_stream_put(s->k, bnn_stream_type(b->gradient_type), s->tile, z.scale, z.shift, place, b->stream.addend,
                   b->stream.out, s->real);
}

/* Signs of the stream that comes in, where they are bits, and their mask. */
static void pack_stream(const void *context, size_t image)
{
    const struct conv_call *call = context;
    const struct bnn_block *b = &call->c->block;
    const enum bnn_type type = bnn_stream_type(b->gradient_type);
    const size_t channels = call->c->window.channels, rows = call->c->window.height * call->c->window.width;
    const size_t at = image * rows, words = bnn_words(channels);
    TIMED(b, BNN_zone_pack,
          bnn_stream_signs(call->k, type, (const char *)b->stream.in + at * channels * bnn_type_bytes(type), rows, channels,
                           b->x_u1 + at * words, b->stream.mask + at * words));
}

/* Signs, mask and real form of z that go out. */
static void activate(const struct forward *f, const struct pass *s, size_t tile)
{
    const struct bnn_block *b = &s->c->block;
    const struct bnn_thresholds *t = f->thresholds + tile;
    const size_t windows = s->piece.rows / BNN_POOL_ROWS, row = s->piece.out_first;
    if (b->stream.out) {
        carry_on(s, tile);
        return;
    }
    if (!is_pooled_after_norm(s->c)) {
        bnn_activate(s->k, b, row, s->piece.norm_rows, tile, s->tile, t);
        return;
    }
    if (!s->piece.windows) return;
    bnn_conv_choose(s, tile, t);
    if (s->c->window.pool == BNN_pool_before_sign) {
        bnn_activate(s->k, b, row, windows, tile, s->chosen, t);
    } else {
        pool_bits(f, s, windows, tile);
        bnn_normalise(s->k, b, row, windows, tile, s->chosen);
    }
}

static void look_at_pieces(const void *context, struct bnn_share pieces)
{
    const struct forward *f = context;
    const struct bnn_conv *c = f->call.c;
    const struct bnn_block *b = &c->block;
    struct pass s = bnn_conv_pass(f->call.k, c);
    for (size_t number = pieces.first; number < pieces.end; number++) {
        s.piece = bnn_piece(c, 0, f->call.batch, number);
        if (f->source != READ) TIMED(b, BNN_zone_gather, bnn_im2col(c, s.piece.first, s.piece.rows, s.patch));
        for (size_t tile = 0; tile < bnn_words(b->outputs); tile++) {
            TIMED(b, BNN_zone_forward, bnn_conv_y(&s, tile, f->source, c->y_forward, 0));
            TIMED(b, f->zone, f->look(f, &s, tile));
        }
    }
}

static void pass_over(struct forward *f, enum bnn_zone zone,
                      void (*look)(const struct forward *f, const struct pass *s, size_t tile))
{
    f->zone = zone, f->look = look;
    bnn_for_shares(f->call.threads, bnn_pieces(f->call.c, f->call.batch), look_at_pieces, f);
}

/* Batch statistics into mean and inverse. */
static void measure(struct forward *f, int first)
{
    const struct conv_call *call = &f->call;
    const struct bnn_block *b = &call->c->block;
    const double n = (double)values_of(call);
    const enum source again = f->source;
    bnn_conv_clear_sums(call);
    f->source = again == READ ? MULTIPLY_AND_KEEP : MULTIPLY;
    pass_over(f, BNN_zone_statistics, sum_y);
    f->source = again;
    f->all = bnn_conv_reduce_sums(call);
    if (b->norm != BNN_norm_l2) {
        pass_over(f, BNN_zone_statistics, sum_deviations);
        bnn_conv_reduce_sums(call);
    }
    for (size_t o = 0; o < b->outputs; o++)
        bnn_follow_statistics(b, o, n, f->all.whole[0][o], f->all.whole[b->norm == BNN_norm_l2 ? 1 : 2][o], first);
    if (!b->magnitude) return;
    pass_over(f, BNN_zone_statistics, sum_magnitudes);
    f->all = bnn_conv_reduce_sums(call);
    for (size_t o = 0; o < b->outputs; o++) b->magnitude[o] = f->all.real[0][o] / n;
}

void bnn_conv_flatten(const uint64_t *from, size_t rows, size_t bits, uint64_t *to)
{
    const size_t words = bnn_words(bits);
    memset(to, 0, bnn_words(rows * bits) * sizeof *to);
    for (size_t row = 0; row < rows; row++)
        for (size_t word = 0; word < words; word++) {
            const size_t at = row * bits + word * BNN_WORD_BITS, shift = at % BNN_WORD_BITS;
            const uint64_t value = from[row * words + word];
            to[at / BNN_WORD_BITS] |= value << shift;
            if (shift && value >> (BNN_WORD_BITS - shift)) to[at / BNN_WORD_BITS + 1] |= value >> (BNN_WORD_BITS - shift);
        }
}

static void flatten_image(const void *context, size_t image)
{
    const struct bnn_conv *c = ((const struct conv_call *)context)->c;
    const size_t rows = bnn_out_positions(&c->window), bits = c->block.outputs;
    TIMED(&c->block, BNN_zone_pack, bnn_conv_flatten(c->block.out_u1 + image * rows * bnn_words(bits), rows, bits,
                                                      c->flat_u1 + image * bnn_words(rows * bits)));
}

void bnn_conv_forward(const struct bnn_kernels *k, const struct bnn_conv *c, size_t batch, int first, int threads)
{
    struct forward f = {.call = {.k = k, .c = c, .batch = batch, .threads = threads},
                        .source = c->y_forward ? READ : MULTIPLY};
    bnn_conv_prepack(&f.call);
    if (c->block.stream.mask) bnn_for(threads, batch, pack_stream, &f.call);
    measure(&f, first);
    TIMED(&c->block, BNN_zone_activate, f.thresholds = bnn_conv_thresholds(c));
    pass_over(&f, BNN_zone_activate, activate);
    if (c->flat_u1) bnn_for(threads, batch, flatten_image, &f.call);
}
