/* init.h: initial latent weights.
 *
 * w = clip(sigma * z, +-range) with z from a sum of twelve uniform numbers (Irwin-Hall): mean 0, variance 1, and nothing
 * but integer arithmetic before one multiplication, hence the same on every machine.  Weight i uses hashes 6i ... 6i+5
 * of the key.  Integer latents hold round(w / range * 127 or 32767), and
 * +1 or -1 where that is 0: at large fan-in most weights round to 0, which counts as +1, and signs must stay balanced.
 */
#ifndef BNN_INIT_H
#define BNN_INIT_H

#include <stddef.h>
#include <stdint.h>

#include "../common/type.h"

void bnn_init_latent(void *latent, size_t count, enum bnn_type type, float range, float sigma, uint64_t key);

#endif
