/* Products of gradients of at most 6 bits with signs, by look-up, as convolutions have them (lookup/lookup.h): every
 * thread takes a share of the rows; their tables are made once for as many tiles of columns as there is space to lay
 * indices for. */
#include "product.h"

/* Tables lie where other products have their panel; behind them sums and laid indices. */
#define TABLE_BYTES BNN_PANEL_BYTES
/* Groups of a table row and of a tile's indices: more are multiplied in pieces. */
#define MOST_GROUPS (BNN_LOOKUP_INDEX_BYTES / BNN_LOOKUP_PANEL_BYTES)

/* A product on its way: how it is cut, and where a thread works on it. */
struct work {
    const struct dense_call *call;
    const struct bnn_signed_product *p;
    size_t share;                                             /* rows of a thread */
    size_t depth, pieces, row_bytes, tile_bytes, most, tiles; /* of a piece; `most` rows are a block; of a group */
    uint8_t *tables, *indices;
    int32_t *sums;
    const uint8_t *rows[BNN_LOOKUP_ROWS];
};

static struct work cut(const struct dense_call *call, const struct bnn_signed_product *p)
{
    const size_t index_bytes = bnn_dense_tile_bytes(call->batch) - BNN_LOOKUP_SUM_BYTES;
    struct work w = {.call = call, .p = p, .share = bnn_ceil_div(p->rows, (size_t)call->threads)};
    w.depth = bnn_min(p->depth, MOST_GROUPS * BNN_LOOKUP_GROUP);
    w.pieces = bnn_ceil_div(p->depth, w.depth);
    w.row_bytes = bnn_lookup_table_bytes(w.depth);
    w.tile_bytes = bnn_lookup_groups(w.depth) * BNN_LOOKUP_PANEL_BYTES;
    w.most = bnn_min(BNN_LOOKUP_ROWS, TABLE_BYTES / w.row_bytes);
    w.tiles = w.pieces > 1 ? 1 : index_bytes / w.tile_bytes;
    return w;
}

static size_t depth_of(const struct work *w, size_t piece)
{
    return bnn_min(w->depth, w->p->depth - piece * w->depth);
}

static void lay(const struct work *w, size_t piece, size_t tile, uint8_t *indices)
{
    const struct bnn_signed_product *p = w->p;
    TIMED(&w->call->d->block, BNN_zone_tables,
          w->call->k->lookup_lay_u1(p->b + piece * w->depth * p->b_stride_words + tile, p->b_stride_words,
                                    depth_of(w, piece), bnn_tile_width(p->columns, tile), indices));
}

static void make_tables(const struct work *w, size_t piece, size_t row, size_t rows)
{
    const struct bnn_signed_product *p = w->p;
    TIMED(&w->call->d->block, BNN_zone_tables,
          w->call->k->lookup_tables_i8(p->a + row * p->a_stride + piece * w->depth, rows, p->a_stride, depth_of(w, piece),
                                       BNN_lookup_whole, w->tables, w->row_bytes));
}

static void multiply(const struct work *w, size_t piece, size_t tile, size_t rows, const uint8_t *indices)
{
    TIMED(&w->call->d->block, w->p->zone,
          w->call->k->lookup_gemm_i32(w->rows, rows, 1, bnn_lookup_groups(depth_of(w, piece)), indices,
                                      bnn_tile_width(w->p->columns, tile), 1, w->sums, BNN_TILE, piece != 0));
}

/* Some rows by the tiles `tile` ... of a group, whose indices have been laid unless the depth is in pieces; the largest
 * value of their use. */
static int32_t multiply_group(const struct work *w, struct bnn_share all, size_t tile, size_t tiles)
{
    int32_t largest = 0;
    for (size_t row = all.first; row < all.end; row += w->most) {
        const size_t rows = bnn_min(w->most, all.end - row);
        if (w->pieces == 1) make_tables(w, 0, row, rows);
        for (size_t i = 0; i < tiles; i++) {
            uint8_t *indices = w->indices + i * w->tile_bytes;
            for (size_t piece = 0; piece < w->pieces; piece++) {
                if (w->pieces > 1) {
                    make_tables(w, piece, row, rows);
                    lay(w, piece, tile + i, indices);
                }
                multiply(w, piece, tile + i, rows, indices);
            }
            const int32_t value = w->p->use(w->call, row, rows, tile + i, w->sums);
            largest = value > largest ? value : largest;
        }
    }
    return largest;
}

/* Rows by all tiles. */
static int32_t multiply_rows(const struct work *w, struct bnn_share rows)
{
    const size_t all_tiles = bnn_words(w->p->columns);
    int32_t largest = 0;
    for (size_t tile = 0; tile < all_tiles; tile += w->tiles) {
        const size_t tiles = bnn_min(w->tiles, all_tiles - tile);
        for (size_t i = 0; i < tiles && w->pieces == 1; i++) lay(w, 0, tile + i, w->indices + i * w->tile_bytes);
        const int32_t of_group = multiply_group(w, rows, tile, tiles);
        largest = of_group > largest ? of_group : largest;
    }
    return largest;
}

static double multiply_share(const void *context, struct bnn_share share)
{
    struct work w = *(const struct work *)context;
    const struct bnn_share rows = {share.first * w.share, bnn_min(share.end * w.share, w.p->rows)};
    const struct dense_scratch s = bnn_dense_own_scratch(w.call);
    w.tables = s.panel, w.sums = s.tile, w.indices = (uint8_t *)s.tile + BNN_LOOKUP_SUM_BYTES;
    for (size_t i = 0; i < w.most; i++) w.rows[i] = w.tables + i * w.row_bytes;
    return multiply_rows(&w, rows);
}

int32_t bnn_dense_multiply_signs(const struct dense_call *call, const struct bnn_signed_product *p)
{
    const struct work work = cut(call, p);
    return (int32_t)bnn_max_of_shares(call->threads, bnn_ceil_div(p->rows, work.share), multiply_share, &work);
}
