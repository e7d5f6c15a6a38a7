/* Scratch, and y: multiplied, corrected for skipped taps, pooled, kept or read again. */
#include "tile.h"

static inline size_t patch_words(const struct bnn_conv *c) { return bnn_taps(&c->window) * bnn_words(c->window.channels); }

struct pass bnn_conv_pass(const struct bnn_conv *c, unsigned char *base)
{
    const struct bnn_dense *d = &c->dense;
    const size_t row = BNN_CONV_ROWS, tile = row * BNN_TILE;
    unsigned char *at = base;
    struct pass s = {0};
    for (int i = 0; i < BNN_SUMS; i++) s.sums[i] = bnn_cut(&at, d->outputs * sizeof *s.sums[i]);
    for (int i = 0; i < BNN_SUMS; i++) s.real_sums[i] = bnn_cut(&at, d->outputs * sizeof *s.real_sums[i]);
    s.thresholds = bnn_cut(&at, bnn_words(d->outputs) * sizeof *s.thresholds);
    s.panel = bnn_cut(&at, BNN_PANEL_BYTES);
    s.patch = bnn_cut(&at, row * bnn_max(patch_words(c) * sizeof(uint64_t), d->x_i8 ? d->inputs : 0));
    s.tile = bnn_cut(&at, tile * sizeof *s.tile);
    s.chosen = bnn_cut(&at, tile / BNN_POOL_ROWS * sizeof *s.chosen);
    s.bits = bnn_cut(&at, row * sizeof *s.bits);
    s.choice = bnn_cut(&at, row * sizeof *s.choice);
    s.mask = bnn_cut(&at, row * sizeof *s.mask);
    s.bytes = bnn_cut(&at, tile);
    if (d->gradient_type != BNN_i8) {
        s.real = bnn_cut(&at, tile * sizeof *s.real);
        s.pooled = bnn_cut(&at, tile / BNN_POOL_ROWS * sizeof *s.pooled);
    }
    s.size = (size_t)(at - base);
    return s;
}

size_t bnn_conv_scratch(const struct bnn_conv *c)
{
    unsigned char *const nowhere = (unsigned char *)64;
    const size_t pass = bnn_conv_pass(c, nowhere).size;
    return bnn_max(pass, bnn_max(bnn_conv_weight_scratch(c), bnn_conv_input_scratch(c)));
}

static void find_thresholds(const void *context, size_t tile)
{
    const struct bnn_conv *c = ((const struct conv_call *)context)->c;
    bnn_conv_pass(c, bnn_conv_own(c, 0)).thresholds[tile] = thresholds_of(&c->dense, tile);
}

void bnn_conv_find_thresholds(const struct bnn_conv *c, int threads)
{
    bnn_for(threads, bnn_words(c->dense.outputs), find_thresholds, &(struct conv_call){.c = c});
}

void bnn_conv_clear_sums(const struct bnn_conv *c, int threads)
{
    for (int thread = 0; thread < threads; thread++) {
        const struct pass s = bnn_conv_pass(c, bnn_conv_own(c, thread));
        for (int i = 0; i < BNN_SUMS; i++) {
            memset(s.sums[i], 0, c->dense.outputs * sizeof *s.sums[i]);
            memset(s.real_sums[i], 0, c->dense.outputs * sizeof *s.real_sums[i]);
        }
    }
}

struct pass bnn_conv_add_sums(const struct bnn_conv *c, int threads)
{
    const struct pass all = bnn_conv_pass(c, bnn_conv_own(c, 0));
    for (int thread = 1; thread < threads; thread++) {
        const struct pass s = bnn_conv_pass(c, bnn_conv_own(c, thread));
        for (int i = 0; i < BNN_SUMS; i++)
            for (size_t o = 0; o < c->dense.outputs; o++) {
                all.sums[i][o] += s.sums[i][o];
                all.real_sums[i][o] += s.real_sums[i][o];
            }
    }
    return all;
}

/* The sums of the taps that a window at `site` skips. */
static void add_skipped_sums(const struct bnn_conv *c, struct bnn_site site, size_t tile, int32_t *total)
{
    const struct bnn_window *w = &c->window;
    for (size_t tap = 0; tap < bnn_taps(w); tap++) {
        if (tap_inside(w, site, tap / w->kernel, tap % w->kernel)) continue;
        const int32_t *sums = c->tap_sums + tap * c->dense.outputs + tile * BNN_TILE;
        for (size_t o = 0; o < tile_width(c->dense.outputs, tile); o++) total[o] += sums[o];
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
    const size_t positions = bnn_positions(w), width = tile_width(c->dense.outputs, tile);
    const int32_t past = (int32_t)(bnn_taps(w) * (BNN_WORD_BITS * bnn_words(w->channels) - w->channels));
    for (size_t r = 0; past && r < piece->rows; r++)
        for (size_t o = 0; o < width; o++) y[r * BNN_TILE + o] -= past;
    if (!c->tap_sums) return;
    const int by_class = has_edge_classes(w);
    int32_t total[BNN_EDGE_CLASSES][BNN_TILE]; /* of those classes that have been met */
    uint8_t met[BNN_EDGE_CLASSES] = {0};
    for (size_t r = 0, place = piece->first % positions; r < piece->rows; r++, y += BNN_TILE) {
        const struct bnn_site site = c->sites[place];
        if (++place == positions) place = 0;
        if (is_inside(w, site)) continue;
        const size_t class = by_class ? edge_class(w, site) : 0;
        if (!by_class || !met[class]) {
            memset(total[class], 0, sizeof total[class]);
            add_skipped_sums(c, site, tile, total[class]);
            met[class] = 1;
        }
        subtract(y, total[class], width);
    }
}

static void multiply(const struct bnn_kernels *k, const struct bnn_conv *c, const struct pass *s, const struct piece *piece,
                     size_t tile)
{
    const struct bnn_dense *d = &c->dense;
    const size_t width = tile_width(d->outputs, tile), words = patch_words(c);
    if (d->x_i8) {
        k->gemm_i8_u1_i32(s->patch, piece->rows, d->inputs, d->w_t_u1 + tile, bnn_words(d->outputs), width, d->inputs,
                          s->tile, BNN_TILE, s->panel, 0);
    } else {
        k->xnor_gemm_u1_i32(s->patch, piece->rows, words, d->w_u1 + tile * BNN_TILE * words, width, words,
                            words * BNN_WORD_BITS, s->tile, BNN_TILE, s->panel);
        correct(c, piece, tile, s->tile);
    }
}

void bnn_conv_y(const struct bnn_kernels *k, const struct bnn_conv *c, const struct pass *s, const struct piece *piece,
                size_t tile, enum source source, int16_t *kept, int choose)
{
    static const uint8_t largest[BNN_TILE] = {0};
    const struct bnn_dense *d = &c->dense;
    const size_t outputs = d->outputs, words = bnn_words(outputs), width = tile_width(outputs, tile);
    int16_t *there = kept ? kept + piece->norm_first * outputs + tile * BNN_TILE : NULL;
    if (source == READ) {
        k->widen_i16_i32(there, piece->norm_rows, width, outputs, s->tile, BNN_TILE);
        return;
    }
    multiply(k, c, s, piece, tile);
    if (c->window.pool == BNN_pool_before_norm) {
        uint64_t *choice = choose && c->choice ? c->choice + piece->first * words + tile : s->choice;
        k->pool_max_i32(s->tile, piece->norm_rows, width, BNN_TILE, largest, s->tile, BNN_TILE, choice,
                        choice == s->choice ? 1 : words);
    }
    if (source == MULTIPLY_AND_KEEP) k->narrow_i32_i16(s->tile, piece->norm_rows, width, BNN_TILE, there, outputs);
}

/* Before the sign the largest z counts, which is the largest or the smallest y; a gamma of 0 makes all of them equal. */
static void choose_by_value(const struct bnn_kernels *k, const struct bnn_conv *c, const struct pass *s,
                            const struct piece *piece, size_t tile)
{
    const size_t width = tile_width(c->dense.outputs, tile), windows = piece->rows / BNN_POOL_ROWS;
    const float *gamma = c->dense.gamma ? c->dense.gamma + tile * BNN_TILE : NULL;
    uint8_t smallest[BNN_TILE] = {0};
    for (size_t o = 0; gamma && o < width; o++) {
        smallest[o] = gamma[o] < 0.0f;
        if (gamma[o] == 0.0f)
            for (size_t r = 0; r < piece->rows; r++) s->tile[r * BNN_TILE + o] = s->tile[r / 4 * 4 * BNN_TILE + o];
    }
    k->pool_max_i32(s->tile, windows, width, BNN_TILE, smallest, s->chosen, BNN_TILE, s->choice, 1);
}

/* After the sign the first +1 counts, whose bit is 0, or else the first of all. */
static void choose_by_sign(const struct bnn_kernels *k, const struct bnn_conv *c, const struct pass *s,
                           const struct piece *piece, size_t tile, const struct thresholds *t)
{
    const size_t width = tile_width(c->dense.outputs, tile), windows = piece->rows / BNN_POOL_ROWS;
    const uint64_t live = bnn_low_bits(width);
    k->binarise_i32_u1(s->tile, piece->rows, width, BNN_TILE, t->threshold, t->flip, s->bits, 1);
    for (size_t window = 0; window < windows; window++) {
        const uint64_t *b = s->bits + BNN_POOL_ROWS * window;
        uint64_t *choice = s->choice + BNN_POOL_ROWS * window;
        const uint64_t none = b[0] & b[1] & b[2] & b[3];
        choice[0] = (~b[0] | none) & live;
        choice[1] = b[0] & ~b[1] & live;
        choice[2] = b[0] & b[1] & ~b[2] & live;
        choice[3] = b[0] & b[1] & b[2] & ~b[3] & live;
    }
}

static void pick(const struct pass *s, size_t windows, size_t width)
{
    for (size_t window = 0; window < windows; window++)
        for (size_t j = 0; j < BNN_POOL_ROWS; j++)
            for (size_t o = 0; o < width; o++)
                if (s->choice[BNN_POOL_ROWS * window + j] >> o & 1)
                    s->chosen[window * BNN_TILE + o] = s->tile[(BNN_POOL_ROWS * window + j) * BNN_TILE + o];
}

void bnn_conv_choose(const struct bnn_kernels *k, const struct bnn_conv *c, const struct pass *s, const struct piece *piece,
                     size_t tile, const struct thresholds *t)
{
    if (c->window.pool == BNN_pool_before_sign) {
        choose_by_value(k, c, s, piece, tile);
        return;
    }
    choose_by_sign(k, c, s, piece, tile, t);
    /* Signs and masks come from bits; only a real z needs y itself. */
    if (c->dense.out_f32) pick(s, piece->rows / BNN_POOL_ROWS, tile_width(c->dense.outputs, tile));
}
