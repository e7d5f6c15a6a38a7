/* dW from integer gradients and packed inputs.  The threads share a block: of a piece of the batch each has some
 * positions as patches and lays some taps, then multiplies its rows, whose sums nobody else touches, by all of them.  dY of a piece is
 * transposed: its rows become the left factors, as look-up tables. */
#include "weight_block.h"

/* What threads share, where dX will have its tables. */
struct shared {
    int32_t *sums;    /* [BNN_TILE][columns] */
    int8_t *dy_t[2];  /* [BNN_TILE][BNN_CONV_CHUNK]: of this piece while the next one is made */
    uint8_t *tables;  /* [BNN_TILE] rows of tables */
    uint8_t *indices; /* [tiles]: laid signs */
    uint64_t *words;  /* [BNN_CONV_CHUNK][tiles] */
    size_t size;
};

struct own {
    int32_t *skipped; /* [taps][BNN_TILE]: sums of dY over positions whose tap lies outside the image */
    int8_t *dy;       /* [BNN_CONV_CHUNK][BNN_TILE] */
    size_t size;
};

static const size_t INDEX_BYTES = BNN_CONV_CHUNK / BNN_LOOKUP_GROUP * BNN_LOOKUP_PANEL_BYTES;
static const size_t ROW_BYTES = BNN_CONV_CHUNK / BNN_LOOKUP_GROUP * BNN_LOOKUP_TABLE_BYTES;

/* Words of signs of a position: of all taps `words` each, or a narrow patch. */
static size_t tiles_of(const struct bnn_conv *c, size_t words)
{
    return is_narrow(&c->window) ? bnn_patch_words(&c->window) : bnn_taps(&c->window) * words;
}

static struct shared carve_shared(const struct bnn_conv *c, unsigned char *base)
{
    const size_t tiles = tiles_of(c, bnn_block_words(c));
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

/* A block on its way: pieces of the batch one by one. */
struct work {
    const struct weight_block *w;
    struct shared s;
    size_t pieces, piece;
};

size_t bnn_conv_signs_block(const struct bnn_conv *c) { return carve_shared(c, BNN_NOWHERE).size; }

size_t bnn_conv_signs_scratch(const struct bnn_conv *c) { return carve_own(c, BNN_NOWHERE).size; }

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

/* What zero bits of skipped taps will have added to the sums: rows of dY, first by class of their window. */
static void add_skipped(const struct weight_block *b, size_t first, size_t rows, const int8_t *dy, size_t stride,
                        int32_t *skipped)
{
    const struct bnn_conv *c = b->call->c;
    const struct bnn_window *w = &c->window;
    const size_t positions = bnn_positions(w), taps = bnn_taps(w);
    const int by_class = has_edge_classes(w);
    int16_t total[BNN_EDGE_CLASSES][BNN_TILE];
    struct bnn_origin met[BNN_EDGE_CLASSES];
    uint8_t is_met[BNN_EDGE_CLASSES] = {0};
    for (size_t r = 0, place = first % positions; r < rows; r++, dy += stride) {
        const struct bnn_origin origin = c->origins[place];
        if (++place == positions) place = 0;
        if (is_inside(w, origin)) continue;
        if (!by_class) {
            for (size_t tap = 0; tap < taps; tap++)
                if (!tap_inside(w, origin, tap / w->kernel, tap % w->kernel))
                    add_row(skipped + tap * BNN_TILE, dy, b->outputs);
            continue;
        }
        const size_t class = edge_class(w, origin);
        if (!is_met[class]) memset(total[class], 0, sizeof total[class]), is_met[class] = 1, met[class] = origin;
        add_to_class(total[class], dy, b->outputs);
    }
    for (size_t class = 0; class < BNN_EDGE_CLASSES; class++)
        for (size_t tap = 0; is_met[class] && tap < taps; tap++)
            if (!tap_inside(w, met[class], tap / w->kernel, tap % w->kernel))
                for (size_t o = 0; o < b->outputs; o++) skipped[tap * BNN_TILE + o] += total[class][o];
}

static size_t rows_of(const struct work *work, size_t piece)
{
    return bnn_min(BNN_CONV_CHUNK, work->w->positions - piece * BNN_CONV_CHUNK);
}

/* The signs of a tile, and their first column. */
static size_t tile_width(const struct weight_block *w, size_t tile)
{
    const struct bnn_conv *c = w->call->c;
    return is_narrow(&c->window) ? bnn_tile_width(c->block.inputs, tile) : bnn_block_width(w, tile % w->words);
}

static size_t tile_column(const struct weight_block *w, size_t tile)
{
    const struct bnn_conv *c = w->call->c;
    return is_narrow(&c->window) ? tile * BNN_TILE : bnn_block_column(c, tile / w->words, tile % w->words);
}

/* A thread's share of the positions of a piece: dY transposed, the words that its windows see. */
static void make_operands(const struct work *work, const struct own *own)
{
    const struct weight_block *w = work->w;
    const struct bnn_kernels *k = w->call->k;
    const struct bnn_conv *c = w->call->c;
    const struct bnn_share share = bnn_own_share(rows_of(work, work->piece), BNN_LOOKUP_GROUP);
    const size_t first = work->piece * BNN_CONV_CHUNK + share.first, count = share.end - share.first;
    size_t stride = 0;
    if (!count) return;
    TIMED(&c->block, BNN_zone_tables, {
        const int8_t *dy = bnn_conv_dy(k, c, first, count, w->output, own->dy, &stride);
        k->transpose_i8(dy, count, w->outputs, stride, work->s.dy_t[work->piece % 2] + share.first, BNN_CONV_CHUNK);
        if (c->tap_sums) add_skipped(w, first, count, dy, stride, own->skipped);
    });
    uint64_t *words = work->s.words + share.first * tiles_of(c, w->words);
    TIMED(&c->block, BNN_zone_gather, {
        if (is_narrow(&c->window)) bnn_im2col(c, first, count, words);
        else bnn_im2col_words(c, first, count, w->word, w->words, words);
    });
}

/* A thread's share of the tiles: indices of their signs. */
static void lay(const void *context)
{
    const struct work *work = context;
    const struct weight_block *w = work->w;
    const struct bnn_conv *c = w->call->c;
    const size_t tiles = tiles_of(c, w->words), rows = rows_of(work, work->piece);
    const struct bnn_share share = bnn_own_share(tiles, 1);
    TIMED(&c->block, BNN_zone_tables,
          for (size_t tile = share.first; tile < share.end; tile++)
              w->call->k->lookup_lay_u1(work->s.words + tile, tiles, rows, tile_width(w, tile),
                                        work->s.indices + tile * INDEX_BYTES));
}

/* A thread's rows of the block by all taps, of a piece that was laid. */
static void multiply(const struct work *work, struct bnn_share own_rows, size_t piece)
{
    const struct weight_block *w = work->w;
    const struct bnn_kernels *k = w->call->k;
    const struct bnn_conv *c = w->call->c;
    const struct shared *s = &work->s;
    const size_t columns = bnn_block_columns(c), tiles = tiles_of(c, w->words), rows = rows_of(work, piece);
    const size_t count = own_rows.end - own_rows.first;
    const int parts = w->call->step->limit > BNN_LOOKUP_LIMIT ? 2 : 1;
    const uint8_t *tables[BNN_TILE];
    for (size_t i = 0; i < count; i++) tables[i] = s->tables + (own_rows.first + i) * ROW_BYTES;
    for (int part = 0; part < parts && count; part++) {
        const enum bnn_lookup_part which = parts == 1 ? BNN_lookup_whole : part ? BNN_lookup_high : BNN_lookup_low;
        TIMED(&c->block, BNN_zone_tables,
              k->lookup_tables_i8(s->dy_t[piece % 2] + own_rows.first * BNN_CONV_CHUNK, count, BNN_CONV_CHUNK, rows, which,
                                  s->tables + own_rows.first * ROW_BYTES, ROW_BYTES));
        TIMED(&c->block, BNN_zone_weight_gradient,
              for (size_t tile = 0; tile < tiles; tile++)
                  k->lookup_gemm_i32(tables, count, 1, bnn_lookup_groups(rows), s->indices + tile * INDEX_BYTES,
                                     tile_width(w, tile), part ? 4 : 1,
                                     s->sums + own_rows.first * columns + tile_column(w, tile), columns, 1));
    }
}

/* Multiplies what was laid of the former piece, and makes operands of this one, while others still read the former's dY. */
static void multiply_and_make(const void *context)
{
    const struct work *work = context;
    const struct bnn_conv *c = work->w->call->c;
    const struct own own = carve_own(c, bnn_scratch_of(&c->block, bnn_thread()));
    const struct bnn_share rows = bnn_own_share(work->w->outputs, 2); /* kernels take rows in pairs */
    const size_t columns = bnn_block_columns(c);
    if (work->piece == 0) {
        memset(work->s.sums + rows.first * columns, 0, (rows.end - rows.first) * columns * sizeof *work->s.sums);
        memset(own.skipped, 0, bnn_taps(&c->window) * BNN_TILE * sizeof *own.skipped);
    } else {
        multiply(work, rows, work->piece - 1);
    }
    if (work->piece < work->pieces) make_operands(work, &own);
}

/* What all threads have counted of skipped taps of a row, `of_first` in the scratch of the first. */
static int32_t all_skipped(const struct conv_call *call, const int32_t *of_first)
{
    int32_t sum = 0;
    for (int thread = 0; thread < call->threads; thread++)
        sum += *(const int32_t *)((const unsigned char *)of_first + (size_t)thread * call->c->block.scratch_stride);
    return sum;
}

/* Uses some rows of a block. */
static void finish_rows(const struct work *work, const int32_t *skipped, size_t row, size_t rows)
{
    const struct weight_block *w = work->w;
    const struct conv_call *call = w->call;
    const struct bnn_conv *c = call->c;
    const size_t columns = bnn_block_columns(c), taps = bnn_taps(&c->window);
    for (size_t tap = 0; tap < taps; tap++)
        for (size_t i = 0; i < w->words; i++) {
            const size_t width = bnn_block_width(w, i);
            int32_t *at = work->s.sums + row * columns + bnn_block_column(c, tap, i);
            for (size_t r = 0; c->tap_sums && r < rows; r++) {
                const int32_t too_much = all_skipped(call, skipped + tap * BNN_TILE + row + r);
                for (size_t j = 0; too_much && j < width; j++) at[r * columns + j] -= too_much;
            }
            bnn_consume_i32(call->k, &c->block, call->step, bnn_block_place(w, row, tap, i), rows, width, at, columns);
        }
}

static void finish_share(const void *context, struct bnn_share share)
{
    const struct work *work = context;
    const struct bnn_block *b = &work->w->call->c->block;
    const struct own first = carve_own(work->w->call->c, bnn_scratch_of(b, 0));
    for (size_t number = share.first; number < share.end; number++) {
        const size_t row = number * BNN_FINISHED_ROWS, rows = bnn_min(BNN_FINISHED_ROWS, work->w->outputs - row);
        TIMED(b, BNN_zone_update, finish_rows(work, first.skipped, row, rows));
    }
}

void bnn_conv_weight_signs(const struct weight_block *w)
{
    const struct conv_call *call = w->call;
    struct work work = {w, carve_shared(call->c, call->c->tables), bnn_ceil_div(w->positions, BNN_CONV_CHUNK), 0};
    bnn_run(call->threads, multiply_and_make, &work);
    while (work.piece < work.pieces) {
        bnn_run(call->threads, lay, &work);
        work.piece++;
        bnn_run(call->threads, multiply_and_make, &work);
    }
    bnn_for_shares(call->threads, bnn_ceil_div(w->outputs, BNN_FINISHED_ROWS), finish_share, &work);
}
