#include "loss.h"

#include "../common/number.h"
#include "../common/parallel.h"

/* Samples whose losses are added up together. */
enum { CHUNK = 256 };

static void store_int8(const struct bnn_kernels *k, const float *values, size_t count, int8_t *q,
                       struct bnn_scale *scale)
{
    float largest = 0.0f;
    for (size_t i = 0; i < count; i++) {
        float size = bnn_absolute(values[i]);
        largest = size > largest ? size : largest;
    }
    scale->used = largest > 0.0f ? largest / 127.0f : 1.0f;
    k->quantise_f32_i8(values, count, 1.0f / scale->used, q);
}

struct bnn_loss_result bnn_loss(const struct bnn_kernels *k, float *logits, const uint8_t *labels, size_t rows,
                                size_t classes, float smoothing, enum bnn_type type, void *gradient,
                                struct bnn_scale *scale, int threads)
{
    struct bnn_loss_result result = {0.0, 0};
    double loss[CHUNK];
    uint8_t hit[CHUNK];
    for (size_t row = 0; row < rows; row += CHUNK) {
        const size_t count = bnn_min(CHUNK, rows - row), share = bnn_ceil_div(count, (size_t)threads);
        BNN_PARALLEL_FOR(threads)
        for (size_t first = 0; first < count; first += share) {
            float *z = logits + (row + first) * classes;
            k->softmax_f32(z, labels + row + first, bnn_min(share, count - first), classes, smoothing, gradient ? z : NULL,
                           loss + first, hit + first);
        }
        for (size_t i = 0; i < count; i++) {
            result.loss += loss[i];
            result.hits += hit[i];
        }
    }
    if (!gradient) return result;
    switch (type) {
    case BNN_f32: memcpy(gradient, logits, rows * classes * sizeof *logits); break;
    case BNN_f16: k->convert_f32_f16(logits, classes, rows, classes, gradient, classes); break;
    default: store_int8(k, logits, rows * classes, gradient, scale);
    }
    return result;
}
