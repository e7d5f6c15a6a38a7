#include "tile.h"

void bnn_dense_backward(const struct bnn_kernels *k, const struct bnn_dense *d, size_t batch,
                        const struct bnn_dense_step *step, int threads)
{
    bnn_dense_pack(k, d, batch, threads);
    if (d->gradient_type == BNN_i8) bnn_dense_backward_int8(k, d, batch, step, threads);
    else bnn_dense_backward_real(k, d, batch, step, threads);
}
