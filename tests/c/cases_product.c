/* cases_product.c: packing, transposition and the integer products. */
#include "cases.h"

#define EACH_BIT(WHERE) \
    for (size_t r = 0; r < rows; r++) \
        for (size_t c = 0; c < columns; c++) naive_set(bits, stride_words, r, c, (WHERE));

void naive_pack_i8_u1(const int8_t *values, size_t rows, size_t columns, size_t stride, uint64_t *bits, size_t stride_words)
{
    EACH_BIT(values[r * stride + c] < 0)
}

void naive_pack_i16_u1(const int16_t *values, size_t rows, size_t columns, size_t stride, uint64_t *bits,
                       size_t stride_words)
{
    EACH_BIT(values[r * stride + c] < 0)
}

void naive_pack_f16_u1(const uint16_t *values, size_t rows, size_t columns, size_t stride, uint64_t *bits,
                       size_t stride_words)
{
    EACH_BIT(naive_from_half(values[r * stride + c]) < 0.0)
}

void naive_pack_f32_u1(const float *values, size_t rows, size_t columns, size_t stride, uint64_t *bits,
                       size_t stride_words)
{
    EACH_BIT(values[r * stride + c] < 0.0f)
}

/* BLOCK: the values of a case. */
#define TEST_PACK(OP, BLOCK)                                                                                \
    void test_##OP(bnn_##OP##_fn *run, bnn_##OP##_fn *expected)                                             \
    {                                                                                                       \
        for (size_t i = 0; i < check_shapes; i++, check_release()) {                                        \
            const struct shape s = check_plane(i, 60000);                                                   \
            const size_t stride = check_stride(s.columns), words = bnn_words(s.columns);                    \
            const size_t out_stride = check_stride(words), out_count = check_span(s.rows, words, out_stride); \
            const size_t count = check_span(s.rows, s.columns, stride);                                     \
            const enum fill fill = (enum fill)(i % FILL_count);                                             \
            (void)fill;                                                                                     \
            uint64_t *got = check_block(out_count, 8), *want = check_copy(got, out_count, 8);               \
            run(BLOCK, s.rows, s.columns, stride, got, out_stride);                                         \
            expected(last_block, s.rows, s.columns, stride, want, out_stride);                              \
            CHECK_SAME(got, want, out_count);                                                               \
        }                                                                                                   \
    }

static const void *last_block;
static const void *keep(const void *block) { return last_block = block; }

/* Infinities, zeros of both signs and not-a-numbers among ordinary floats. */
static float *special_f32(size_t count)
{
    static const uint32_t special[] = {0, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 1, 0x80000001};
    float *block = check_f32(count, 1.0);
    for (size_t i = 0; i < count; i += 1 + check_random() % 7) memcpy(block + i, &special[check_random() % 8], 4);
    return block;
}

TEST_PACK(pack_i8_u1, keep(check_i8(count, fill)))
TEST_PACK(pack_i16_u1, keep(check_block(count, 2)))
TEST_PACK(pack_f16_u1, keep(check_halves(count, 1)))
TEST_PACK(pack_f32_u1, keep(special_f32(count)))

void naive_transpose_u1(const uint64_t *bits, size_t rows, size_t columns, size_t stride_words, uint64_t *out,
                        size_t out_stride_words)
{
    for (size_t c = 0; c < columns; c++)
        for (size_t r = 0; r < rows; r++) naive_set(out, out_stride_words, c, r, naive_bit(bits, stride_words, r, c));
}

void naive_transpose_i8(const int8_t *values, size_t rows, size_t columns, size_t stride, int8_t *out, size_t out_stride)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) out[c * out_stride + r] = values[r * stride + c];
}

void naive_xnor_gemm_u1_i32(const uint64_t *a, size_t rows, size_t a_stride_words, const uint64_t *b, size_t columns,
                            size_t b_stride_words, size_t depth, int32_t *y, size_t y_stride, void *panel)
{
    (void)panel;
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) {
            int32_t sum = 0;
            for (size_t k = 0; k < depth; k++)
                sum += naive_bit(a, a_stride_words, r, k) == naive_bit(b, b_stride_words, c, k) ? 1 : -1;
            y[r * y_stride + c] = sum;
        }
}

void test_xnor_gemm_u1_i32(bnn_xnor_gemm_u1_i32_fn *run, bnn_xnor_gemm_u1_i32_fn *expected)
{
    for (size_t i = 0; i < check_shapes + 8; i++, check_release()) {
        struct shape s = check_product(i < check_shapes ? i : 0, 400000);
        /* More than one panel, of many rows and of few; every second one counts as far as it goes. */
        const int deep = i >= check_shapes;
        if (deep) s = (struct shape){i % 4 < 2 ? 7 : 2, 66, 3900 + 65 * (i - check_shapes)};
        const enum fill a_fill = deep ? i % 2 ? FILL_ones : FILL_random : (enum fill)(i % FILL_count);
        const enum fill b_fill = deep ? i % 2 ? FILL_zeros : FILL_random : (enum fill)(i / 2 % FILL_count);
        const size_t words = bnn_words(s.depth), a_stride = check_stride(words), b_stride = check_stride(words);
        const size_t y_stride = check_stride(s.columns), count = check_span(s.rows, s.columns, y_stride);
        const uint64_t *a = check_bits(s.rows, s.depth, a_stride, a_fill);
        const uint64_t *b = check_bits(s.columns, s.depth, b_stride, b_fill);
        int32_t *got = check_block(count, 4), *want = check_copy(got, count, 4);
        run(a, s.rows, a_stride, b, s.columns, b_stride, s.depth, got, y_stride, check_panel());
        expected(a, s.rows, a_stride, b, s.columns, b_stride, s.depth, want, y_stride, check_panel());
        CHECK_SAME(got, want, count);
    }
}

void naive_gemm_i8_u1_i32(const int8_t *a, size_t rows, size_t a_stride, const uint64_t *b, size_t b_stride_words,
                          size_t columns, size_t depth, int32_t *c, size_t c_stride, void *panel, int reuse)
{
    (void)panel, (void)reuse;
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < columns; j++) {
            int32_t sum = 0;
            for (size_t k = 0; k < depth; k++)
                sum += naive_bit(b, b_stride_words, k, j) ? -a[r * a_stride + k] : a[r * a_stride + k];
            c[r * c_stride + j] = sum;
        }
}

void naive_gemm_i8_i8_i32(const int8_t *a, size_t rows, size_t a_stride, const int8_t *b, size_t b_stride,
                          size_t columns, size_t depth, int32_t *c, size_t c_stride, void *panel, int reuse)
{
    (void)panel, (void)reuse;
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < columns; j++) {
            int32_t sum = 0;
            for (size_t k = 0; k < depth; k++) sum += a[r * a_stride + k] * b[k * b_stride + j];
            c[r * c_stride + j] = sum;
        }
}

/* Two products with one panel: the second may reuse it.  BLOCK: the operand b. */
#define TEST_GEMM(OP, B_WORDS, TYPE, BLOCK)                                                                          \
    void test_##OP(bnn_##OP##_fn *run, bnn_##OP##_fn *expected)                                                      \
    {                                                                                                                \
        for (size_t i = 0; i < check_shapes; i++, check_release()) {                                                 \
            const struct shape s = check_product(i, 400000);                                                           \
            const size_t a_stride = check_stride(s.depth), c_stride = check_stride(s.columns);                       \
            const size_t b_stride = check_stride(B_WORDS), count = check_span(s.rows, s.columns, c_stride);          \
            const enum fill fill = (enum fill)(i / 2 % FILL_count);                                                  \
            const TYPE *b = BLOCK;                                                                                   \
            void *panel = check_panel(), *other = check_panel();                                                     \
            for (int reuse = 0; reuse < 2; reuse++) {                                                                \
                const int8_t *a = check_i8(check_span(s.rows, s.depth, a_stride), (enum fill)(i % FILL_count));      \
                int32_t *got = check_block(count, 4), *want = check_copy(got, count, 4);                             \
                run(a, s.rows, a_stride, b, b_stride, s.columns, s.depth, got, c_stride, panel, reuse);              \
                expected(a, s.rows, a_stride, b, b_stride, s.columns, s.depth, want, c_stride, other, 0);            \
                CHECK_SAME(got, want, count);                                                                        \
            }                                                                                                        \
        }                                                                                                            \
    }

TEST_GEMM(gemm_i8_u1_i32, bnn_words(s.columns), uint64_t, check_bits(s.depth, s.columns, b_stride, fill))
TEST_GEMM(gemm_i8_i8_i32, s.columns, int8_t, check_i8(check_span(s.depth, s.columns, b_stride), fill))
