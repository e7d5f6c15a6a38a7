#include "grad.h"

/* The row loop adds one whole row of b at a time: the inner loop runs along columns and vectorises on any target. */
static void add_scaled_row(int32_t *c, const int8_t *b, int32_t value, size_t columns)
{
    for (size_t j = 0; j < columns; j++) c[j] += value * b[j];
}

/* signs[k][j] = +1 or -1 for up to BNN_TILE columns of a piece of b. */
static void expand_signs(const uint64_t *b, size_t b_stride_words, size_t depth, int8_t *signs)
{
    for (size_t k = 0; k < depth; k++)
        for (size_t j = 0; j < BNN_TILE; j++)
            signs[k * BNN_TILE + j] = (int8_t)(1 - 2 * (int)(b[k * b_stride_words] >> j & 1));
}

void bnn_gemm_i8_u1_i32_portable(const int8_t *a, size_t rows, size_t a_stride, const uint64_t *b,
                                 size_t b_stride_words, size_t columns, size_t depth,
                                 int32_t *c, size_t c_stride, void *panel, int reuse)
{
    int8_t *signs = panel;
    reuse = reuse && columns <= BNN_TILE && depth <= BNN_PANEL_DEPTH;
    for (size_t row = 0; row < rows; row++) memset(c + row * c_stride, 0, columns * sizeof *c);
    for (size_t j = 0; j < columns; j += BNN_TILE)
        for (size_t k0 = 0; k0 < depth; k0 += BNN_PANEL_DEPTH) {
            const size_t piece = bnn_min(BNN_PANEL_DEPTH, depth - k0), width = bnn_min(BNN_TILE, columns - j);
            if (!reuse) expand_signs(b + k0 * b_stride_words + j / BNN_TILE, b_stride_words, piece, signs);
            for (size_t row = 0; row < rows; row++)
                for (size_t k = 0; k < piece; k++)
                    add_scaled_row(c + row * c_stride + j, signs + k * BNN_TILE, a[row * a_stride + k0 + k], width);
        }
}

void bnn_gemm_i8_i8_i32_portable(const int8_t *a, size_t rows, size_t a_stride, const int8_t *b,
                                 size_t b_stride, size_t columns, size_t depth,
                                 int32_t *c, size_t c_stride, void *panel, int reuse)
{
    (void)panel, (void)reuse;
    for (size_t row = 0; row < rows; row++) {
        memset(c + row * c_stride, 0, columns * sizeof *c);
        for (size_t k = 0; k < depth; k++)
            add_scaled_row(c + row * c_stride, b + k * b_stride, a[row * a_stride + k], columns);
    }
}
