/* channel.h: from a channel's exact sums to what the tile kernels need.  Plain double arithmetic, one channel at a time.
 *
 * z = gamma * (y - mu) * inverse + beta, with inverse = 1/sqrt(variance + eps) (l2) or 1/(mean |y - mu| + eps) (l1).
 * Source: Ioffe and Szegedy 2015 (l2); Wang et al. 2021, section 5 (l1 and its binary approximation).
 */
#ifndef BNN_CHANNEL_H
#define BNN_CHANNEL_H

#include "../common/base.h"

enum bnn_norm_kind { BNN_norm_l2, BNN_norm_l1, BNN_norm_l1_binary };

#define BNN_NORM_EPSILON 1e-5

/* What normalises one channel. */
struct bnn_channel {
    double mean, inverse, gamma, beta;
};

/* mean and spread (variance or mean absolute deviation) of n values; `squares` is sum y^2 (l2) or the deviation sum (l1). */
void bnn_channel_spread(enum bnn_norm_kind kind, double n, int64_t sum, int64_t squares, double *mean, double *spread);

double bnn_channel_inverse(enum bnn_norm_kind kind, double spread);

/* z < 0  <=>  (y < threshold) xor flip, for every integer y. */
void bnn_channel_threshold(const struct bnn_channel *channel, int32_t *threshold, uint8_t *flip);

/* |z| <= 1  <=>  low <= y <= high, for every integer y. */
void bnn_channel_interval(const struct bnn_channel *channel, int32_t *low, int32_t *high);

/* dL/dy = a*g + (b*t + c) with t = y (l2), sgn(y - mu) (l1) or sgn(z) (l1_binary); sums are those of the cancelled g:
 * sum_g, sum_gt as the kind needs it (of g*y for l2 and l1, of g*sgn(z) for l1_binary), mean_t the mean of t (l1).
 * magnitude: mean |z| (l1_binary).  Also the parameter gradients. */
struct bnn_affine {
    double a, b, c, grad_gamma, grad_beta;
};
struct bnn_affine bnn_channel_backward(enum bnn_norm_kind kind, const struct bnn_channel *channel, double n,
                                       double sum_g, double sum_gt, double mean_t, double magnitude);

#endif
