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

struct call {
    const struct bnn_kernels *k;
    float *logits, smoothing;
    const uint16_t *labels;
    size_t rows, share, classes; /* of a chunk; of a thread */
    double *loss;
    uint8_t *correct;
};

static void softmax_rows(const void *context, size_t number)
{
    const struct call *call = context;
    const size_t first = number * call->share, rows = bnn_min(call->share, call->rows - first);
    float *z = call->logits + first * call->classes;
    call->k->softmax_f32(z, call->labels + first, rows, call->classes, call->smoothing, z, call->loss + first, call->correct + first);
}

struct bnn_loss_result bnn_loss(const struct bnn_kernels *k, float *logits, const uint16_t *labels, size_t rows,
                                size_t classes, float smoothing, enum bnn_type type, void *gradient,
                                struct bnn_scale *scale, int threads)
{
    struct bnn_loss_result result = {0.0, 0};
    double loss[CHUNK];
    uint8_t correct[CHUNK];
    for (size_t row = 0; row < rows; row += CHUNK) {
        const size_t count = bnn_min(CHUNK, rows - row), share = bnn_ceil_div(count, (size_t)threads);
        const struct call call = {k, logits + row * classes, smoothing, labels + row, count, share, classes, loss, correct};
        bnn_for(threads, bnn_ceil_div(count, share), softmax_rows, &call);
        for (size_t i = 0; i < count; i++) {
            result.loss += loss[i];
            result.correct += correct[i];
        }
    }
    switch (type) {
    case BNN_f32: memcpy(gradient, logits, rows * classes * sizeof *logits); break;
    case BNN_f16: k->convert_f32_f16(logits, classes, rows, classes, gradient, classes); break;
    default: store_int8(k, logits, rows * classes, gradient, scale);
    }
    return result;
}
