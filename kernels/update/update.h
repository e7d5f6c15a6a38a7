/* update.h: one optimiser step on a block of latent weights.
 *
 * Integer path (the default method): the gradient is a tile of exact integers of which only the sign counts,
 * s = sgn(gradient) in {-1, 0, +1} (0 where the sum is exactly 0: no evidence, no push).
 *   update_sign_momentum_i8   m' = (beta * m + (2^15 - beta) * 127 * s + 2^14) >> 15        momentum in units of 1/127
 *                             w' = clip(w - ((m' * rate + (hash >> 8)) >> 24), +-127)      latent in units of R/127
 *   update_sign_i8            the same with m' = 127 * s and no momentum
 *   update_channel_momentum_i8  the gradient's size counts, in units of what is usual in its row (an output channel):
 *                             q = round(gradient * multiplier[r]) limited to +-127, half to even
 *                             m' = q + ((((2^6 * beta * (m - q) + 2^14) >> 15) + u mod 2^6) >> 6)
 *                             w' = clip(w - ((2^shift * m' * step + u) >> 16), +-127)
 *                             magnitude[r] += sum_c |gradient|
 *                             u: 16 random bits, which round both stochastically; two columns share a hash, that of the
 *                             first one's index, in which they have the lower and the upper half
 * No gradient is -2^31.  `beta` is the decay in units of 2^-15; `rate` is lr/R, bias correction included, in units of 2^-24 (>= 0); hash is 32
 * random bits of the weight's index, so that (x + u) >> 24 rounds stochastically.  The caller keeps |m' * rate| below
 * 2^31 - 2^24.  The latent step is taken against the gradient.
 *
 * Real path (all other combinations)
 *   update_real               loads latent and moments to float32, applies the optimiser, stores them again;
 *                             int8 and int16 latents by stochastic rounding, float16 half to even
 *
 * Blocks are [rows][columns]; latent and moments have `stride` elements from row to row, gradients `g_stride`; `index` is
 * the index of the block's first weight in its tensor, index + row*stride + column that of any other.
 */
#ifndef BNN_UPDATE_H
#define BNN_UPDATE_H

#include "../common/base.h"
#include "../common/type.h"

struct bnn_sign_step {
    int32_t beta; /* 0 ... 2^15 */
    int32_t rate; /* lr / R * 2^24, bias correction included */
    uint64_t key; /* of the stochastic rounding: seed, layer, step */
};

#define BNN_LARGEST_SHIFT 7 /* a momentum, shifted, still has 16 bits */

struct bnn_channel_step {
    int16_t minus_beta; /* -2^15 ... 0 */
    int16_t step;       /* 2^(16 - shift) times what a momentum of 1 moves a weight by, in units of R/127; >= 0 */
    int16_t shift;      /* 0 ... BNN_LARGEST_SHIFT */
    uint64_t key;
};

typedef void bnn_update_sign_momentum_i8_fn(int8_t *latent BNN_UPDATED(rows, columns),
                                            int8_t *momentum BNN_UPDATED(rows, columns), size_t stride,
                                            const int32_t *gradient BNN_SHAPE(rows, columns), size_t g_stride, size_t rows,
                                            size_t columns, uint32_t index, const struct bnn_sign_step *step);
typedef void bnn_update_channel_momentum_i8_fn(int8_t *latent BNN_UPDATED(rows, columns),
                                               int8_t *momentum BNN_UPDATED(rows, columns), size_t stride,
                                               const int32_t *gradient BNN_SHAPE(rows, columns), size_t g_stride,
                                               size_t rows, size_t columns, uint32_t index,
                                               const float *multiplier BNN_SHAPE(rows),
                                               int64_t *magnitude BNN_UPDATED(rows), const struct bnn_channel_step *step);
typedef void bnn_update_sign_i8_fn(int8_t *latent BNN_UPDATED(rows, columns), size_t stride,
                                   const int32_t *gradient BNN_SHAPE(rows, columns), size_t g_stride, size_t rows,
                                   size_t columns, uint32_t index, const struct bnn_sign_step *step);

enum bnn_optimizer { BNN_adam, BNN_sgd, BNN_sign_momentum, BNN_sign, BNN_bop };

/* Moments stay in units of `unit` times the gradient handed in: with binarised gradients +-1 of which the optimiser is to
 * see +-attenuation, m is kept in units of attenuation and v of attenuation^2, out of reach of float16's underflow. */
struct bnn_real_step {
    enum bnn_optimizer optimizer;
    enum bnn_type latent_type;   /* f32, f16, i16, i8 */
    enum bnn_type momentum_type; /* f32, f16, i8 (sign_momentum only, in units of 1/127) */
    float range;                 /* R: latents are clipped to +-R */
    float learning_rate;
    float beta1, beta2;          /* decay of the first and second momentum */
    float correction1, correction2; /* 1 / (1 - beta^t) */
    float epsilon;               /* of Adam, in the moments' units */
    float gradient_scale;        /* the gradient is what is handed in times this */
    float threshold;             /* of Bop */
    uint64_t key;                /* of the stochastic rounding */
};

typedef void bnn_update_real_fn(void *latent BNN_TYPED(step->latent_type, rows, columns),
                                void *momentum1 BNN_TYPED(step->momentum_type, rows, columns),
                                void *momentum2 BNN_TYPED(step->momentum_type, rows, columns), size_t stride,
                                const float *gradient BNN_SHAPE(rows, columns), size_t g_stride, size_t rows,
                                size_t columns, uint32_t index, const struct bnn_real_step *step);

#endif
