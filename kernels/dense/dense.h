/* dense.h: a fully connected block, product -> batch norm -> sign, forward and backward, from the kernels of the folders.
 *
 *   forward    y = X * sgn(W)^T in tiles of BNN_TILE channels: one product, statistics, one comparison a value; y never
 *              exists whole
 *   backward   per tile: y again, straight-through cancellation of g, exact sums, dY in place of g;
 *              then dX = dY * sgn(W) and dW = dY^T * X, whose tiles are consumed at once or stored
 */
#ifndef BNN_DENSE_H
#define BNN_DENSE_H

#include "../block/block.h"

struct bnn_dense {
    struct bnn_block block;
    int8_t *dy_t; /* dY transposed [O][B]; int8 only */
};

/* Bytes of one thread's scratch for a batch. */
size_t bnn_dense_scratch(size_t outputs, size_t batch, enum bnn_type gradient_type);

/* The batch's statistics normalise, and move the running ones, from where they are or, in the run's first step, to where
 * the batch is. */
void bnn_dense_forward(const struct bnn_kernels *kernels, const struct bnn_dense *dense, size_t batch, int first,
                       int threads);
void bnn_dense_backward(const struct bnn_kernels *kernels, const struct bnn_dense *dense, size_t batch,
                        const struct bnn_block_step *step, int threads);
/* Adam on gamma and beta, and the optimiser step of a stored dW. */
void bnn_dense_update(const struct bnn_kernels *kernels, const struct bnn_dense *dense,
                      const struct bnn_block_step *step, int threads);

#endif
