/* pass.h: what the passes of a convolution block share: scratch, pieces of the batch, im2col patches, products. */
#ifndef BNN_CONV_PASS_H
#define BNN_CONV_PASS_H

#include "../block/batch_norm.h"
#include "conv.h"

/* What the threads of a loop know of the call that shares it out. */
struct conv_call {
    const struct bnn_kernels *k;
    const struct bnn_conv *c;
    size_t batch;
    const struct bnn_block_step *step; /* backward */
    int threads;
};

/* Sums over the batch, per output channel [O], of one thread; in the first one's those of all. */
enum { BNN_SUMS = 3 };
struct conv_sums {
    int64_t *whole[BNN_SUMS];
    double *real[BNN_SUMS];
};

/* A piece of the batch: `rows` positions from `first` (image * positions + place), all of pooling windows or none. */
struct piece {
    size_t first, rows;
    int windows;       /* the rows are whole pooling windows */
    size_t norm_first; /* row of y, as batch norm sees it; norm_rows of them */
    size_t norm_rows;
    size_t out_first;  /* row of the output; where `windows` is not set but there is a pool, the rows do not go out */
};

/* A thread on its way over positions: what it works with, its scratch, and the piece that it works on. */
struct pass {
    const struct bnn_kernels *k;
    const struct bnn_conv *c;
    struct conv_sums sums;
    void *panel;              /* BNN_PANEL_BYTES */
    void *patch;              /* [BNN_CONV_ROWS][bnn_patch_words] bits, or [..][taps*I] int8 */
    int32_t *tile;            /* y [BNN_CONV_ROWS][BNN_TILE] */
    int32_t *chosen;          /* y where pooling chose [BNN_CONV_ROWS / 4][BNN_TILE] */
    uint64_t *bits, *argmax, *mask; /* [BNN_CONV_ROWS]: words of signs, of pooling's argmax, of the interval */
    int8_t *bytes;            /* g [BNN_CONV_ROWS][BNN_TILE] */
    float *real;              /* the same; NULL for int8 gradients */
    float *pooled;            /* [BNN_CONV_ROWS / 4][BNN_TILE]; likewise */
    struct piece piece;
};

/* A pass of the present thread, before its first piece. */
struct pass bnn_conv_pass(const struct bnn_kernels *k, const struct bnn_conv *c);

/* A pass is at this piece of images first ... first + images - 1, of bnn_pieces(c, images). */
size_t bnn_pieces(const struct bnn_conv *c, size_t images);
struct piece bnn_piece(const struct bnn_conv *c, size_t first, size_t images, size_t number);

static inline int is_pooled_after_norm(const struct bnn_conv *c)
{
    return c->window.pool == BNN_pool_before_sign || c->window.pool == BNN_pool_after_sign;
}

/* im2col patches of rows from position `first` on: the whole windows, narrow ones without gaps; the words `word` ... of all
 * taps [rows][taps][count]. */
void bnn_im2col(const struct bnn_conv *c, size_t first, size_t rows, void *patch);
void bnn_im2col_words(const struct bnn_conv *c, size_t first, size_t rows, size_t word, size_t count, uint64_t *words);

/* Words of windows [rows][taps], of which each holds one tap, joined as narrow patches are. */
void bnn_join_taps(const struct bnn_window *w, const uint64_t *words, size_t rows, uint64_t *joined);

/* Windows that lack the same rows and columns are of one class; class 0 lacks none.  BNN_EDGE_CLASSES suffice for kernels of
 * at most BNN_EDGE_KERNEL rows that are not larger than the image. */
#define BNN_EDGE_KERNEL 3
#define BNN_EDGE_CLASSES ((2 * BNN_EDGE_KERNEL - 1) * (2 * BNN_EDGE_KERNEL - 1))

static inline int has_edge_classes(const struct bnn_window *w)
{
    return w->kernel <= BNN_EDGE_KERNEL && w->kernel <= w->height && w->kernel <= w->width;
}

/* Whether words of a window's bits hold several taps: where otherwise at least half of every word would be empty. */
static inline int is_narrow(const struct bnn_window *w)
{
    return 2 * w->channels <= BNN_WORD_BITS && w->kernel <= BNN_EDGE_KERNEL;
}
/* The most words of a narrow window. */
#define BNN_NARROW_WORDS (BNN_EDGE_KERNEL * BNN_EDGE_KERNEL / 2 + 1)

/* Words of a patch of bits. */
static inline size_t bnn_patch_words(const struct bnn_window *w)
{
    return is_narrow(w) ? bnn_words(bnn_taps(w) * w->channels) : bnn_taps(w) * bnn_words(w->channels);
}

/* Rows that a window lacks at its beginning, or BNN_EDGE_KERNEL - 1 more than at its end. */
static inline size_t edge_of(ptrdiff_t first, size_t kernel, size_t size)
{
    const ptrdiff_t past = first + (ptrdiff_t)kernel - (ptrdiff_t)size;
    return first < 0 ? (size_t)-first : past > 0 ? BNN_EDGE_KERNEL - 1 + (size_t)past : 0;
}

static inline size_t edge_class(const struct bnn_window *w, struct bnn_origin origin)
{
    return edge_of(origin.y, w->kernel, w->height) * (2 * BNN_EDGE_KERNEL - 1) + edge_of(origin.x, w->kernel, w->width);
}

/* Whether tap (ky, kx) of a window lies in the image; whether all of them do. */
static inline int tap_inside(const struct bnn_window *w, struct bnn_origin origin, size_t ky, size_t kx)
{
    return (size_t)(origin.y + (ptrdiff_t)ky) < w->height && (size_t)(origin.x + (ptrdiff_t)kx) < w->width;
}

static inline int is_inside(const struct bnn_window *w, struct bnn_origin origin)
{
    return origin.y >= 0 && origin.x >= 0 && (size_t)origin.y + w->kernel <= w->height &&
           (size_t)origin.x + w->kernel <= w->width;
}

/* Where y of a pass comes from and where it is kept. */
enum source { MULTIPLY, MULTIPLY_AND_KEEP, READ };

/* y of the piece and a tile of channels as batch norm sees it (pooled, where pooling comes before it) into s->tile.
 * Patches must have been made unless it is read.  The argmax mask of pooling goes to c->argmax, if `choose`. */
void bnn_conv_y(const struct pass *s, size_t tile, enum source source, int16_t *kept, int choose);

/* Pooling after the norm: argmax masks into s->argmax, y there into s->chosen. */
void bnn_conv_choose(const struct pass *s, size_t tile, const struct bnn_thresholds *t);

/* What one comparison per value needs, of all tiles, from the statistics: once before passes that compare. */
const struct bnn_thresholds *bnn_conv_thresholds(const struct bnn_conv *c);

/* Rows of positions [rows][words(bits)] one behind the other without gaps: what a dense block takes in. */
void bnn_conv_flatten(const uint64_t *from, size_t rows, size_t bits, uint64_t *to);

/* Packed signs of W (and of a real X), the sums of its taps. */
void bnn_conv_prepack(const struct conv_call *call);

/* The sums of the thread whose scratch begins at *at, which then is behind them. */
struct conv_sums bnn_conv_cut_sums(const struct bnn_conv *c, unsigned char **at);
/* Sets the sums of all threads to zero; moves those of the others to the first one's. */
void bnn_conv_clear_sums(const struct conv_call *call);
struct conv_sums bnn_conv_reduce_sums(const struct conv_call *call);

/* Rows of dY [rows][width] of positions from `first`, channels from `channel` on, zeros where pooling did not choose:
 * their address and stride; `spread` [rows][BNN_TILE] where they have to be made. */
const int8_t *bnn_conv_dy(const struct bnn_kernels *k, const struct bnn_conv *c, size_t first, size_t rows, size_t channel,
                          int8_t *spread, size_t *stride);
/* Those of pooling before the norm, into rows `stride` apart. */
void bnn_conv_spread_dy(const struct bnn_kernels *k, const struct bnn_conv *c, size_t first, size_t rows, size_t channel,
                        int8_t *out, size_t stride);
/* The first as float32 [rows][BNN_TILE] into `out`, by way of `pooled` [rows / 4][BNN_TILE]. */
void bnn_conv_dy_f32(const struct bnn_kernels *k, const struct bnn_conv *c, size_t first, size_t rows, size_t channel,
                     float *pooled, float *out);

/* Bytes of a thread's scratch for them. */
size_t bnn_conv_pass_scratch(const struct bnn_conv *c);
size_t bnn_conv_weight_scratch(const struct bnn_conv *c);
size_t bnn_conv_input_scratch(const struct bnn_conv *c);

/* dY in place of g, with the gradients of gamma and beta; dW; dX in place of dY. */
void bnn_conv_output_gradient(const struct conv_call *call);
void bnn_conv_weight_gradient(const struct conv_call *call);
void bnn_conv_input_gradient(const struct conv_call *call);

#endif
