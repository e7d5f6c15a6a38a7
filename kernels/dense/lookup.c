/* Products of gradients of at most 6 bits with signs, by look-up, as convolutions have them (lookup/lookup.h): every
 * thread takes a share of the rows; their tables are made once for as many tiles of columns as there is room to lay
 * indices for. */
#include "tile.h"

/* Tables lie where other products have their panel; behind them sums and laid indices. */
#define TABLE_BYTES BNN_PANEL_BYTES
/* Groups of a table row and of a tile's indices: more are multiplied in pieces. */
#define MOST_GROUPS (BNN_LOOKUP_INDEX_BYTES / BNN_LOOKUP_PANEL_BYTES)

struct room {
    uint8_t *tables, *indices;
    int32_t *sums;
    const uint8_t *rows[BNN_LOOKUP_ROWS];
};

/* How a product is cut: depths of a piece, rows of a block, tiles of a group. */
struct cut {
    size_t depth, pieces, row_bytes, tile_bytes, rows, tiles;
};

static struct cut cut_of(const struct bnn_signed_product *p, size_t batch)
{
    const size_t index_bytes = bnn_dense_tile_bytes(batch) - BNN_LOOKUP_SUM_BYTES;
    struct cut cut = {.depth = bnn_min(p->depth, MOST_GROUPS * BNN_LOOKUP_GROUP)};
    cut.pieces = bnn_ceil_div(p->depth, cut.depth);
    cut.row_bytes = bnn_lookup_table_bytes(cut.depth);
    cut.tile_bytes = bnn_lookup_groups(cut.depth) * BNN_LOOKUP_PANEL_BYTES;
    cut.rows = bnn_min(BNN_LOOKUP_ROWS, TABLE_BYTES / cut.row_bytes);
    cut.tiles = cut.pieces > 1 ? 1 : index_bytes / cut.tile_bytes;
    return cut;
}

static void lay(const struct bnn_kernels *k, const struct bnn_dense *d, const struct bnn_signed_product *p,
                const struct cut *cut, size_t piece, size_t tile, uint8_t *indices)
{
    const size_t first = piece * cut->depth, depth = bnn_min(cut->depth, p->depth - first);
    TIMED(d, BNN_phase_tables,
          k->lookup_lay_u1(p->b + first * p->b_stride_words + tile, p->b_stride_words, depth,
                           tile_width(p->columns, tile), indices));
}

static void make_tables(const struct bnn_kernels *k, const struct bnn_dense *d, const struct bnn_signed_product *p,
                        const struct cut *cut, size_t piece, size_t row, size_t rows, uint8_t *tables)
{
    const size_t first = piece * cut->depth, depth = bnn_min(cut->depth, p->depth - first);
    TIMED(d, BNN_phase_tables,
          k->lookup_tables_i8(p->a + row * p->a_stride + first, rows, p->a_stride, depth, BNN_lookup_whole, tables,
                              cut->row_bytes));
}

static void multiply(const struct bnn_kernels *k, const struct bnn_dense *d, const struct bnn_signed_product *p,
                     const struct cut *cut, const struct room *room, size_t piece, size_t tile, size_t rows,
                     const uint8_t *indices)
{
    const size_t depth = bnn_min(cut->depth, p->depth - piece * cut->depth);
    TIMED(d, p->phase,
          k->lookup_gemm_i32(room->rows, rows, 1, bnn_lookup_groups(depth), indices, tile_width(p->columns, tile), 1,
                             room->sums, BNN_TILE, piece != 0));
}

/* Rows `first` ... `end` by the tiles `tile` ... of a group, whose indices have been laid unless the depth is in pieces;
 * the largest value of their use. */
static int32_t group_rows(const struct bnn_kernels *k, const struct bnn_dense *d, const struct bnn_signed_product *p,
                       const struct cut *cut, const struct room *room, size_t first, size_t end, size_t tile, size_t tiles)
{
    int32_t largest = 0;
    for (size_t row = first; row < end; row += cut->rows) {
        const size_t rows = bnn_min(cut->rows, end - row);
        if (cut->pieces == 1) make_tables(k, d, p, cut, 0, row, rows, room->tables);
        for (size_t i = 0; i < tiles; i++) {
            uint8_t *indices = room->indices + i * cut->tile_bytes;
            for (size_t piece = 0; piece < cut->pieces; piece++) {
                if (cut->pieces > 1) {
                    make_tables(k, d, p, cut, piece, row, rows, room->tables);
                    lay(k, d, p, cut, piece, tile + i, indices);
                }
                multiply(k, d, p, cut, room, piece, tile + i, rows, indices);
            }
            const int32_t value = p->use(k, d, p, row, rows, tile + i, room->sums);
            largest = value > largest ? value : largest;
        }
    }
    return largest;
}

struct call {
    const struct bnn_kernels *k;
    const struct bnn_dense *d;
    const struct bnn_signed_product *p;
    struct cut cut;
    size_t share; /* rows of a thread */
};

static double multiply_rows(const void *context, size_t number)
{
    const struct call *call = context;
    const struct bnn_signed_product *p = call->p;
    const struct cut *cut = &call->cut;
    const size_t first = number * call->share, end = bnn_min(first + call->share, p->rows), all_tiles = bnn_words(p->columns);
    unsigned char *base = call->d->scratch + (size_t)bnn_thread() * call->d->scratch_stride;
    struct room room = {base, base + TABLE_BYTES + BNN_LOOKUP_SUM_BYTES, (int32_t *)(base + TABLE_BYTES), {0}};
    int32_t largest = 0;
    for (size_t i = 0; i < cut->rows; i++) room.rows[i] = room.tables + i * cut->row_bytes;
    for (size_t tile = 0; tile < all_tiles; tile += cut->tiles) {
        const size_t tiles = bnn_min(cut->tiles, all_tiles - tile);
        for (size_t i = 0; i < tiles && cut->pieces == 1; i++)
            lay(call->k, call->d, p, cut, 0, tile + i, room.indices + i * cut->tile_bytes);
        const int32_t of_group = group_rows(call->k, call->d, p, cut, &room, first, end, tile, tiles);
        largest = of_group > largest ? of_group : largest;
    }
    return largest;
}

int32_t bnn_dense_multiply_signs(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch,
                                 const struct bnn_signed_product *p, int threads)
{
    const struct call call = {k, d, p, cut_of(p, batch), bnn_ceil_div(p->rows, (size_t)threads)};
    return (int32_t)bnn_for_max(threads, bnn_ceil_div(p->rows, call.share), multiply_rows, &call);
}
