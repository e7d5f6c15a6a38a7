/* dW from integer gradients and packed inputs.  The threads share a block: of a piece of the batch each gathers some
 * positions and lays some taps, then multiplies its rows, whose sums nobody else touches, by all of them.  dY of a piece is
 * transposed: its rows become the left factors, as look-up tables. */
#include "weights.h"

/* What threads share, where dX will have its tables. */
struct shared {
    int32_t *sums;    /* [BNN_TILE][columns] */
    int8_t *dy_t[2];  /* [BNN_TILE][BNN_CONV_CHUNK]: of this piece while the next one is gathered */
    uint8_t *tables;  /* [BNN_TILE] rows of tables */
    uint8_t *indices; /* [taps][words]: laid signs */
    uint64_t *words;  /* [BNN_CONV_CHUNK][taps][words] */
    size_t size;
};

struct own {
    int32_t *skipped; /* [taps][BNN_TILE]: sums of dY over positions whose tap lies outside the image */
    int8_t *dy;       /* [BNN_CONV_CHUNK][BNN_TILE] */
    size_t size;
};

static const size_t INDEX_BYTES = BNN_CONV_CHUNK / BNN_LOOKUP_GROUP * BNN_LOOKUP_PANEL_BYTES;
static const size_t ROW_BYTES = BNN_CONV_CHUNK / BNN_LOOKUP_GROUP * BNN_LOOKUP_TABLE_BYTES;

static struct shared carve_shared(const struct bnn_conv *c, unsigned char *base)
{
    const size_t tiles = bnn_taps(&c->window) * bnn_block_words(c);
    unsigned char *at = base;
    struct shared s = {0};
    s.sums = bnn_cut(&at, BNN_TILE * bnn_block_columns(c) * sizeof *s.sums);
    for (int i = 0; i < 2; i++) s.dy_t[i] = bnn_cut(&at, BNN_TILE * BNN_CONV_CHUNK);
    s.tables = bnn_cut(&at, BNN_TILE * ROW_BYTES);
    s.indices = bnn_cut(&at, tiles * INDEX_BYTES);
    s.words = bnn_cut(&at, BNN_CONV_CHUNK * tiles * sizeof *s.words);
    s.size = (size_t)(at - base);
    return s;
}

static struct own carve_own(const struct bnn_conv *c, unsigned char *base)
{
    unsigned char *at = base;
    struct own s = {0};
    s.skipped = bnn_cut(&at, bnn_taps(&c->window) * BNN_TILE * sizeof *s.skipped);
    s.dy = bnn_cut(&at, BNN_CONV_CHUNK * BNN_TILE);
    s.size = (size_t)(at - base);
    return s;
}

size_t bnn_conv_signs_block(const struct bnn_conv *c) { return carve_shared(c, (unsigned char *)64).size; }

size_t bnn_conv_signs_scratch(const struct bnn_conv *c) { return carve_own(c, (unsigned char *)64).size; }

static void add_row(int32_t *sums, const int8_t *dy, size_t outputs)
{
    for (size_t o = 0; o < outputs; o++) sums[o] += dy[o];
}

/* The same in 16 bits, which hold BNN_CONV_CHUNK rows of 127: 32512. */
static void add_to_class(int16_t *restrict sums, const int8_t *restrict dy, size_t outputs)
{
    if (outputs == BNN_TILE)
        _Pragma("GCC unroll 64") for (size_t o = 0; o < BNN_TILE; o++) sums[o] = (int16_t)(sums[o] + dy[o]);
    else
        for (size_t o = 0; o < outputs; o++) sums[o] = (int16_t)(sums[o] + dy[o]);
}

/* What zero bits of skipped taps will have added to the sums: rows of dY, first by class of their site. */
static void add_skipped(const struct bnn_conv *c, const struct bnn_block *b, size_t first, size_t rows, const int8_t *dy,
                        size_t stride, int32_t *skipped)
{
    const struct bnn_window *w = &c->window;
    const size_t positions = bnn_positions(w), taps = bnn_taps(w);
    const int by_class = has_edge_classes(w);
    int16_t total[BNN_EDGE_CLASSES][BNN_TILE];
    struct bnn_site met[BNN_EDGE_CLASSES];
    uint8_t is_met[BNN_EDGE_CLASSES] = {0};
    for (size_t r = 0, place = first % positions; r < rows; r++, dy += stride) {
        const struct bnn_site site = c->sites[place];
        if (++place == positions) place = 0;
        if (is_inside(w, site)) continue;
        if (!by_class) {
            for (size_t tap = 0; tap < taps; tap++)
                if (!tap_inside(w, site, tap / w->kernel, tap % w->kernel)) add_row(skipped + tap * BNN_TILE, dy, b->outputs);
            continue;
        }
        const size_t class = edge_class(w, site);
        if (!is_met[class]) memset(total[class], 0, sizeof total[class]), is_met[class] = 1, met[class] = site;
        add_to_class(total[class], dy, b->outputs);
    }
    for (size_t class = 0; class < BNN_EDGE_CLASSES; class++)
        for (size_t tap = 0; is_met[class] && tap < taps; tap++)
            if (!tap_inside(w, met[class], tap / w->kernel, tap % w->kernel))
                for (size_t o = 0; o < b->outputs; o++) skipped[tap * BNN_TILE + o] += total[class][o];
}

/* A thread's share of the positions of a piece: dY transposed, the words that its windows see. */
static void gather(const struct bnn_kernels *k, const struct bnn_conv *c, const struct shared *s, const struct own *own,
                   const struct bnn_block *b, size_t first, size_t rows, int8_t *dy_t)
{
    const struct bnn_share share = bnn_own_share(rows, BNN_LOOKUP_GROUP);
    const size_t count = share.end - share.first, tiles = bnn_taps(&c->window) * b->words;
    size_t stride = 0;
    if (!count) return;
    first += share.first;
    TIMED(&c->dense, BNN_phase_tables, {
        const int8_t *dy = bnn_conv_dy(k, c, first, count, b->output, own->dy, &stride);
        k->transpose_i8(dy, count, b->outputs, stride, dy_t + share.first, BNN_CONV_CHUNK);
        if (c->tap_sums) add_skipped(c, b, first, count, dy, stride, own->skipped);
    });
    TIMED(&c->dense, BNN_phase_gather,
          bnn_gather_words(c, first, count, b->word, b->words, s->words + share.first * tiles));
}

/* A thread's share of the taps: indices of their signs. */
static void lay(const struct bnn_kernels *k, const struct bnn_conv *c, const struct shared *s, const struct bnn_block *b,
                size_t rows)
{
    const size_t tiles = bnn_taps(&c->window) * b->words;
    const struct bnn_share share = bnn_own_share(tiles, 1);
    TIMED(&c->dense, BNN_phase_tables,
          for (size_t tile = share.first; tile < share.end; tile++)
              k->lookup_lay_u1(s->words + tile, tiles, rows, bnn_channels_of(c, b->word + tile % b->words),
                               s->indices + tile * INDEX_BYTES));
}

/* A thread's rows of the block by all taps. */
static void multiply(const struct bnn_kernels *k, const struct bnn_conv *c, const struct shared *s,
                     const struct bnn_block *b, const struct bnn_share *own_rows, size_t rows, const int8_t *dy_t)
{
    const size_t columns = bnn_block_columns(c), tiles = bnn_taps(&c->window) * b->words;
    const size_t count = own_rows->end - own_rows->first;
    const int parts = b->limit > BNN_LOOKUP_LIMIT ? 2 : 1;
    const uint8_t *tables[BNN_TILE];
    for (size_t i = 0; i < count; i++) tables[i] = s->tables + (own_rows->first + i) * ROW_BYTES;
    for (int part = 0; part < parts && count; part++) {
        const enum bnn_lookup_part which = parts == 1 ? BNN_lookup_whole : part ? BNN_lookup_high : BNN_lookup_low;
        TIMED(&c->dense, BNN_phase_tables,
              k->lookup_tables_i8(dy_t + own_rows->first * BNN_CONV_CHUNK, count, BNN_CONV_CHUNK, rows, which,
                                  s->tables + own_rows->first * ROW_BYTES, ROW_BYTES));
        TIMED(&c->dense, BNN_phase_weight_gradient,
              for (size_t tile = 0; tile < tiles; tile++) {
                  const size_t column = (tile / b->words * bnn_block_words(c) + tile % b->words) * BNN_TILE;
                  k->lookup_gemm_i32(tables, count, 1, bnn_lookup_groups(rows), s->indices + tile * INDEX_BYTES,
                                     bnn_channels_of(c, b->word + tile % b->words), part ? 4 : 1,
                                     s->sums + own_rows->first * columns + column, columns, 1);
              });
    }
}

/* Uses some rows of a block. */
static void finish_rows(const struct bnn_kernels *k, const struct bnn_conv *c, const struct shared *s,
                        const struct bnn_dense_step *step, const struct bnn_block *b, size_t row, size_t rows, int threads)
{
    const size_t columns = bnn_block_columns(c), taps = bnn_taps(&c->window);
    for (size_t tap = 0; tap < taps; tap++)
        for (size_t i = 0; i < b->words; i++) {
            const size_t width = bnn_channels_of(c, b->word + i);
            int32_t *at = s->sums + row * columns + (tap * bnn_block_words(c) + i) * BNN_TILE;
            for (size_t r = 0; c->tap_sums && r < rows; r++) {
                int32_t skipped = 0;
                for (int thread = 0; thread < threads; thread++)
                    skipped += carve_own(c, bnn_conv_own(c, thread)).skipped[tap * BNN_TILE + row + r];
                for (size_t j = 0; skipped && j < width; j++) at[r * columns + j] -= skipped;
            }
            bnn_dense_consume_i32(k, &c->dense, step, bnn_block_place(c, b, row, tap, i), rows, width, at, columns);
        }
}

struct signs_block {
    const struct bnn_kernels *k;
    const struct bnn_conv *c;
    const struct bnn_dense_step *step;
    const struct bnn_block *b;
    struct shared s;
    size_t positions, pieces, piece;
    int threads;
};

static size_t rows_of(const struct signs_block *w, size_t piece)
{
    return bnn_min(BNN_CONV_CHUNK, w->positions - piece * BNN_CONV_CHUNK);
}

/* Multiplies what was laid of the former piece, and gathers this one, while others still read the former's dY. */
static void multiply_and_gather(const void *context)
{
    const struct signs_block *w = context;
    const struct bnn_conv *c = w->c;
    const struct own own = carve_own(c, bnn_conv_own(c, bnn_thread()));
    const struct bnn_share rows = bnn_own_share(w->b->outputs, 2); /* kernels take rows in pairs */
    const size_t columns = bnn_block_columns(c), piece = w->piece;
    if (piece == 0) {
        memset(w->s.sums + rows.first * columns, 0, (rows.end - rows.first) * columns * sizeof *w->s.sums);
        memset(own.skipped, 0, bnn_taps(&c->window) * BNN_TILE * sizeof *own.skipped);
    } else {
        multiply(w->k, c, &w->s, w->b, &rows, rows_of(w, piece - 1), w->s.dy_t[(piece - 1) % 2]);
    }
    if (piece < w->pieces)
        gather(w->k, c, &w->s, &own, w->b, piece * BNN_CONV_CHUNK, rows_of(w, piece), w->s.dy_t[piece % 2]);
}

static void lay_own(const void *context)
{
    const struct signs_block *w = context;
    lay(w->k, w->c, &w->s, w->b, rows_of(w, w->piece));
}

static void finish_some_rows(const void *context, size_t number)
{
    const struct signs_block *w = context;
    const size_t row = number * BNN_UPDATE_ROWS, rows = bnn_min(BNN_UPDATE_ROWS, w->b->outputs - row);
    TIMED(&w->c->dense, BNN_phase_update, finish_rows(w->k, w->c, &w->s, w->step, w->b, row, rows, w->threads));
}

void bnn_conv_weight_signs(const struct bnn_kernels *k, const struct bnn_conv *c, size_t positions,
                           const struct bnn_dense_step *step, const struct bnn_block *b, int threads)
{
    struct signs_block w = {k, c, step, b, carve_shared(c, c->tables), positions, bnn_ceil_div(positions, BNN_CONV_CHUNK),
                            0, threads};
    bnn_run(threads, multiply_and_gather, &w);
    while (w.piece < w.pieces) {
        bnn_run(threads, lay_own, &w);
        w.piece++;
        bnn_run(threads, multiply_and_gather, &w);
    }
    bnn_for(threads, bnn_ceil_div(b->outputs, BNN_UPDATE_ROWS), finish_some_rows, &w);
}
