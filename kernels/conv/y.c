/* y: multiplied, corrected for skipped taps, pooled, kept or read again. */
#include "pass.h"

/* The sums of the taps that a window skips. */
static void add_skipped_sums(const struct bnn_conv *c, struct bnn_origin origin, size_t tile, int32_t *total)
{
    const struct bnn_window *w = &c->window;
    for (size_t tap = 0; tap < bnn_taps(w); tap++) {
        if (tap_inside(w, origin, tap / w->kernel, tap % w->kernel)) continue;
        const int32_t *sums = c->tap_sums + tap * c->block.outputs + tile * BNN_TILE;
        for (size_t o = 0; o < bnn_tile_width(c->block.outputs, tile); o++) total[o] += sums[o];
    }
}

/* y -= total.  Whole tiles, without a loop that counts, are what nearly all are. */
static inline void subtract(int32_t *restrict y, const int32_t *restrict total, size_t width)
{
    if (width == BNN_TILE)
        _Pragma("GCC unroll 64") for (size_t o = 0; o < BNN_TILE; o++) y[o] -= total[o];
    else
        for (size_t o = 0; o < width; o++) y[o] -= total[o];
}

/* Zero bits of skipped taps, and of words past the last channel, were counted as +1 times the sign of W. */
static void correct(const struct bnn_conv *c, const struct piece *piece, size_t tile, int32_t *y)
{
    const struct bnn_window *w = &c->window;
    const size_t positions = bnn_positions(w), width = bnn_tile_width(c->block.outputs, tile);
    const size_t gaps = is_narrow(w) ? 0 : BNN_WORD_BITS * bnn_words(w->channels) - w->channels;
    const int32_t past = (int32_t)(bnn_taps(w) * gaps);
    for (size_t r = 0; past && r < piece->rows; r++)
        for (size_t o = 0; o < width; o++) y[r * BNN_TILE + o] -= past;
    if (!c->tap_sums) return;
    const int by_class = has_edge_classes(w);
    int32_t total[BNN_EDGE_CLASSES][BNN_TILE]; /* of those classes that have been met */
    uint8_t met[BNN_EDGE_CLASSES] = {0};
    for (size_t r = 0, place = piece->first % positions; r < piece->rows; r++, y += BNN_TILE) {
        const struct bnn_origin origin = c->origins[place];
        if (++place == positions) place = 0;
        if (is_inside(w, origin)) continue;
        const size_t class = by_class ? edge_class(w, origin) : 0;
        if (!by_class || !met[class]) {
            memset(total[class], 0, sizeof total[class]);
            add_skipped_sums(c, origin, tile, total[class]);
            met[class] = 1;
        }
        subtract(y, total[class], width);
    }
}

/* Products of signs. */
static void multiply_signs(const struct pass *s, size_t tile)
{
    const struct bnn_block *b = &s->c->block;
    const struct bnn_window *w = &s->c->window;
    const size_t width = bnn_tile_width(b->outputs, tile), words = bnn_patch_words(w);
    const uint64_t *weights = b->w_u1 + tile * BNN_TILE * bnn_taps(w) * bnn_words(w->channels);
    uint64_t joined[BNN_TILE * BNN_NARROW_WORDS];
    if (is_narrow(w)) {
        bnn_join_taps(w, weights, width, joined);
        weights = joined;
    }
    s->k->xnor_gemm_u1_i32(s->patch, s->piece.rows, words, weights, width, words,
                           is_narrow(w) ? b->inputs : words * BNN_WORD_BITS, s->tile, BNN_TILE, s->panel);
    correct(s->c, &s->piece, tile, s->tile);
}

static void multiply(const struct pass *s, size_t tile)
{
    const struct bnn_block *b = &s->c->block;
    const size_t width = bnn_tile_width(b->outputs, tile);
    if (b->x_i8)
        s->k->gemm_i8_u1_i32(s->patch, s->piece.rows, b->inputs, b->w_t_u1 + tile, bnn_words(b->outputs), width, b->inputs,
                             s->tile, BNN_TILE, s->panel, 0);
    else
        multiply_signs(s, tile);
}

/* Pooling before the norm, in place. */
static void pool_products(const struct pass *s, size_t tile, int choose)
{
    static const uint8_t largest[BNN_TILE] = {0};
    const struct bnn_kernels *k = s->k;
    const size_t windows = s->piece.norm_rows, words = bnn_words(s->c->block.outputs);
    const size_t width = bnn_tile_width(s->c->block.outputs, tile);
    const int is_kept = choose && s->c->argmax;
    if (s->c->window.pool == BNN_pool_sum_before_norm)
        k->pool_sum_i32(s->tile, windows, width, BNN_TILE, s->tile, BNN_TILE);
    else
        k->pool_max_i32(s->tile, windows, width, BNN_TILE, largest, s->tile, BNN_TILE,
                        is_kept ? s->c->argmax + s->piece.first * words + tile : s->argmax, is_kept ? words : 1);
}

void bnn_conv_y(const struct pass *s, size_t tile, enum source source, int16_t *kept, int choose)
{
    const struct bnn_kernels *k = s->k;
    const struct piece *piece = &s->piece;
    const size_t outputs = s->c->block.outputs, width = bnn_tile_width(outputs, tile);
    int16_t *there = kept ? kept + piece->norm_first * outputs + tile * BNN_TILE : NULL;
    if (source == READ) {
        k->widen_i16_i32(there, piece->norm_rows, width, outputs, s->tile, BNN_TILE);
        return;
    }
    multiply(s, tile);
    if (bnn_pools_before_norm(&s->c->window)) pool_products(s, tile, choose);
    if (source == MULTIPLY_AND_KEEP) k->narrow_i32_i16(s->tile, piece->norm_rows, width, BNN_TILE, there, outputs);
}

/* Before the sign the largest z counts, which is the largest or the smallest y; a gamma of 0 makes all of them equal. */
static void choose_by_value(const struct pass *s, size_t tile)
{
    const struct bnn_block *b = &s->c->block;
    const size_t width = bnn_tile_width(b->outputs, tile), rows = s->piece.rows;
    const float *gamma = b->gamma ? b->gamma + tile * BNN_TILE : NULL;
    uint8_t smallest[BNN_TILE] = {0};
    for (size_t o = 0; gamma && o < width; o++) {
        smallest[o] = gamma[o] < 0.0f;
        if (gamma[o] == 0.0f)
            for (size_t r = 0; r < rows; r++) s->tile[r * BNN_TILE + o] = s->tile[r / 4 * 4 * BNN_TILE + o];
    }
    s->k->pool_max_i32(s->tile, rows / BNN_POOL_ROWS, width, BNN_TILE, smallest, s->chosen, BNN_TILE, s->argmax, 1);
}

/* After the sign the first +1 counts, whose bit is 0, or else the first of all. */
static void choose_by_sign(const struct pass *s, size_t tile, const struct bnn_thresholds *t)
{
    const size_t width = bnn_tile_width(s->c->block.outputs, tile);
    const uint64_t live = bnn_low_bits(width);
    s->k->binarise_i32_u1(s->tile, s->piece.rows, width, BNN_TILE, t->threshold, t->flip, s->bits, 1);
    for (size_t row = 0; row < s->piece.rows; row += BNN_POOL_ROWS) {
        const uint64_t *b = s->bits + row;
        uint64_t *argmax = s->argmax + row;
        const uint64_t none = b[0] & b[1] & b[2] & b[3];
        argmax[0] = (~b[0] | none) & live;
        argmax[1] = b[0] & ~b[1] & live;
        argmax[2] = b[0] & b[1] & ~b[2] & live;
        argmax[3] = b[0] & b[1] & b[2] & ~b[3] & live;
    }
}

static void pick(const struct pass *s, size_t width)
{
    for (size_t row = 0; row < s->piece.rows; row++)
        for (size_t o = 0; o < width; o++)
            if (s->argmax[row] >> o & 1) s->chosen[row / BNN_POOL_ROWS * BNN_TILE + o] = s->tile[row * BNN_TILE + o];
}

void bnn_conv_choose(const struct pass *s, size_t tile, const struct bnn_thresholds *t)
{
    if (s->c->window.pool == BNN_pool_before_sign) {
        choose_by_value(s, tile);
        return;
    }
    choose_by_sign(s, tile, t);
    /* Signs and masks come from bits; only a real z needs y itself. */
    if (s->c->block.out_f32) pick(s, bnn_tile_width(s->c->block.outputs, tile));
}
