/* tile.h: what the passes of a convolution block share: scratch, pieces of the batch, products. */
#ifndef BNN_CONV_TILE_H
#define BNN_CONV_TILE_H

#include "../dense/gradient.h"
#include "../dense/tile.h"
#include "conv.h"

/* What the threads of a loop know of the call that shares it out. */
struct conv_call {
    const struct bnn_kernels *k;
    const struct bnn_conv *c;
    const struct bnn_dense_step *step;
    size_t first, images; /* of a group */
    int measure;
};

/* Sums over the batch, per channel, of one thread. */
enum { BNN_SUMS = 3 };

/* One thread's scratch for a pass over positions. */
struct pass {
    int64_t *sums[BNN_SUMS];  /* [O] */
    double *real_sums[BNN_SUMS];
    struct thresholds *thresholds; /* [words(O)]: those of the first thread serve all */
    void *panel;              /* BNN_PANEL_BYTES */
    void *patch;              /* [BNN_CONV_ROWS][taps*words(I)] bits, or [..][taps*I] int8 */
    int32_t *tile;            /* y [BNN_CONV_ROWS][BNN_TILE] */
    int32_t *chosen;          /* y where pooling chose [BNN_CONV_ROWS / 4][BNN_TILE] */
    uint64_t *bits, *choice, *mask; /* [BNN_CONV_ROWS]: words of signs, of pooling's choice, of the interval */
    int8_t *bytes;            /* g [BNN_CONV_ROWS][BNN_TILE] */
    float *real;              /* the same; NULL for int8 gradients */
    float *pooled;            /* [BNN_CONV_ROWS / 4][BNN_TILE]; likewise */
    size_t size;
};

struct pass bnn_conv_pass(const struct bnn_conv *c, unsigned char *base);

static inline unsigned char *bnn_conv_own(const struct bnn_conv *c, int thread)
{
    return c->dense.scratch + (size_t)thread * c->dense.scratch_stride;
}

/* A piece of the batch: `rows` positions from `first` (image * positions + place), all of pooling windows or none. */
struct piece {
    size_t first, rows;
    int windows;       /* the rows are whole pooling windows */
    size_t norm_first; /* row of y, as batch norm sees it; norm_rows of them */
    size_t norm_rows;
    size_t out_first;  /* row of the output; where `windows` is not set but there is a pool, the rows do not go out */
};

/* Pieces of images first ... first + images - 1. */
size_t bnn_pieces(const struct bnn_conv *c, size_t images);
struct piece bnn_piece(const struct bnn_conv *c, size_t first_image, size_t images, size_t number);

/* Patches of a piece into pass->patch. */
void bnn_gather(const struct bnn_conv *c, const struct piece *piece, void *patch);
/* Rows of words [rows][taps][count] of channels from `word` on. */
void bnn_gather_words(const struct bnn_conv *c, size_t first, size_t rows, size_t word, size_t count, uint64_t *words);

/* Sites whose windows lack the same rows and columns are of one class; class 0 lacks none.  BNN_EDGE_CLASSES suffice for
 * kernels of at most BNN_EDGE_KERNEL rows that are not larger than the image. */
#define BNN_EDGE_KERNEL 3
#define BNN_EDGE_CLASSES ((2 * BNN_EDGE_KERNEL - 1) * (2 * BNN_EDGE_KERNEL - 1))

static inline int has_edge_classes(const struct bnn_window *w)
{
    return w->kernel <= BNN_EDGE_KERNEL && w->kernel <= w->height && w->kernel <= w->width;
}

/* Rows that a window lacks at its beginning, or BNN_EDGE_KERNEL - 1 more than at its end. */
static inline size_t edge_of(ptrdiff_t first, size_t kernel, size_t size)
{
    const ptrdiff_t past = first + (ptrdiff_t)kernel - (ptrdiff_t)size;
    return first < 0 ? (size_t)-first : past > 0 ? BNN_EDGE_KERNEL - 1 + (size_t)past : 0;
}

static inline size_t edge_class(const struct bnn_window *w, struct bnn_site site)
{
    return edge_of(site.y, w->kernel, w->height) * (2 * BNN_EDGE_KERNEL - 1) + edge_of(site.x, w->kernel, w->width);
}

/* Whether tap (ky, kx) of a window at `site` lies in the image. */
static inline int tap_inside(const struct bnn_window *w, struct bnn_site site, size_t ky, size_t kx)
{
    return (size_t)(site.y + (ptrdiff_t)ky) < w->height && (size_t)(site.x + (ptrdiff_t)kx) < w->width;
}

static inline int is_inside(const struct bnn_window *w, struct bnn_site site)
{
    return site.y >= 0 && site.x >= 0 && (size_t)site.y + w->kernel <= w->height && (size_t)site.x + w->kernel <= w->width;
}

/* Where y of a pass comes from and where it is kept. */
enum source { MULTIPLY, MULTIPLY_AND_KEEP, READ };

/* y of a piece and a tile of channels as batch norm sees it (pooled, where pooling comes before it) into pass->tile.
 * Patches must have been gathered unless it is read.  A choice of pooling goes to c->choice, if `choose`. */
void bnn_conv_y(const struct bnn_kernels *k, const struct bnn_conv *c, const struct pass *s, const struct piece *piece,
                size_t tile, enum source source, int16_t *kept, int choose);

/* Pooling after the norm: which row of each window is chosen, words in pass->choice; y there in pass->chosen. */
void bnn_conv_choose(const struct bnn_kernels *k, const struct bnn_conv *c, const struct pass *s, const struct piece *piece,
                     size_t tile, const struct thresholds *t);

/* What one comparison per value needs, of all tiles, from the statistics: once before passes that compare. */
void bnn_conv_find_thresholds(const struct bnn_conv *c, int threads);

static inline const struct thresholds *bnn_conv_thresholds(const struct bnn_conv *c, size_t tile)
{
    return bnn_conv_pass(c, bnn_conv_own(c, 0)).thresholds + tile;
}

/* Rows of positions [rows][words(bits)] one behind the other without gaps: what a dense block takes in. */
void bnn_conv_flatten(const uint64_t *from, size_t rows, size_t bits, uint64_t *to);

/* Packed signs of W (and of a real X), the sums of its taps. */
void bnn_conv_pack(const struct bnn_kernels *k, const struct bnn_conv *c, size_t batch, int threads);

/* Sets the sums of all threads to zero; adds those of all threads to the first one's. */
void bnn_conv_clear_sums(const struct bnn_conv *c, int threads);
struct pass bnn_conv_add_sums(const struct bnn_conv *c, int threads);

/* Rows of dY [rows][width] of positions from `first`, channels from `channel` on, zeros where pooling did not choose:
 * their address and stride; `room` [rows][BNN_TILE] where they have to be made. */
const int8_t *bnn_conv_dy(const struct bnn_kernels *k, const struct bnn_conv *c, size_t first, size_t rows, size_t channel,
                          int8_t *room, size_t *stride);
/* The same as float32 [rows][BNN_TILE] into `out`; `pooled` is room for [rows / 4][BNN_TILE]. */
void bnn_conv_dy_f32(const struct bnn_kernels *k, const struct bnn_conv *c, size_t first, size_t rows, size_t channel,
                     float *pooled, float *out);

size_t bnn_conv_weight_scratch(const struct bnn_conv *c);
size_t bnn_conv_input_scratch(const struct bnn_conv *c);

/* dY in place of g, with the gradients of gamma and beta. */
void bnn_conv_output_gradient(const struct bnn_kernels *k, const struct bnn_conv *c, size_t batch,
                              const struct bnn_dense_step *step, int threads);
/* dW, consumed or stored. */
void bnn_conv_weight_gradient(const struct bnn_kernels *k, const struct bnn_conv *c, size_t batch,
                              const struct bnn_dense_step *step, int threads);
/* dX in place of dY. */
void bnn_conv_input_gradient(const struct bnn_kernels *k, const struct bnn_conv *c, size_t batch,
                             const struct bnn_dense_step *step, int threads);

/* Cuts the next `bytes` off a piece of memory, in whole cache lines. */
static inline void *bnn_cut(unsigned char **from, size_t bytes)
{
    void *piece = *from;
    *from += bnn_round_up(bytes, 64);
    return piece;
}

#endif
