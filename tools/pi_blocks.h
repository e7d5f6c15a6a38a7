/* pi_blocks.h: a training step of one block of a network, with buffers of its own. */
#ifndef PI_BLOCKS_H
#define PI_BLOCKS_H

#include "dispatch/dispatch.h"

/* Runs a step of a block of some kind on kernels, sizes as tools/pi_blocks.py writes them; returns whether there is such a kind. */
int run_block(const struct bnn_kernels *k, const char *kind, const size_t *sizes);

#endif
