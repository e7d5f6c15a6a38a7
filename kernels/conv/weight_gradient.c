/* dW of the first layer, and from real gradients: every thread sums blocks over its share of the batch; then the threads'
 * sums are added and consumed.  What else there is, integers by signs, is in weight_signs.c. */
#include "../block/gradient.h"
#include "weight_block.h"

struct scratch {
    int32_t *sums;    /* [BNN_TILE][columns]; as float32 for real gradients */
    int64_t *wide;    /* the same of a first layer's int8 products: 128 * 127 times the positions of a batch */
    int8_t *dy, *dy_t; /* first layer: [BNN_CONV_CHUNK][BNN_TILE], [BNN_TILE][BNN_CONV_CHUNK] */
    void *panel;      /* BNN_PANEL_BYTES */
    void *patch;      /* first layer: [BNN_CONV_CHUNK][taps*I] int8 */
    uint64_t *words;  /* others: [BNN_CONV_CHUNK][taps][words] */
    void *product;    /* [BNN_TILE][columns of one product] */
    float *dy_f32, *pooled, *operand; /* real: [BNN_CONV_CHUNK][BNN_TILE], a quarter of it, and again */
    size_t size;
};

static struct scratch carve(const struct bnn_conv *c, unsigned char *base)
{
    const size_t taps = bnn_taps(&c->window), piece = BNN_CONV_CHUNK * BNN_TILE, columns = bnn_block_columns(c);
    const int real = c->block.gradient_type != BNN_i8, first = c->block.x_i8 != NULL;
    unsigned char *at = base;
    struct scratch s = {0};
    s.sums = bnn_cut(&at, BNN_TILE * columns * sizeof *s.sums);
    if (first) s.patch = bnn_cut(&at, BNN_CONV_CHUNK * c->block.inputs);
    else s.words = bnn_cut(&at, BNN_CONV_CHUNK * taps * bnn_block_words(c) * sizeof *s.words);
    s.product = bnn_cut(&at, BNN_TILE * (first ? columns : BNN_TILE) * sizeof(int32_t));
    if (real) {
        s.dy_f32 = bnn_cut(&at, piece * sizeof *s.dy_f32);
        s.pooled = bnn_cut(&at, piece / BNN_POOL_ROWS * sizeof *s.pooled);
        s.operand = bnn_cut(&at, piece * sizeof *s.operand);
    } else {
        s.wide = bnn_cut(&at, BNN_TILE * columns * sizeof *s.wide);
        s.dy = bnn_cut(&at, piece);
        s.dy_t = bnn_cut(&at, piece);
        s.panel = bnn_cut(&at, BNN_PANEL_BYTES);
    }
    s.size = (size_t)(at - base);
    return s;
}

static int is_signs(const struct bnn_conv *c) { return c->block.gradient_type == BNN_i8 && !c->block.x_i8; }

size_t bnn_conv_weight_scratch(const struct bnn_conv *c)
{
    return is_signs(c) ? bnn_conv_signs_scratch(c) : carve(c, BNN_NOWHERE).size;
}

static void add_bytes(const struct weight_block *w, const struct scratch *s, size_t rows)
{
    const struct bnn_conv *c = w->call->c;
    const size_t columns = bnn_block_columns(c), inputs = c->block.inputs;
    int32_t *product = s->product;
    w->call->k->gemm_i8_i8_i32(s->dy_t, w->outputs, BNN_CONV_CHUNK, s->patch, inputs, inputs, rows, product, columns, s->panel,
                               0);
    for (size_t o = 0; o < w->outputs; o++)
        for (size_t i = 0; i < inputs; i++) s->wide[o * columns + i] += product[o * columns + i];
}

static void add_piece_i8(const struct weight_block *w, const struct scratch *s, size_t first, size_t rows)
{
    const struct bnn_kernels *k = w->call->k;
    const struct bnn_conv *c = w->call->c;
    size_t stride = 0;
    TIMED(&c->block, BNN_zone_tables, {
        const int8_t *dy = bnn_conv_dy(k, c, first, rows, w->output, s->dy, &stride);
        k->transpose_i8(dy, rows, w->outputs, stride, s->dy_t, BNN_CONV_CHUNK);
    });
    TIMED(&c->block, BNN_zone_gather, bnn_im2col(c, first, rows, s->patch));
    TIMED(&c->block, BNN_zone_weight_gradient, add_bytes(w, s, rows));
}

/* Signs of a tap and a word as float32, 0 where the tap lies outside the image. */
static void expand_tap(const struct weight_block *w, const struct scratch *s, size_t first, size_t rows, size_t tap,
                       size_t word)
{
    const struct bnn_conv *c = w->call->c;
    const struct bnn_window *window = &c->window;
    const size_t positions = bnn_positions(window), taps = bnn_taps(window), width = bnn_block_width(w, word);
    w->call->k->expand_u1_f32(s->words + tap * w->words + word, taps * w->words, rows, width, s->operand, BNN_TILE);
    if (!c->tap_sums) return;
    for (size_t r = 0, place = first % positions; r < rows; r++) {
        if (!tap_inside(window, c->origins[place], tap / window->kernel, tap % window->kernel))
            memset(s->operand + r * BNN_TILE, 0, width * sizeof *s->operand);
        if (++place == positions) place = 0;
    }
}

/* sums += dY^T * operand, `width` columns from `column` on. */
static void add_product_f32(const struct weight_block *w, const struct scratch *s, size_t rows, size_t column, size_t width)
{
    const size_t columns = bnn_block_columns(w->call->c);
    float *product = s->product, *sums = (float *)s->sums + column;
    w->call->k->gemm_f32(s->dy_f32, w->outputs, 1, BNN_TILE, s->operand, BNN_TILE, width, rows, product, BNN_TILE);
    for (size_t o = 0; o < w->outputs; o++)
        for (size_t i = 0; i < width; i++) sums[o * columns + i] += product[o * BNN_TILE + i];
}

static void add_piece_f32(const struct weight_block *w, const struct scratch *s, size_t first, size_t rows)
{
    const struct bnn_kernels *k = w->call->k;
    const struct bnn_conv *c = w->call->c;
    const size_t inputs = c->block.inputs;
    bnn_conv_dy_f32(k, c, first, rows, w->output, s->pooled, s->dy_f32);
    if (c->block.x_i8) {
        bnn_im2col(c, first, rows, s->patch);
        for (size_t column = 0; column < inputs; column += BNN_TILE) {
            const size_t width = bnn_min(BNN_TILE, inputs - column);
            k->convert_i8_f32((const int8_t *)s->patch + column, inputs, rows, width, s->operand, BNN_TILE);
            add_product_f32(w, s, rows, column, width);
        }
        return;
    }
    bnn_im2col_words(c, first, rows, w->word, w->words, s->words);
    for (size_t tap = 0; tap < bnn_taps(&c->window); tap++)
        for (size_t i = 0; i < w->words; i++) {
            expand_tap(w, s, first, rows, tap, i);
            add_product_f32(w, s, rows, bnn_block_column(c, tap, i), bnn_block_width(w, i));
        }
}

static void add_pieces(const void *context, struct bnn_share pieces)
{
    const struct weight_block *w = context;
    const struct bnn_block *b = &w->call->c->block;
    const struct scratch s = carve(w->call->c, bnn_scratch_of(b, bnn_thread()));
    for (size_t number = pieces.first; number < pieces.end; number++) {
        const size_t first = number * BNN_CONV_CHUNK, rows = bnn_min(BNN_CONV_CHUNK, w->positions - first);
        if (b->gradient_type == BNN_i8) add_piece_i8(w, &s, first, rows);
        else TIMED(b, BNN_zone_weight_gradient, add_piece_f32(w, &s, first, rows));
    }
}

static void clear_own_sums(const void *context)
{
    const struct bnn_conv *c = ((const struct weight_block *)context)->call->c;
    const struct scratch s = carve(c, bnn_scratch_of(&c->block, bnn_thread()));
    memset(s.sums, 0, BNN_TILE * bnn_block_columns(c) * sizeof *s.sums);
    if (s.wide) memset(s.wide, 0, BNN_TILE * bnn_block_columns(c) * sizeof *s.wide);
}

/* A block's rows of dW at one tap (first layer: of all taps), from `sums` on, into storage or weights. */
static void consume(const struct weight_block *w, struct bnn_place place, size_t rows, size_t width, const int32_t *sums)
{
    const struct bnn_block *b = &w->call->c->block;
    const size_t columns = bnn_block_columns(w->call->c);
    if (b->gradient_type == BNN_i8) {
        bnn_consume_i32(w->call->k, b, w->call->step, place, rows, width, sums, columns);
        return;
    }
    float gradient[BNN_FINISHED_ROWS * BNN_TILE];
    for (size_t r = 0; r < rows; r++) memcpy(gradient + r * BNN_TILE, sums + r * columns, width * sizeof *gradient);
    bnn_consume(w->call->k, b, w->call->step, place, rows, width, gradient);
}

/* Adds the threads' sums of some rows of a block to those of the first one. */
static void add_threads(const struct weight_block *w, const struct scratch *s, size_t row, size_t rows)
{
    const struct bnn_block *b = &w->call->c->block;
    const size_t columns = bnn_block_columns(w->call->c), at = row * columns, end = at + rows * columns;
    for (int thread = 1; thread < w->call->threads; thread++) {
        const size_t further = (size_t)thread * b->scratch_stride;
        const int64_t *wide = (const int64_t *)((const unsigned char *)s->wide + further);
        const float *real = (const float *)((const unsigned char *)s->sums + further);
        for (size_t i = at; s->wide && i < end; i++) s->wide[i] += wide[i];
        for (size_t i = at; !s->wide && i < end; i++) ((float *)s->sums)[i] += real[i];
    }
    /* Nothing that is far beyond the usual can matter. */
    for (size_t i = at; s->wide && i < end; i++)
        s->sums[i] = (int32_t)(s->wide[i] > INT32_MAX ? INT32_MAX : s->wide[i] < -INT32_MAX ? -INT32_MAX : s->wide[i]);
}

/* Uses some rows of a block. */
static void finish_rows(const struct weight_block *w, const struct scratch *s, size_t row, size_t rows)
{
    const struct bnn_conv *c = w->call->c;
    const struct bnn_block *b = &c->block;
    const int32_t *sums = s->sums + row * bnn_block_columns(c);
    add_threads(w, s, row, rows);
    for (size_t tile = 0; b->x_i8 && tile < bnn_words(b->inputs); tile++)
        consume(w, bnn_place_of(b, b->inputs, w->output + row, 0, tile), rows, bnn_tile_width(b->inputs, tile),
                sums + tile * BNN_TILE);
    for (size_t tap = 0; !b->x_i8 && tap < bnn_taps(&c->window); tap++)
        for (size_t i = 0; i < w->words; i++)
            consume(w, bnn_block_place(w, row, tap, i), rows, bnn_block_width(w, i), sums + bnn_block_column(c, tap, i));
}

static void finish_share(const void *context, struct bnn_share share)
{
    const struct weight_block *w = context;
    const struct bnn_block *b = &w->call->c->block;
    const struct scratch first = carve(w->call->c, bnn_scratch_of(b, 0));
    for (size_t number = share.first; number < share.end; number++) {
        const size_t row = number * BNN_FINISHED_ROWS;
        TIMED(b, BNN_zone_update, finish_rows(w, &first, row, bnn_min(BNN_FINISHED_ROWS, w->outputs - row)));
    }
}

static void sum_block(const struct weight_block *w)
{
    const int threads = w->call->threads;
    bnn_run(threads, clear_own_sums, w);
    bnn_for_shares(threads, bnn_ceil_div(w->positions, BNN_CONV_CHUNK), add_pieces, w);
    bnn_for_shares(threads, bnn_ceil_div(w->outputs, BNN_FINISHED_ROWS), finish_share, w);
}

void bnn_conv_weight_gradient(const struct conv_call *call)
{
    const struct bnn_conv *c = call->c;
    const struct bnn_block *b = &c->block;
    const size_t words = b->x_i8 ? 1 : bnn_words(c->window.channels), each = b->x_i8 ? 1 : bnn_block_words(c);
    bnn_clear_magnitudes(b);
    for (size_t output = 0; output < b->outputs; output += BNN_TILE)
        for (size_t word = 0; word < words; word += each) {
            const struct weight_block w = {call, output, bnn_min(BNN_TILE, b->outputs - output), word,
                                           bnn_min(each, words - word), call->batch * bnn_positions(&c->window)};
            if (is_signs(c)) bnn_conv_weight_signs(&w);
            else sum_block(&w);
        }
    bnn_follow_magnitudes(b, call->step);
}
