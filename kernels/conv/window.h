/* window.h: where a convolution's windows lie, and in which order its positions are worked on and stored.
 *
 * Positions of an image without pooling stand in scan order.  With pooling the four positions of a pooling window stand
 * one after the other (in scan order within the window), windows in scan order: pooling then is four rows to one.  What a
 * floor leaves over follows: the right column from top to bottom, then the bottom row from left to right; with pooling
 * before the norm those positions are of no use and do not exist.
 *
 * Pooling takes the largest of a window's values, or their sum: an average, whose factor the norm behind it cancels.
 */
#ifndef BNN_WINDOW_H
#define BNN_WINDOW_H

#include "../pool/pool.h"

enum bnn_pool {
    BNN_pool_none,
    BNN_pool_before_norm,
    BNN_pool_before_sign,
    BNN_pool_after_sign,
    BNN_pool_sum_before_norm
};

struct bnn_window {
    size_t height, width, channels;       /* of the input */
    size_t kernel, stride, pad_top, pad_left;
    size_t out_height, out_width;         /* of the product, before pooling */
    enum bnn_pool pool;
};

/* Upper left corner of a position's window in the input; outside the image where it is padded. */
struct bnn_origin {
    int32_t y, x;
};

static inline int bnn_pools_before_norm(const struct bnn_window *w)
{
    return w->pool == BNN_pool_before_norm || w->pool == BNN_pool_sum_before_norm;
}

/* Pooling windows of an image. */
static inline size_t bnn_windows(const struct bnn_window *w)
{
    return w->pool == BNN_pool_none ? 0 : (w->out_height / 2) * (w->out_width / 2);
}

/* Positions of an image. */
static inline size_t bnn_positions(const struct bnn_window *w)
{
    return bnn_pools_before_norm(w) ? BNN_POOL_ROWS * bnn_windows(w) : w->out_height * w->out_width;
}

/* Values per channel of an image that batch norm sees. */
static inline size_t bnn_norm_positions(const struct bnn_window *w)
{
    return bnn_pools_before_norm(w) ? bnn_windows(w) : bnn_positions(w);
}

/* Positions of an image that go out. */
static inline size_t bnn_out_positions(const struct bnn_window *w)
{
    return w->pool == BNN_pool_none ? bnn_positions(w) : bnn_windows(w);
}

static inline size_t bnn_taps(const struct bnn_window *w) { return w->kernel * w->kernel; }

/* The place of a position in the stored order, or -1 where it does not exist. */
ptrdiff_t bnn_position_place(const struct bnn_window *w, size_t y, size_t x);

/* origins [positions]: in the stored order. */
void bnn_window_origins(const struct bnn_window *w, struct bnn_origin *origins);

/* neighbours [height*width][taps]: the place of the position whose tap sees an input, or -1: the transposed convolution. */
void bnn_window_neighbours(const struct bnn_window *w, int32_t *neighbours);

#endif
