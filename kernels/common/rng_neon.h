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

/* The same of a few vectors side by side, in place: of indices to which the lower half of the key is added. */
static BNN_INLINE void bnn_hash32_neon_mixed(uint32x4_t x[], size_t count, uint64_t key)
{
    BNN_UNROLL for (size_t i = 0; i < count; i++) x[i] = veorq_u32(x[i], vshrq_n_u32(x[i], 16));
    BNN_UNROLL for (size_t i = 0; i < count; i++) x[i] = vmulq_u32(x[i], vdupq_n_u32(BNN_HASH_FIRST));
    BNN_UNROLL for (size_t i = 0; i < count; i++) x[i] = veorq_u32(x[i], vshrq_n_u32(x[i], 15));
    BNN_UNROLL for (size_t i = 0; i < count; i++) x[i] = vaddq_u32(x[i], vdupq_n_u32((uint32_t)(key >> 32)));
    BNN_UNROLL for (size_t i = 0; i < count; i++) x[i] = vmulq_u32(x[i], vdupq_n_u32(BNN_HASH_SECOND));
    BNN_UNROLL for (size_t i = 0; i < count; i++) x[i] = veorq_u32(x[i], vshrq_n_u32(x[i], 15));
}

#endif
