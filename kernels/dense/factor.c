#include <math.h>

#include "tile.h"

void bnn_dense_factor(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch, size_t tile, int32_t *y,
                      double *mean_t)
{
    const size_t base = tile * BNN_TILE, width = tile_width(d->outputs, tile);
    memset(mean_t, 0, width * sizeof *mean_t);
    if (d->norm == BNN_norm_l2) return;
    struct thresholds t = thresholds_of(d, tile);
    if (d->norm == BNN_norm_l1)
        for (size_t c = 0; c < width; c++) { /* y >= mu, without gamma and beta */
            t.threshold[c] = (int32_t)ceil(d->mean[base + c]);
            t.flip[c] = 0;
        }
    k->sign_tile_i32(y, batch, width, BNN_TILE, t.threshold, t.flip);
    int64_t sum[BNN_TILE] = {0}, squares[BNN_TILE] = {0};
    k->norm_sums_i32(y, batch, width, BNN_TILE, sum, squares);
    for (size_t c = 0; c < width; c++) mean_t[c] = (double)sum[c] / (double)batch;
}
