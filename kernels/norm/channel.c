#include "channel.h"

#include <math.h>

void bnn_channel_spread(enum bnn_norm_kind kind, double n, int64_t sum, int64_t squares, double *mean, double *spread)
{
    *mean = (double)sum / n;
    if (kind == BNN_norm_l2) {
        double variance = (double)squares / n - *mean * *mean;
        *spread = variance > 0.0 ? variance : 0.0;
    } else {
        *spread = (double)squares / (n * n); /* the deviation sum is n times sum |y - mu| */
    }
}

double bnn_channel_inverse(enum bnn_norm_kind kind, double spread)
{
    return kind == BNN_norm_l2 ? 1.0 / sqrt(spread + BNN_NORM_EPSILON) : 1.0 / (spread + BNN_NORM_EPSILON);
}

/* The limits keep y + 1 and the comparison itself inside int32; no y gets near them.  NaN goes to the lower one. */
static int32_t to_int(double x)
{
    const double limit = 1073741824.0;
    return (int32_t)(x > -limit ? x < limit ? x : limit : -limit);
}

/* The y at which z reaches `level`. */
static double crossing(const struct bnn_channel *channel, double level)
{
    return channel->mean + (level - channel->beta) / (channel->gamma * channel->inverse);
}

void bnn_channel_threshold(const struct bnn_channel *channel, int32_t *threshold, uint8_t *flip)
{
    if (channel->gamma > 0.0) {
        *threshold = to_int(ceil(crossing(channel, 0.0)));
        *flip = 0;
    } else if (channel->gamma < 0.0) {
        *threshold = to_int(floor(crossing(channel, 0.0)) + 1.0);
        *flip = 1;
    } else {
        *threshold = INT32_MIN;
        *flip = channel->beta < 0.0;
    }
}

void bnn_channel_interval(const struct bnn_channel *channel, int32_t *low, int32_t *high)
{
    if (channel->gamma == 0.0) {
        int all = fabs(channel->beta) <= 1.0;
        *low = all ? INT32_MIN : 1;
        *high = all ? INT32_MAX : 0;
        return;
    }
    double side = channel->gamma > 0.0 ? 1.0 : -1.0;
    *low = to_int(ceil(crossing(channel, -side)));
    *high = to_int(floor(crossing(channel, side)));
}

struct bnn_affine bnn_channel_backward(enum bnn_norm_kind kind, const struct bnn_channel *channel, double n,
                                       double sum_g, double sum_gt, double mean_t, double magnitude)
{
    const double inverse = channel->inverse, gain = channel->gamma * inverse;
    struct bnn_affine out = {.a = gain, .grad_beta = sum_g, .c = -gain * sum_g / n};
    switch (kind) {
    case BNN_norm_l2:
        out.grad_gamma = inverse * (sum_gt - channel->mean * sum_g);
        out.b = -gain * inverse * out.grad_gamma / n;
        out.c -= out.b * channel->mean;
        break;
    case BNN_norm_l1:
        /* d mean|y - mu| / dy_i = (sgn(y_i - mu) - mean of those signs) / n */
        out.grad_gamma = inverse * (sum_gt - channel->mean * sum_g);
        out.b = -gain * out.grad_gamma / n;
        out.c -= out.b * mean_t;
        break;
    case BNN_norm_l1_binary:
        /* Wang et al. 2021: the normalised value is replaced by its sign times its mean magnitude. */
        out.b = -gain * magnitude * sum_gt / n;
        break;
    }
    return out;
}
