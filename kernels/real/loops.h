/* loops.h: float loops, compiled once per instruction set (BNN_NAME appends the set's name, BNN_VECTOR_BYTES is the
 * width of its registers). */
#include <math.h>

#include "../common/number.h"
#include "real.h"

typedef float vector __attribute__((vector_size(BNN_VECTOR_BYTES)));
typedef float unaligned __attribute__((vector_size(BNN_VECTOR_BYTES), aligned(4)));
enum { LANES = BNN_VECTOR_BYTES / 4, ROWS = 4, VECTORS = 2 };

/* A tile of ROWS rows and VECTORS vectors of columns, all sums in registers. */
static inline void tile_f32(const float *a, size_t a_row, size_t a_depth, const float *b, size_t b_stride, size_t depth,
                            float *c, size_t c_stride)
{
    vector sum[ROWS][VECTORS] = {{{0}}};
    for (size_t k = 0; k < depth; k++, b += b_stride)
        for (int row = 0; row < ROWS; row++) {
            float value = a[row * a_row + k * a_depth];
            for (int i = 0; i < VECTORS; i++) sum[row][i] += value * *(const unaligned *)(b + i * LANES);
        }
    for (int row = 0; row < ROWS; row++)
        for (int i = 0; i < VECTORS; i++) *(unaligned *)(c + row * c_stride + i * LANES) = sum[row][i];
}

/* What is left at the right and bottom edges, in the same order of summation. */
static void edge_f32(const float *a, size_t rows, size_t a_row, size_t a_depth, const float *b, size_t b_stride,
                     size_t columns, size_t depth, float *c, size_t c_stride)
{
    for (size_t row = 0; row < rows; row++) {
        memset(c + row * c_stride, 0, columns * sizeof *c);
        for (size_t k = 0; k < depth; k++) {
            float value = a[row * a_row + k * a_depth];
            for (size_t j = 0; j < columns; j++) c[row * c_stride + j] += value * b[k * b_stride + j];
        }
    }
}

void BNN_NAME(gemm_f32)(const float *a, size_t rows, size_t a_row, size_t a_depth, const float *b,
                        size_t b_stride, size_t columns, size_t depth, float *c, size_t c_stride)
{
    const size_t full_rows = rows - rows % ROWS, full_columns = columns - columns % (VECTORS * LANES);
    for (size_t j = 0; j < full_columns; j += VECTORS * LANES)
        for (size_t row = 0; row < full_rows; row += ROWS)
            tile_f32(a + row * a_row, a_row, a_depth, b + j, b_stride, depth, c + row * c_stride + j, c_stride);
    if (full_columns < columns)
        edge_f32(a, full_rows, a_row, a_depth, b + full_columns, b_stride, columns - full_columns, depth,
                 c + full_columns, c_stride);
    if (full_rows < rows)
        edge_f32(a + full_rows * a_row, rows - full_rows, a_row, a_depth, b, b_stride, columns, depth,
                 c + full_rows * c_stride, c_stride);
}

void BNN_NAME(expand_u1_f32)(const uint64_t *bits, size_t stride_words, size_t rows, size_t columns,
                             float *out, size_t out_stride)
{
    for (size_t row = 0; row < rows; row++)
        for (size_t first = 0; first < columns; first += BNN_WORD_BITS) {
            uint64_t word = bits[row * stride_words + first / BNN_WORD_BITS];
            size_t count = bnn_min(BNN_WORD_BITS, columns - first);
            for (size_t i = 0; i < count; i++)
                out[row * out_stride + first + i] = (float)(1 - 2 * (int32_t)(word >> i & 1));
        }
}

#define EACH(EXPRESSION)                                                           \
    for (size_t row = 0; row < rows; row++, values += stride, out += out_stride)   \
        for (size_t i = 0; i < columns; i++) out[i] = (EXPRESSION);

void BNN_NAME(convert_i8_f32)(const int8_t *values, size_t stride, size_t rows, size_t columns,
                              float *out, size_t out_stride)
{
    EACH((float)values[i])
}

void BNN_NAME(convert_f16_f32)(const uint16_t *values, size_t stride, size_t rows, size_t columns,
                               float *out, size_t out_stride)
{
    EACH(bnn_float_from_half(values[i]))
}

void BNN_NAME(convert_f32_f16)(const float *values, size_t stride, size_t rows, size_t columns,
                               uint16_t *out, size_t out_stride)
{
    EACH(bnn_half_from_float(values[i]))
}
#undef EACH

void BNN_NAME(quantise_f32_i8)(const float *values, size_t count, float multiplier, int8_t *q)
{
    for (size_t i = 0; i < count; i++) q[i] = (int8_t)bnn_round(bnn_clip(values[i] * multiplier, 127.0f));
}

void BNN_NAME(softmax_f32)(const float *z, const uint8_t *labels, size_t rows, size_t classes, float smoothing,
                           float *gradient, double *loss, uint8_t *hit)
{
    const float elsewhere = smoothing / (float)classes;
    for (size_t row = 0; row < rows; row++, z += classes) {
        size_t best = 0, label = labels[row];
        for (size_t i = 1; i < classes; i++) best = z[i] > z[best] ? i : best;
        const float most = z[best];
        float total = 0.0f, distance = 0.0f;
        for (size_t i = 0; i < classes; i++) {
            total += bnn_exp(z[i] - most);
            distance += most - z[i];
        }
        /* -sum target log p = log(total) + sum target (most - z), as the targets add up to 1. */
        loss[row] = bnn_log((double)total) + (double)elsewhere * distance +
                    (double)(1.0f - smoothing) * (double)(most - z[label]);
        hit[row] = best == label;
        if (gradient) {
            const float inverse = 1.0f / total;
            for (size_t i = 0; i < classes; i++) gradient[i] = bnn_exp(z[i] - most) * inverse - elsewhere;
            gradient[label] -= 1.0f - smoothing;
            gradient += classes;
        }
    }
}

void BNN_NAME(adam_f32)(float *value, float *m, float *v, const float *gradient, size_t count,
                        const struct bnn_adam_step *step)
{
    const struct bnn_adam_step s = *step;
    const float decay1 = 1.0f - s.beta1, decay2 = 1.0f - s.beta2;
    for (size_t i = 0; i < count; i++) {
        float g = gradient[i] * s.gradient_scale;
        m[i] = s.beta1 * m[i] + decay1 * g;
        v[i] = s.beta2 * v[i] + decay2 * (g * g);
        value[i] -= s.learning_rate * (m[i] * s.correction1) / (sqrtf(v[i] * s.correction2) + s.epsilon);
    }
}
