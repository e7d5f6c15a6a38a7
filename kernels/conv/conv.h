/* conv.h: a convolution block, product -> (max-pool) -> batch norm -> sign, forward and backward.
 *
 * The inputs of an output are the taps times the channels of a window, the rows of y the positions of all images.  im2col
 * patches are made a few hundred rows at a time; y of a whole batch never exists in 32 bits, so passes over it multiply
 * again or read 16-bit copies that lie in bytes which nothing else needs then; and gradients of all convolution blocks share
 * one region, in which a block's dX takes the place of its dY, some images at a time.
 *
 *   forward    sums of y; then signs.     backward   sums of g and g*y; dY in place of g; dW; dX in place of dY
 *
 * W is [O][taps][I]; its packed signs [O][taps][words(I)] (first layer: [O][words(taps*I)]).  Activations are NHWC.
 * A tap outside the image is skipped: patches hold zeros there, and where a zero bit would count as +1 the sums of the
 * tap's signs (y) or of dY (dW) are taken off again.
 */
#ifndef BNN_CONV_H
#define BNN_CONV_H

#include "../block/block.h"
#include "window.h"

/* Positions that a pass works on at a time: a multiple of the product kernels' six rows and of a pooling window. */
#define BNN_CONV_ROWS 192
/* Positions of a piece of dW's sum over the batch. */
#define BNN_CONV_CHUNK 256
/* Output channels, and words of input channels, of a block of dW: 64 x 9 taps x 128 int32 stay in the second-level cache. */
#define BNN_CONV_DW_WORDS 2

struct bnn_conv {
    /* inputs = taps*I, outputs = O; x_* [B*H*W][I]; g, dx: the shared region; out_*, mask_u1 [B*out positions][O]. */
    struct bnn_block block;
    struct bnn_window window;
    const struct bnn_origin *origins; /* [positions] */
    const int32_t *neighbours;      /* [H*W][taps]; NULL without dX */
    int32_t *tap_sums;              /* [taps][O]: sums of the signs of W; NULL where no tap is skipped */
    uint64_t *argmax;               /* [B*positions][words(O)]: argmax mask of pooling before the norm, from the pass for sums
                                     * of the backward to its products */
    int16_t *y_forward, *y_backward; /* [B*norm positions][O]: y from one pass to the next; NULL to multiply again */
    void *window_gradient;          /* pooling after the norm: g of a group of images */
    unsigned char *tables;          /* dX: look-up tables (int8) or dY (float32) of a group of images, a row per position;
                                     * before that, dW of integers: a block and what threads share with it */
    uint8_t *lookup;                /* dX, int8: indices of W for the look-ups, [words(I)][taps][groups(O)] */
    size_t group;                   /* images of a group */
    uint64_t *flat_u1;              /* [B][words(out positions*O)]: the output as a dense block reads it; or NULL */
};

/* Bytes of one thread's scratch, and of the shared buffers of a group of images. */
size_t bnn_conv_scratch(const struct bnn_conv *conv);
size_t bnn_conv_tables(const struct bnn_conv *conv, int limit);
size_t bnn_conv_lookup(const struct bnn_conv *conv);
size_t bnn_conv_group(const struct bnn_window *window, int threads);

void bnn_conv_forward(const struct bnn_kernels *kernels, const struct bnn_conv *conv, size_t batch, int first, int threads);
void bnn_conv_backward(const struct bnn_kernels *kernels, const struct bnn_conv *conv, size_t batch,
                       const struct bnn_block_step *step, int threads);
void bnn_conv_update(const struct bnn_kernels *kernels, const struct bnn_conv *conv, const struct bnn_block_step *step,
                     int threads);

#endif
