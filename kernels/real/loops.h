/* loops.h: float loops, compiled once per instruction set (BNN_NAME appends the set's name, BNN_VECTOR_BYTES is the
 * width of its registers; the set has its own version of an op where BNN_HAVE_<op> is defined). */
#include <math.h>

#include "../common/number.h"
#include "real.h"

typedef float vector __attribute__((vector_size(BNN_VECTOR_BYTES)));
typedef float unaligned __attribute__((vector_size(BNN_VECTOR_BYTES), aligned(4)));
/* One vector of 64 bytes does better than two with gcc 12, two of the narrower ones better than one. */
enum { LANES = BNN_VECTOR_BYTES / 4, ROWS = 4, VECTORS = BNN_VECTOR_BYTES == 64 ? 1 : 2, COLUMNS = VECTORS * LANES };

/* c = a * b, or that added to c, for `rows` rows and COLUMNS columns, all sums in registers. */
static inline __attribute__((always_inline)) void tile_f32(const int rows, const float *a, size_t a_row, size_t a_depth,
                                                           const float *b, size_t b_stride, size_t depth, float *c,
                                                           size_t c_stride, int add)
{
    vector sum[ROWS][VECTORS] = {{{0}}};
    if (add)
        for (int row = 0; row < rows; row++)
            for (int i = 0; i < VECTORS; i++) sum[row][i] = *(const unaligned *)(c + row * c_stride + i * LANES);
    for (size_t k = 0; k < depth; k++, b += b_stride)
        for (int row = 0; row < rows; row++) {
            float value = a[row * a_row + k * a_depth];
            for (int i = 0; i < VECTORS; i++) sum[row][i] += value * *(const unaligned *)(b + i * LANES);
        }
    for (int row = 0; row < rows; row++)
        for (int i = 0; i < VECTORS; i++) *(unaligned *)(c + row * c_stride + i * LANES) = sum[row][i];
}

/* COLUMNS columns of all rows; every switch arm is a tile with its size known at compile time. */
static void column_f32(const float *a, size_t rows, size_t a_row, size_t a_depth, const float *b, size_t b_stride,
                       size_t depth, float *c, size_t c_stride, int add)
{
    for (; rows >= ROWS; rows -= ROWS, a += ROWS * a_row, c += ROWS * c_stride)
        tile_f32(ROWS, a, a_row, a_depth, b, b_stride, depth, c, c_stride, add);
    switch (rows) {
    case 3: tile_f32(3, a, a_row, a_depth, b, b_stride, depth, c, c_stride, add); break;
    case 2: tile_f32(2, a, a_row, a_depth, b, b_stride, depth, c, c_stride, add); break;
    case 1: tile_f32(1, a, a_row, a_depth, b, b_stride, depth, c, c_stride, add); break;
    }
}

/* The columns at the right edge, in the same order of summation: pieces of b and c are padded to COLUMNS. */
static void edge_f32(const float *a, size_t rows, size_t a_row, size_t a_depth, const float *b, size_t b_stride,
                     size_t columns, size_t depth, float *c, size_t c_stride)
{
    enum { PIECE = 64 };
    float b_piece[PIECE][COLUMNS] = {{0}}, c_piece[ROWS][COLUMNS] = {{0}};
    for (size_t row = 0; row < rows; row++) memset(c + row * c_stride, 0, columns * sizeof *c);
    for (size_t k0 = 0; k0 < depth; k0 += PIECE) {
        const size_t piece = bnn_min(PIECE, depth - k0);
        for (size_t k = 0; k < piece; k++) memcpy(b_piece[k], b + (k0 + k) * b_stride, columns * sizeof *b);
        for (size_t row = 0; row < rows; row += ROWS) {
            const size_t count = bnn_min(ROWS, rows - row);
            for (size_t i = 0; i < count; i++) memcpy(c_piece[i], c + (row + i) * c_stride, columns * sizeof *c);
            column_f32(a + row * a_row + k0 * a_depth, count, a_row, a_depth, b_piece[0], COLUMNS, piece, c_piece[0],
                       COLUMNS, 1);
            for (size_t i = 0; i < count; i++) memcpy(c + (row + i) * c_stride, c_piece[i], columns * sizeof *c);
        }
    }
}

/* COLUMNS columns of a wide b, whose rows lie pages apart: a piece of the depth at a time is copied together, which
 * pays where several rows use it.  The order of summation stays that of the depth. */
static void wide_column_f32(const float *a, size_t rows, size_t a_row, size_t a_depth, const float *b, size_t b_stride,
                            size_t depth, float *c, size_t c_stride)
{
    enum { PIECE = 256 };
    float piece[PIECE][COLUMNS];
    size_t k0 = 0;
    do {
        const size_t count = bnn_min(PIECE, depth - k0);
        for (size_t k = 0; k < count; k++) memcpy(piece[k], b + (k0 + k) * b_stride, sizeof piece[k]);
        column_f32(a + k0 * a_depth, rows, a_row, a_depth, piece[0], COLUMNS, count, c, c_stride, k0 > 0);
        k0 += PIECE;
    } while (k0 < depth);
}

void BNN_NAME(gemm_f32)(const float *a, size_t rows, size_t a_row, size_t a_depth, const float *b,
                        size_t b_stride, size_t columns, size_t depth, float *c, size_t c_stride)
{
    const size_t whole = columns - columns % COLUMNS;
    const int is_wide = b_stride > BNN_TILE && rows >= 4 * ROWS;
    for (size_t j = 0; j < whole; j += COLUMNS) {
        if (is_wide) wide_column_f32(a, rows, a_row, a_depth, b + j, b_stride, depth, c + j, c_stride);
        else column_f32(a, rows, a_row, a_depth, b + j, b_stride, depth, c + j, c_stride, 0);
    }
    if (whole < columns)
        edge_f32(a, rows, a_row, a_depth, b + whole, b_stride, columns - whole, depth, c + whole, c_stride);
}

#ifndef BNN_HAVE_expand_u1_f32
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
#endif

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

#ifndef BNN_HAVE_quantise_f32_i8
void BNN_NAME(quantise_f32_i8)(const float *values, size_t count, float multiplier, int8_t *q)
{
    for (size_t i = 0; i < count; i++) q[i] = (int8_t)bnn_round(bnn_clip(values[i] * multiplier, 127.0f));
}
#endif

/* Terms of a row that are added up in float32; such sums are added up in float64, so that many classes lose no digits. */
enum { TERMS = 256 };

void BNN_NAME(softmax_f32)(const float *z, const bnn_label *labels, size_t rows, size_t classes, float smoothing,
                           float *gradient, double *loss, uint8_t *correct)
{
    const float elsewhere = smoothing / (float)classes;
    for (size_t row = 0; row < rows; row++, z += classes) {
        /* Who reads labels has checked them; whatever they are, nothing is touched beyond the row. */
        size_t best = 0, label = bnn_min(labels[row], classes - 1);
        for (size_t i = 1; i < classes; i++) best = z[i] > z[best] ? i : best;
        const float most = z[best];
        double total = 0.0, distance = 0.0;
        for (size_t first = 0; first < classes; first += TERMS) {
            float part = 0.0f, part_distance = 0.0f;
            for (size_t i = first; i < bnn_min(first + TERMS, classes); i++) {
                part += bnn_exp(z[i] - most);
                part_distance += most - z[i];
            }
            total += (double)part;
            distance += (double)part_distance;
        }
        /* -sum target log p = log(total) + sum target (most - z), as the targets add up to 1. */
        loss[row] = bnn_log(total) + (double)elsewhere * distance +
                    (double)(1.0f - smoothing) * (double)(most - z[label]);
        correct[row] = best == label;
        if (gradient) {
            const float inverse = 1.0f / (float)total;
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
