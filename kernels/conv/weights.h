/* weights.h: what the two ways to dW share.  A block is 64 output channels by some input channels at all taps; it is summed
 * over the whole batch, in pieces of BNN_CONV_CHUNK positions, and then consumed, some rows at a time. */
#ifndef BNN_CONV_WEIGHTS_H
#define BNN_CONV_WEIGHTS_H

#include "tile.h"

struct bnn_block {
    size_t output, outputs; /* channels from ... on, and how many */
    size_t word, words;     /* words of input channels; none in the first layer */
    int limit;
};

/* Words of input channels that a block takes at a time. */
static inline size_t bnn_block_words(const struct bnn_conv *c)
{
    const size_t few = bnn_taps(&c->window) > 9 ? 1 : BNN_CONV_DW_WORDS;
    return bnn_min(few, bnn_words(c->window.channels));
}

/* Columns of a block. */
static inline size_t bnn_block_columns(const struct bnn_conv *c)
{
    return c->dense.x_i8 ? bnn_round_up(c->dense.inputs, BNN_TILE) : bnn_taps(&c->window) * bnn_block_words(c) * BNN_TILE;
}

/* Input channels of a word. */
static inline size_t bnn_channels_of(const struct bnn_conv *c, size_t word)
{
    return bnn_min(BNN_TILE, c->window.channels - word * BNN_TILE);
}

/* Where some rows of a block, at one tap and word, lie in W. */
static inline struct bnn_place bnn_block_place(const struct bnn_conv *c, const struct bnn_block *b, size_t row, size_t tap,
                                               size_t word)
{
    const size_t taps = bnn_taps(&c->window), channels = c->window.channels, words = bnn_words(channels);
    const size_t line = (b->output + row) * taps + tap;
    return (struct bnn_place){line * channels + (b->word + word) * BNN_TILE, taps * channels, line * words + b->word + word,
                              taps * words};
}

/* Integer gradients of packed inputs: every thread has some rows of a block. */
void bnn_conv_weight_signs(const struct bnn_kernels *k, const struct bnn_conv *c, size_t positions,
                           const struct bnn_dense_step *step, const struct bnn_block *block, int threads);
/* Bytes of a block of theirs, which threads share, and of a thread's own. */
size_t bnn_conv_signs_block(const struct bnn_conv *c);
size_t bnn_conv_signs_scratch(const struct bnn_conv *c);

#endif
