/* rng_neon.h: bnn_hash32 of a vector of indices, on 64-bit ARM. */
#ifndef BNN_RNG_NEON_H
#define BNN_RNG_NEON_H

#include "neon.h"

#define BNN_HASH_FIRST UINT32_C(0x21f0aaad)
#define BNN_HASH_SECOND UINT32_C(0xd35a2d97)

static inline uint32x4_t bnn_hash32_neon(uint32x4_t index, uint64_t key)
{
    uint32x4_t x = vaddq_u32(index, vdupq_n_u32((uint32_t)key));
    x = veorq_u32(x, vshrq_n_u32(x, 16));
    x = vmulq_u32(x, vdupq_n_u32(BNN_HASH_FIRST));
    x = veorq_u32(x, vshrq_n_u32(x, 15));
    x = vaddq_u32(x, vdupq_n_u32((uint32_t)(key >> 32)));
    x = vmulq_u32(x, vdupq_n_u32(BNN_HASH_SECOND));
    return veorq_u32(x, vshrq_n_u32(x, 15));
}

#endif
