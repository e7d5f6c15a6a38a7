/* weight_block.h: what the two ways to dW share.  A block of dW is 64 output channels by some input channels at all taps; it
 * is summed over the whole batch, in pieces of BNN_CONV_CHUNK positions, and then consumed, some rows at a time. */
#ifndef BNN_CONV_WEIGHT_BLOCK_H
#define BNN_CONV_WEIGHT_BLOCK_H

#include "../block/weights.h"
#include "pass.h"

/* Rows of a block that are consumed at a time. */
enum { BNN_FINISHED_ROWS = 8 };

struct weight_block {
    const struct conv_call *call;
    size_t output, outputs; /* channels from ... on, and how many */
    size_t word, words;     /* words of input channels; none in the first layer */
    size_t positions;       /* of the batch */
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
    if (c->block.x_i8 || is_narrow(&c->window)) return bnn_round_up(c->block.inputs, BNN_TILE);
    return bnn_taps(&c->window) * bnn_block_words(c) * BNN_TILE;
}

/* Input channels of a block's word. */
static inline size_t bnn_block_width(const struct weight_block *w, size_t word)
{
    return bnn_tile_width(w->call->c->window.channels, w->word + word);
}

/* Where a block's columns of a tap and word begin: in narrow windows one tap's stand behind the other's. */
static inline size_t bnn_block_column(const struct bnn_conv *c, size_t tap, size_t word)
{
    if (is_narrow(&c->window)) return tap * c->window.channels;
    return (tap * bnn_block_words(c) + word) * BNN_TILE;
}

/* Where rows of a block, at one tap and word, lie in W. */
static inline struct bnn_place bnn_block_place(const struct weight_block *w, size_t row, size_t tap, size_t word)
{
    const struct bnn_conv *c = w->call->c;
    return bnn_place_of(&c->block, c->window.channels, w->output + row, tap, w->word + word);
}

/* Integer gradients of packed inputs: every thread has some rows of a block. */
void bnn_conv_weight_signs(const struct weight_block *block);
/* Bytes of a block of theirs, which threads share, and of a thread's own. */
size_t bnn_conv_signs_block(const struct bnn_conv *c);
size_t bnn_conv_signs_scratch(const struct bnn_conv *c);

#endif
