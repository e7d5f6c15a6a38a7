/* product.h: what the passes of a dense block share: scratch, the product of one tile, products by look-up. */
#ifndef BNN_DENSE_PRODUCT_H
#define BNN_DENSE_PRODUCT_H

#include "dense.h"

/* What the threads of a loop know of the call that shares it out. */
struct dense_call {
    const struct bnn_kernels *k;
    const struct bnn_dense *d;
    size_t batch;
    const struct bnn_block_step *step; /* backward */
    int first;                         /* forward */
    int measure;                       /* backward: find only the amax of an int8 gradient */
    int threads;
};

/* One thread's scratch.  Rows: the batch or a block of BNN_TILE output channels, whichever is more. */
struct dense_scratch {
    void *panel;      /* BNN_PANEL_BYTES */
    int32_t *tile;    /* [rows][BNN_TILE], and at least what a product by look-up needs */
    float *real;      /* [rows][BNN_TILE]: gradients of a tile; NULL for int8 gradients, as the next two */
    float *operand;   /* [max(rows, O)][BNN_TILE]: signs of X or W as float32 */
    float *converted; /* max([rows][BNN_TILE], [BNN_DENSE_ROWS][O]): dY of a block as float32 */
    size_t bytes;
};

/* Rows of dX that a thread computes at a time in the real path. */
#define BNN_DENSE_ROWS 16
/* A product by look-up: rows of a block, and where others have a tile their sums and at least so many bytes for indices. */
#define BNN_LOOKUP_ROWS 32
#define BNN_LOOKUP_SUM_BYTES (BNN_LOOKUP_ROWS * BNN_TILE * sizeof(int32_t))
#define BNN_LOOKUP_INDEX_BYTES 16384

static inline size_t bnn_dense_tile_bytes(size_t batch)
{
    return bnn_max(bnn_max(batch, BNN_TILE) * BNN_TILE * sizeof(int32_t), BNN_LOOKUP_SUM_BYTES + BNN_LOOKUP_INDEX_BYTES);
}

/* That of the present thread. */
struct dense_scratch bnn_dense_own_scratch(const struct dense_call *call);

/* Packed signs of W, and of a retained real X. */
void bnn_dense_prepack(const struct dense_call *call);

/* y of one tile of channels: s->tile [batch][BNN_TILE]. */
void bnn_dense_product(const struct dense_call *call, size_t tile, const struct dense_scratch *s);

/* A product [rows][columns] of int8 rows, |a| <= 31, and signs b [depth][words(columns)], a tile of columns at a time:
 * `use` gets each block of at most BNN_LOOKUP_ROWS rows of it, [rows][BNN_TILE], from row `row` on. */
struct bnn_signed_product {
    const int8_t *a;
    size_t rows, a_stride, depth;
    const uint64_t *b;
    size_t b_stride_words, columns;
    enum bnn_zone zone;
    int32_t (*use)(const struct dense_call *call, size_t row, size_t rows, size_t tile, const int32_t *sums);
};

/* Returns the largest value that `use` did. */
int32_t bnn_dense_multiply_signs(const struct dense_call *call, const struct bnn_signed_product *product);

/* dX and dW from dY. */
void bnn_dense_gradients_int8(const struct dense_call *call);
void bnn_dense_gradients_real(const struct dense_call *call);

#endif
