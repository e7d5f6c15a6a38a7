/* augment.h: random shift and mirror of a training image, in place on the int8 batch buffer; allocates nothing.
 *
 * What happens to an image is a pure function of (seed, epoch, record): the same on every machine, in every batch and
 * after a resume.  Three draws per image, each bnn_hash32(record, bnn_key(seed, BNN_STREAM_AUGMENT, draw, epoch)):
 *
 *     draw 0   dy = (h (2 rows + 1) >> 32) - rows            uniform in -rows ... rows (bias below (2 rows + 1) / 2^32)
 *     draw 1   dx = (h (2 columns + 1) >> 32) - columns
 *     draw 2   mirror if the highest bit of h is set
 *
 *     out[i][j] = in'[i - dy][j - dx],  in' = in, or in with its columns reversed
 *
 * Outside in', `edge` repeats the nearest row and column; otherwise the value is 0, grey, which is also what padding of
 * a convolution contributes.  A crop of the original size out of an image padded by p on each side is a shift by up to
 * p.
 */
#ifndef BNN_AUGMENT_H
#define BNN_AUGMENT_H

#include "common/base.h"

enum { BNN_AUGMENT_DRAWS = 3 };

struct bnn_augment {
    size_t height, width, channels; /* of an image, HWC order */
    uint32_t rows, columns;         /* largest shift, below 2^31 */
    int edge;                       /* repeat the edge, else 0 */
    int mirror;                     /* half of the images */
    uint64_t keys[BNN_AUGMENT_DRAWS];
};

/* Sets the keys of an epoch. */
void bnn_augment_draw(struct bnn_augment *augment, uint64_t seed, uint64_t epoch);

/* Changes the image x [height][width][channels] of a record. */
void bnn_augment_image(const struct bnn_augment *augment, uint32_t record, int8_t *x);

#endif
