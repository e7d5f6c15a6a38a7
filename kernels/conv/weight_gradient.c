/* dW: a block of 64 output channels by some input channels at all taps is summed over the whole batch, in pieces of
 * BNN_CONV_CHUNK positions, by every thread over its share of them; then the threads' sums are added and consumed.
 * dY of a piece is transposed: its rows become the left factors, as look-up tables for packed inputs. */
#include "tile.h"

struct weight_scratch {
    int32_t *sums;      /* [BNN_TILE][columns]; as float32 for real gradients */
    int64_t *wide;      /* the same of a first layer's int8 products: 128 * 127 times the positions of a batch */
    int32_t *skipped;   /* [taps][BNN_TILE]: sums of dY over positions whose tap lies outside the image */
    int8_t *dy;         /* [BNN_CONV_CHUNK][BNN_TILE] */
    int8_t *dy_t;       /* [BNN_TILE][BNN_CONV_CHUNK] */
    uint8_t *tables;    /* [BNN_TILE] rows of tables */
    const uint8_t **rows; /* [BNN_TILE] */
    uint8_t *panel;     /* indices of a tap's signs, or BNN_PANEL_BYTES */
    uint64_t *words;    /* [BNN_CONV_CHUNK][taps][words] */
    void *patch;        /* first layer: [BNN_CONV_CHUNK][taps*I] int8 */
    void *product;      /* [BNN_TILE][columns of one product] */
    float *dy_f32, *pooled, *operand; /* real: [BNN_CONV_CHUNK][BNN_TILE], a quarter of it, and again */
    size_t size;
};

/* Words of input channels that a block takes at a time. */
static size_t block_words(const struct bnn_conv *c)
{
    const size_t few = bnn_taps(&c->window) > 9 ? 1 : BNN_CONV_DW_WORDS;
    return bnn_min(few, bnn_words(c->window.channels));
}

/* Columns of a block. */
static size_t block_columns(const struct bnn_conv *c)
{
    return c->dense.x_i8 ? bnn_round_up(c->dense.inputs, BNN_TILE) : bnn_taps(&c->window) * block_words(c) * BNN_TILE;
}

static struct weight_scratch carve_weights(const struct bnn_conv *c, unsigned char *base)
{
    const size_t taps = bnn_taps(&c->window), piece = BNN_CONV_CHUNK * BNN_TILE;
    const int real = c->dense.gradient_type != BNN_i8, first = c->dense.x_i8 != NULL;
    unsigned char *at = base;
    struct weight_scratch s = {0};
    s.sums = bnn_cut(&at, BNN_TILE * block_columns(c) * sizeof *s.sums);
    if (first && !real) s.wide = bnn_cut(&at, BNN_TILE * block_columns(c) * sizeof *s.wide);
    s.skipped = bnn_cut(&at, taps * BNN_TILE * sizeof *s.skipped);
    s.dy = bnn_cut(&at, piece);
    s.dy_t = bnn_cut(&at, piece);
    if (!real && !first) s.tables = bnn_cut(&at, BNN_TILE * bnn_lookup_table_bytes(BNN_CONV_CHUNK));
    s.rows = bnn_cut(&at, BNN_TILE * sizeof *s.rows);
    s.panel = bnn_cut(&at, first ? BNN_PANEL_BYTES : bnn_lookup_groups(BNN_CONV_CHUNK) * BNN_LOOKUP_PANEL_BYTES);
    if (!first) s.words = bnn_cut(&at, BNN_CONV_CHUNK * taps * block_words(c) * sizeof *s.words);
    if (first) s.patch = bnn_cut(&at, BNN_CONV_CHUNK * c->dense.inputs);
    s.product = bnn_cut(&at, BNN_TILE * (first ? block_columns(c) : BNN_TILE) * sizeof(int32_t));
    if (real) {
        s.dy_f32 = bnn_cut(&at, piece * sizeof *s.dy_f32);
        s.pooled = bnn_cut(&at, piece / BNN_POOL_ROWS * sizeof *s.pooled);
        s.operand = bnn_cut(&at, piece * sizeof *s.operand);
    }
    s.size = (size_t)(at - base);
    return s;
}

size_t bnn_conv_weight_scratch(const struct bnn_conv *c) { return carve_weights(c, (unsigned char *)64).size; }

/* A block of dW, and the piece of the batch that is added to it. */
struct block {
    size_t output, outputs; /* channels from ... on, and how many */
    size_t word, words;     /* words of input channels; none in the first layer */
    int limit;
};

static size_t channels_of(const struct bnn_conv *c, size_t word)
{
    return bnn_min(BNN_TILE, c->window.channels - word * BNN_TILE);
}

/* What zero bits of skipped taps will have added to the sums. */
static void add_skipped(const struct bnn_conv *c, const struct block *b, size_t first, size_t rows, const int8_t *dy,
                        size_t stride, int32_t *skipped)
{
    const struct bnn_window *w = &c->window;
    const size_t positions = bnn_positions(w);
    for (size_t r = 0, place = first % positions; r < rows; r++) {
        const struct bnn_site site = c->sites[place];
        if (!is_inside(w, site))
            for (size_t tap = 0; tap < bnn_taps(w); tap++)
                if (!tap_inside(w, site, tap / w->kernel, tap % w->kernel))
                    for (size_t o = 0; o < b->outputs; o++) skipped[tap * BNN_TILE + o] += dy[r * stride + o];
        if (++place == positions) place = 0;
    }
}

static void add_bits(const struct bnn_kernels *k, const struct bnn_conv *c, const struct weight_scratch *s,
                     const struct block *b, size_t rows)
{
    const size_t taps = bnn_taps(&c->window), columns = block_columns(c), groups = bnn_lookup_groups(rows);
    const size_t row_bytes = bnn_lookup_table_bytes(BNN_CONV_CHUNK);
    const int parts = b->limit > BNN_LOOKUP_LIMIT ? 2 : 1;
    for (int part = 0; part < parts; part++) {
        const enum bnn_lookup_part which = parts == 1 ? BNN_lookup_whole : part ? BNN_lookup_high : BNN_lookup_low;
        TIMED(&c->dense, BNN_phase_tables,
              k->lookup_tables_i8(s->dy_t, b->outputs, BNN_CONV_CHUNK, rows, which, s->tables, row_bytes));
        for (size_t tap = 0; tap < taps; tap++)
            for (size_t i = 0; i < b->words; i++) {
                const size_t width = channels_of(c, b->word + i);
                TIMED(&c->dense, BNN_phase_tables,
                      k->lookup_lay_u1(s->words + tap * b->words + i, taps * b->words, rows, width, s->panel));
                TIMED(&c->dense, BNN_phase_weight_gradient,
                      k->lookup_gemm_i32(s->rows, b->outputs, 1, groups, s->panel, width, part ? 4 : 1,
                                         s->sums + (tap * block_words(c) + i) * BNN_TILE, columns, 1));
            }
    }
}

static void add_bytes(const struct bnn_kernels *k, const struct bnn_conv *c, const struct weight_scratch *s,
                      const struct block *b, size_t rows)
{
    const size_t columns = block_columns(c), inputs = c->dense.inputs;
    int32_t *product = s->product;
    k->gemm_i8_i8_i32(s->dy_t, b->outputs, BNN_CONV_CHUNK, s->patch, inputs, inputs, rows, product, columns, s->panel, 0);
    for (size_t o = 0; o < b->outputs; o++)
        for (size_t i = 0; i < inputs; i++) s->wide[o * columns + i] += product[o * columns + i];
}

static void add_piece_i8(const struct bnn_kernels *k, const struct bnn_conv *c, const struct weight_scratch *s,
                         const struct block *b, size_t first, size_t rows)
{
    const struct bnn_dense *d = &c->dense;
    size_t stride = 0;
    TIMED(d, BNN_phase_tables, {
        const int8_t *dy = bnn_conv_dy(k, c, first, rows, b->output, s->dy, &stride);
        k->transpose_i8(dy, rows, b->outputs, stride, s->dy_t, BNN_CONV_CHUNK);
        if (c->tap_sums) add_skipped(c, b, first, rows, dy, stride, s->skipped);
    });
    if (d->x_i8) {
        const struct piece piece = {.first = first, .rows = rows};
        TIMED(d, BNN_phase_gather, bnn_gather(c, &piece, s->patch));
        TIMED(d, BNN_phase_weight_gradient, add_bytes(k, c, s, b, rows));
    } else {
        TIMED(d, BNN_phase_gather, bnn_gather_words(c, first, rows, b->word, b->words, s->words));
        add_bits(k, c, s, b, rows);
    }
}

/* Signs of a tap and a word as float32, 0 where the tap lies outside the image. */
static void expand_tap(const struct bnn_kernels *k, const struct bnn_conv *c, const struct weight_scratch *s,
                       const struct block *b, size_t first, size_t rows, size_t tap, size_t word)
{
    const struct bnn_window *w = &c->window;
    const size_t positions = bnn_positions(w), taps = bnn_taps(w), width = channels_of(c, b->word + word);
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
                            const struct block *b, size_t rows, size_t column, size_t width)
{
    float *product = s->product, *sums = (float *)s->sums + column;
    k->gemm_f32(s->dy_f32, b->outputs, 1, BNN_TILE, s->operand, BNN_TILE, width, rows, product, BNN_TILE);
    for (size_t o = 0; o < b->outputs; o++)
        for (size_t i = 0; i < width; i++) sums[o * block_columns(c) + i] += product[o * BNN_TILE + i];
}

static void add_piece_f32(const struct bnn_kernels *k, const struct bnn_conv *c, const struct weight_scratch *s,
                          const struct block *b, size_t first, size_t rows)
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
            add_product_f32(k, c, s, b, rows, (tap * block_words(c) + i) * BNN_TILE, channels_of(c, b->word + i));
        }
}

/* A block's rows of dW at one tap (first layer: of all taps), from `column` of the sums on, into storage or weights. */
static void consume(const struct bnn_kernels *k, const struct bnn_conv *c, const struct bnn_dense_step *step,
                    struct bnn_place place, size_t rows, size_t width, const int32_t *sums)
{
    const size_t columns = block_columns(c);
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
    const size_t at = row * block_columns(c), count = rows * block_columns(c);
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
                        const struct block *b, size_t row, size_t rows, int threads)
{
    const struct bnn_dense *d = &c->dense;
    const size_t columns = block_columns(c), taps = bnn_taps(&c->window), channels = c->window.channels;
    const size_t words = bnn_words(channels), output = b->output + row;
    int32_t *sums = carve_weights(c, bnn_conv_own(c, 0)).sums + row * columns;
    add_threads(c, row, rows, threads);
    if (d->x_i8) {
        for (size_t column = 0; column < d->inputs; column += BNN_TILE)
            consume(k, c, step, bnn_dense_place(d, output, column), rows, bnn_min(BNN_TILE, d->inputs - column), sums + column);
        return;
    }
    for (size_t tap = 0; tap < taps; tap++)
        for (size_t i = 0; i < b->words; i++) {
            const size_t width = channels_of(c, b->word + i), line = output * taps + tap;
            int32_t *at = sums + (tap * block_words(c) + i) * BNN_TILE;
            if (d->gradient_type == BNN_i8 && c->tap_sums)
                for (size_t r = 0; r < rows; r++) {
                    int32_t skipped = 0;
                    for (int thread = 0; thread < threads; thread++)
                        skipped += carve_weights(c, bnn_conv_own(c, thread)).skipped[tap * BNN_TILE + row + r];
                    for (size_t j = 0; j < width; j++) at[r * columns + j] -= skipped;
                }
            const struct bnn_place place = {line * channels + (b->word + i) * BNN_TILE, taps * channels,
                                            line * words + b->word + i, taps * words};
            consume(k, c, step, place, rows, width, at);
        }
}

/* Every thread's sums at zero, and the addresses of its tables. */
static void clear_sums(const struct bnn_conv *c, int threads)
{
    BNN_PARALLEL_FOR(threads)
    for (int thread = 0; thread < threads; thread++) {
        const struct weight_scratch s = carve_weights(c, bnn_conv_own(c, thread));
        memset(s.sums, 0, BNN_TILE * block_columns(c) * sizeof *s.sums);
        if (s.wide) memset(s.wide, 0, BNN_TILE * block_columns(c) * sizeof *s.wide);
        memset(s.skipped, 0, bnn_taps(&c->window) * BNN_TILE * sizeof *s.skipped);
        for (size_t o = 0; s.tables && o < BNN_TILE; o++)
            s.rows[o] = s.tables + o * bnn_lookup_table_bytes(BNN_CONV_CHUNK);
    }
}

static void weight_block(const struct bnn_kernels *k, const struct bnn_conv *c, size_t positions,
                         const struct bnn_dense_step *step, const struct block *b, int threads)
{
    const struct bnn_dense *d = &c->dense;
    const size_t pieces = bnn_ceil_div(positions, BNN_CONV_CHUNK);
    clear_sums(c, threads);
    BNN_PARALLEL_FOR(threads)
    for (size_t number = 0; number < pieces; number++) {
        const struct weight_scratch s = carve_weights(c, bnn_conv_own(c, bnn_thread()));
        const size_t first = number * BNN_CONV_CHUNK, rows = bnn_min(BNN_CONV_CHUNK, positions - first);
        if (d->gradient_type == BNN_i8) add_piece_i8(k, c, &s, b, first, rows);
        else TIMED(d, BNN_phase_weight_gradient, add_piece_f32(k, c, &s, b, first, rows));
    }
    BNN_PARALLEL_FOR(threads)
    for (size_t row = 0; row < b->outputs; row += BNN_UPDATE_ROWS)
        TIMED(d, BNN_phase_update,
              finish_rows(k, c, step, b, row, bnn_min(BNN_UPDATE_ROWS, b->outputs - row), threads));
}

void bnn_conv_weight_gradient(const struct bnn_kernels *k, const struct bnn_conv *c, size_t batch,
                              const struct bnn_dense_step *step, int threads)
{
    const size_t positions = batch * bnn_positions(&c->window);
    const size_t words = c->dense.x_i8 ? 1 : bnn_words(c->window.channels), each = c->dense.x_i8 ? 1 : block_words(c);
    bnn_dense_clear_magnitudes(&c->dense);
    for (size_t output = 0; output < c->dense.outputs; output += BNN_TILE)
        for (size_t word = 0; word < words; word += each) {
            const struct block b = {output, bnn_min(BNN_TILE, c->dense.outputs - output), word,
                                    bnn_min(each, words - word), step->limit};
            weight_block(k, c, positions, step, &b, threads);
        }
    bnn_dense_follow_magnitudes(&c->dense, step);
}
