/* weights.h: latent weights W [O][I] of a block: their packed signs, and the ways of dW into them. */
#ifndef BNN_WEIGHTS_H
#define BNN_WEIGHTS_H

#include "block.h"

/* A normalised gradient, an integer, of this size is what is usual in its channel; it is limited to four times that. */
#define BNN_USUAL_GRADIENT 32.0f

/* Packed signs of rows of latent weights, from element `at`. */
void bnn_prepack_latent(const struct bnn_kernels *k, const struct bnn_block *b, size_t at, size_t rows, size_t columns,
                        uint64_t *bits);

/* Packed signs of W as [O][words(I)], transposed as well where the input is int8. */
void bnn_prepack_weights(const struct bnn_kernels *k, const struct bnn_block *b, int threads);

/* Where a piece of dW lies: its first element and the elements from row to row; the same in words of packed signs, of which
 * every `line` of elements starts on a word. */
struct bnn_place {
    size_t at, stride, word, word_stride;
};

/* From a row on, at a word of one of the lines that a row consists of. */
static inline struct bnn_place bnn_place_of(const struct bnn_block *b, size_t line, size_t row, size_t number, size_t word)
{
    const size_t lines = b->inputs / line, words = bnn_words(line), first = row * lines + number;
    return (struct bnn_place){first * line + word * BNN_TILE, b->inputs, first * words + word, lines * words};
}

/* A piece of dW [rows][width], width <= BNN_TILE: into its storage, or into the weights at once.  The float32 one may be
 * overwritten; that of exact sums also takes more columns where the update is one of integers. */
void bnn_consume(const struct bnn_kernels *k, const struct bnn_block *b, const struct bnn_block_step *step,
                 struct bnn_place place, size_t rows, size_t width, float *gradient);
void bnn_consume_i32(const struct bnn_kernels *k, const struct bnn_block *b, const struct bnn_block_step *step,
                     struct bnn_place place, size_t rows, size_t width, const int32_t *sums, size_t sums_stride);

/* Around all of a step's dW: the sums of its magnitudes at zero, and what they make of the running means. */
void bnn_clear_magnitudes(const struct bnn_block *b);
void bnn_follow_magnitudes(const struct bnn_block *b, const struct bnn_block_step *step);

/* Adam on gamma and beta, and the optimiser step of a stored dW. */
void bnn_update(const struct bnn_kernels *k, const struct bnn_block *b, const struct bnn_block_step *step, size_t line,
                int threads);

#endif
