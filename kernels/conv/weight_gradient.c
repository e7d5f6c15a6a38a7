/* dW of the first layer, and from real gradients: every thread sums blocks over its share of the batch; then the threads'
 * sums are added and consumed.  What else there is, integers by signs, is in weight_signs.c. */
#include "weights.h"

struct weight_scratch {
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

static struct weight_scratch carve_weights(const struct bnn_conv *c, unsigned char *base)
{
    const size_t taps = bnn_taps(&c->window), piece = BNN_CONV_CHUNK * BNN_TILE, columns = bnn_block_columns(c);
    const int real = c->dense.gradient_type != BNN_i8, first = c->dense.x_i8 != NULL;
    unsigned char *at = base;
    struct weight_scratch s = {0};
    s.sums = bnn_cut(&at, BNN_TILE * columns * sizeof *s.sums);
    if (first) s.patch = bnn_cut(&at, BNN_CONV_CHUNK * c->dense.inputs);
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

static int is_signs(const struct bnn_conv *c) { return c->dense.gradient_type == BNN_i8 && !c->dense.x_i8; }

size_t bnn_conv_weight_scratch(const struct bnn_conv *c)
{
    return is_signs(c) ? bnn_conv_signs_scratch(c) : carve_weights(c, (unsigned char *)64).size;
}

static void add_bytes(const struct bnn_kernels *k, const struct bnn_conv *c, const struct weight_scratch *s,
                      const struct bnn_block *b, size_t rows)
{
    const size_t columns = bnn_block_columns(c), inputs = c->dense.inputs;
    int32_t *product = s->product;
    k->gemm_i8_i8_i32(s->dy_t, b->outputs, BNN_CONV_CHUNK, s->patch, inputs, inputs, rows, product, columns, s->panel, 0);
    for (size_t o = 0; o < b->outputs; o++)
        for (size_t i = 0; i < inputs; i++) s->wide[o * columns + i] += product[o * columns + i];
}

static void add_piece_i8(const struct bnn_kernels *k, const struct bnn_conv *c, const struct weight_scratch *s,
                         const struct bnn_block *b, size_t first, size_t rows)
{
    const struct bnn_dense *d = &c->dense;
    const struct piece piece = {.first = first, .rows = rows};
    size_t stride = 0;
    TIMED(d, BNN_phase_tables, {
        const int8_t *dy = bnn_conv_dy(k, c, first, rows, b->output, s->dy, &stride);
        k->transpose_i8(dy, rows, b->outputs, stride, s->dy_t, BNN_CONV_CHUNK);
    });
    TIMED(d, BNN_phase_gather, bnn_gather(c, &piece, s->patch));
    TIMED(d, BNN_phase_weight_gradient, add_bytes(k, c, s, b, rows));
}

/* Signs of a tap and a word as float32, 0 where the tap lies outside the image. */
static void expand_tap(const struct bnn_kernels *k, const struct bnn_conv *c, const struct weight_scratch *s,
                       const struct bnn_block *b, size_t first, size_t rows, size_t tap, size_t word)
{
    const struct bnn_window *w = &c->window;
    const size_t positions = bnn_positions(w), taps = bnn_taps(w), width = bnn_channels_of(c, b->word + word);
    k->expand_u1_f32(s->words + tap * b->words + word, taps * b->words, rows, width, s->operand, BNN_TILE);
    if (!c->tap_sums) return;
    for (size_t r = 0, place = first % positions; r < rows; r++) {
        if (!tap_inside(w, c->sites[place], tap / w->kernel, tap % w->kernel))
            memset(s->operand + r * BNN_TILE, 0, width * sizeof *s->operand);
        if (++place == positions) place = 0;
    }
}

/* sums += dY^T * operand, `width` columns from `column` on. */
static void add_product_f32(const struct bnn_kernels *k, const struct bnn_conv *c, const struct weight_scratch *s,
                            const struct bnn_block *b, size_t rows, size_t column, size_t width)
{
    float *product = s->product, *sums = (float *)s->sums + column;
    k->gemm_f32(s->dy_f32, b->outputs, 1, BNN_TILE, s->operand, BNN_TILE, width, rows, product, BNN_TILE);
    for (size_t o = 0; o < b->outputs; o++)
        for (size_t i = 0; i < width; i++) sums[o * bnn_block_columns(c) + i] += product[o * BNN_TILE + i];
}

static void add_piece_f32(const struct bnn_kernels *k, const struct bnn_conv *c, const struct weight_scratch *s,
                          const struct bnn_block *b, size_t first, size_t rows)
{
    const size_t inputs = c->dense.inputs;
    bnn_conv_dy_f32(k, c, first, rows, b->output, s->pooled, s->dy_f32);
    if (c->dense.x_i8) {
        const struct piece piece = {.first = first, .rows = rows};
        bnn_gather(c, &piece, s->patch);
        for (size_t column = 0; column < inputs; column += BNN_TILE) {
            const size_t width = bnn_min(BNN_TILE, inputs - column);
            k->convert_i8_f32((const int8_t *)s->patch + column, inputs, rows, width, s->operand, BNN_TILE);
            add_product_f32(k, c, s, b, rows, column, width);
        }
        return;
    }
    bnn_gather_words(c, first, rows, b->word, b->words, s->words);
    for (size_t tap = 0; tap < bnn_taps(&c->window); tap++)
        for (size_t i = 0; i < b->words; i++) {
            expand_tap(k, c, s, b, first, rows, tap, i);
            add_product_f32(k, c, s, b, rows, (tap * bnn_block_words(c) + i) * BNN_TILE, bnn_channels_of(c, b->word + i));
        }
}

/* A block's rows of dW at one tap (first layer: of all taps), from `column` of the sums on, into storage or weights. */
static void consume(const struct bnn_kernels *k, const struct bnn_conv *c, const struct bnn_dense_step *step,
                    struct bnn_place place, size_t rows, size_t width, const int32_t *sums)
{
    const size_t columns = bnn_block_columns(c);
    if (c->dense.gradient_type == BNN_i8) {
        bnn_dense_consume_i32(k, &c->dense, step, place, rows, width, sums, columns);
        return;
    }
    float gradient[BNN_UPDATE_ROWS * BNN_TILE];
    for (size_t r = 0; r < rows; r++) memcpy(gradient + r * BNN_TILE, sums + r * columns, width * sizeof *gradient);
    bnn_dense_consume(k, &c->dense, step, place, rows, width, gradient);
}

/* Adds the threads' sums of some rows of a block to the first one's. */
static void add_threads(const struct bnn_conv *c, size_t row, size_t rows, int threads)
{
    const size_t at = row * bnn_block_columns(c), count = rows * bnn_block_columns(c);
    const struct weight_scratch s = carve_weights(c, bnn_conv_own(c, 0));
    for (int thread = 1; thread < threads; thread++) {
        const struct weight_scratch other = carve_weights(c, bnn_conv_own(c, thread));
        for (size_t i = at; s.wide && i < at + count; i++) s.wide[i] += other.wide[i];
        if (c->dense.gradient_type == BNN_i8)
            for (size_t i = at; i < at + count; i++) s.sums[i] += other.sums[i];
        else
            for (size_t i = at; i < at + count; i++) ((float *)s.sums)[i] += ((const float *)other.sums)[i];
    }
    /* Nothing that is far beyond the usual can matter. */
    for (size_t i = at; s.wide && i < at + count; i++)
        s.sums[i] = (int32_t)(s.wide[i] > INT32_MAX ? INT32_MAX : s.wide[i] < -INT32_MAX ? -INT32_MAX : s.wide[i]);
}

/* Uses some rows of a block. */
static void finish_rows(const struct bnn_kernels *k, const struct bnn_conv *c, const struct bnn_dense_step *step,
                        const struct bnn_block *b, size_t row, size_t rows, int threads)
{
    const struct bnn_dense *d = &c->dense;
    const size_t columns = bnn_block_columns(c), taps = bnn_taps(&c->window), output = b->output + row;
    int32_t *sums = carve_weights(c, bnn_conv_own(c, 0)).sums + row * columns;
    add_threads(c, row, rows, threads);
    if (d->x_i8) {
        for (size_t column = 0; column < d->inputs; column += BNN_TILE)
            consume(k, c, step, bnn_dense_place(d, output, column), rows, bnn_min(BNN_TILE, d->inputs - column), sums + column);
        return;
    }
    for (size_t tap = 0; tap < taps; tap++)
        for (size_t i = 0; i < b->words; i++)
            consume(k, c, step, bnn_block_place(c, b, row, tap, i), rows, bnn_channels_of(c, b->word + i),
                    sums + (tap * bnn_block_words(c) + i) * BNN_TILE);
}

struct weight_block {
    const struct bnn_kernels *k;
    const struct bnn_conv *c;
    const struct bnn_dense_step *step;
    const struct bnn_block *b;
    size_t positions;
    int threads;
};

static void clear_own_sums(const void *context)
{
    const struct bnn_conv *c = ((const struct weight_block *)context)->c;
    const struct weight_scratch s = carve_weights(c, bnn_conv_own(c, bnn_thread()));
    memset(s.sums, 0, BNN_TILE * bnn_block_columns(c) * sizeof *s.sums);
    if (s.wide) memset(s.wide, 0, BNN_TILE * bnn_block_columns(c) * sizeof *s.wide);
}

static void add_piece(const void *context, size_t number)
{
    const struct weight_block *w = context;
    const struct bnn_dense *d = &w->c->dense;
    const struct weight_scratch s = carve_weights(w->c, bnn_conv_own(w->c, bnn_thread()));
    const size_t first = number * BNN_CONV_CHUNK, rows = bnn_min(BNN_CONV_CHUNK, w->positions - first);
    if (d->gradient_type == BNN_i8) add_piece_i8(w->k, w->c, &s, w->b, first, rows);
    else TIMED(d, BNN_phase_weight_gradient, add_piece_f32(w->k, w->c, &s, w->b, first, rows));
}

static void finish_some_rows(const void *context, size_t number)
{
    const struct weight_block *w = context;
    const size_t row = number * BNN_UPDATE_ROWS, rows = bnn_min(BNN_UPDATE_ROWS, w->b->outputs - row);
    TIMED(&w->c->dense, BNN_phase_update, finish_rows(w->k, w->c, w->step, w->b, row, rows, w->threads));
}

static void weight_block(const struct bnn_kernels *k, const struct bnn_conv *c, size_t positions,
                         const struct bnn_dense_step *step, const struct bnn_block *b, int threads)
{
    const struct weight_block block = {k, c, step, b, positions, threads};
    bnn_run(threads, clear_own_sums, &block);
    bnn_for(threads, bnn_ceil_div(positions, BNN_CONV_CHUNK), add_piece, &block);
    bnn_for(threads, bnn_ceil_div(b->outputs, BNN_UPDATE_ROWS), finish_some_rows, &block);
}

void bnn_conv_weight_gradient(const struct bnn_kernels *k, const struct bnn_conv *c, size_t batch,
                              const struct bnn_dense_step *step, int threads)
{
    const size_t positions = batch * bnn_positions(&c->window);
    const size_t words = c->dense.x_i8 ? 1 : bnn_words(c->window.channels), each = c->dense.x_i8 ? 1 : bnn_block_words(c);
    bnn_dense_clear_magnitudes(&c->dense);
    for (size_t output = 0; output < c->dense.outputs; output += BNN_TILE)
        for (size_t word = 0; word < words; word += each) {
            const struct bnn_block b = {output, bnn_min(BNN_TILE, c->dense.outputs - output), word,
                                    bnn_min(each, words - word), step->limit};
            if (is_signs(c)) bnn_conv_weight_signs(k, c, positions, step, &b, threads);
            else weight_block(k, c, positions, step, &b, threads);
        }
    bnn_dense_follow_magnitudes(&c->dense, step);
}
