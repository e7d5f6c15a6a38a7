/* cases_pool.c: max-pooling and its way back. */
#include "cases.h"

enum { WINDOW = 4, COLUMNS = 64 };

void naive_pool_max_i32(const int32_t *y, size_t rows, size_t columns, size_t stride, const uint8_t *flip, int32_t *out,
                        size_t out_stride, uint64_t *argmax, size_t argmax_stride)
{
    for (size_t r = 0; r < rows; r++) {
        uint64_t chosen[WINDOW] = {0};
        for (size_t c = 0; c < columns; c++) {
            size_t best = 0;
            for (size_t j = 1; j < WINDOW; j++) {
                const int32_t value = y[(WINDOW * r + j) * stride + c], before = y[(WINDOW * r + best) * stride + c];
                if (flip[c] ? value < before : value > before) best = j;
            }
            out[r * out_stride + c] = y[(WINDOW * r + best) * stride + c];
            chosen[best] |= UINT64_C(1) << c;
        }
        for (size_t j = 0; j < WINDOW; j++) argmax[(WINDOW * r + j) * argmax_stride] = chosen[j];
    }
}

void test_pool_max_i32(bnn_pool_max_i32_fn *run, bnn_pool_max_i32_fn *expected)
{
    for (size_t i = 0; i < 2 * check_shapes; i++, check_release()) {
        const struct shape s = check_plane(i / 2, 30000);
        const size_t columns = s.columns % (COLUMNS + 1), stride = check_stride(columns), argmax_stride = check_stride(1);
        const size_t count = check_span(WINDOW * s.rows, columns, stride);
        const size_t argmax_words = check_span(WINDOW * s.rows, 1, argmax_stride);
        /* Few different values, so that there are equal ones, or any. */
        const int32_t *y = check_i32(count, (enum fill)(i % FILL_count), i % 3 ? 2 : INT32_MAX);
        const uint8_t *flip = check_block(columns, 1);
        for (size_t c = 0; c < columns; c++) ((uint8_t *)flip)[c] &= 2;
        uint64_t *got_argmax = check_block(argmax_words, 8), *want_argmax = check_copy(got_argmax, argmax_words, 8);
        if (i % 2) { /* in place */
            int32_t *got = check_copy(y, count, 4), *want = check_block(count, 4);
            run(got, s.rows, columns, stride, flip, got, stride, got_argmax, argmax_stride);
            expected(y, s.rows, columns, stride, flip, want, stride, want_argmax, argmax_stride);
            int same = 1;
            for (size_t r = 0; r < s.rows; r++) same &= !memcmp(got + r * stride, want + r * stride, columns * sizeof *got);
            check_that(same);
        } else {
            const size_t out_stride = check_stride(columns), out_count = check_span(s.rows, columns, out_stride);
            int32_t *got = check_block(out_count, 4), *want = check_copy(got, out_count, 4);
            run(y, s.rows, columns, stride, flip, got, out_stride, got_argmax, argmax_stride);
            expected(y, s.rows, columns, stride, flip, want, out_stride, want_argmax, argmax_stride);
            CHECK_SAME(got, want, out_count);
        }
        CHECK_SAME(got_argmax, want_argmax, argmax_words);
    }
}

void naive_pool_sum_i32(const int32_t *y, size_t rows, size_t columns, size_t stride, int32_t *out, size_t out_stride)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t c = 0; c < columns; c++) {
            int64_t sum = 0;
            for (size_t j = 0; j < WINDOW; j++) sum += y[(WINDOW * r + j) * stride + c];
            out[r * out_stride + c] = (int32_t)sum;
        }
}

/* Where each value goes, and the test; BLOCK: values. */
#define SPREAD(OP, TYPE, BLOCK)                                                                                       \
    void naive_##OP(const TYPE *values, size_t rows, size_t columns, size_t stride, const uint64_t *argmax,           \
                    size_t argmax_stride, TYPE *out, size_t out_stride)                                               \
    {                                                                                                                 \
        for (size_t r = 0; r < WINDOW * rows; r++)                                                                    \
            for (size_t c = 0; c < columns; c++)                                                                      \
                out[r * out_stride + c] = naive_bit(argmax, argmax_stride, r, c) ? values[r / WINDOW * stride + c] : 0; \
    }                                                                                                                 \
                                                                                                                      \
    void test_##OP(bnn_##OP##_fn *run, bnn_##OP##_fn *expected)                                                       \
    {                                                                                                                 \
        for (size_t i = 0; i < check_shapes; i++, check_release()) {                                                  \
            const struct shape s = check_plane(i, 30000);                                                             \
            const size_t columns = s.columns % (COLUMNS + 1), stride = check_stride(columns);                         \
            const size_t argmax_stride = check_stride(1), out_stride = check_stride(columns);                         \
            const size_t count = check_span(s.rows, columns, stride);                                                 \
            const size_t out_count = check_span(WINDOW * s.rows, columns, out_stride);                                \
            const TYPE *values = BLOCK;                                                                               \
            const uint64_t *argmax = check_bits(WINDOW * s.rows, COLUMNS, argmax_stride, (enum fill)(i % 3));         \
            TYPE *got = check_block(out_count, sizeof(TYPE)), *want = check_copy(got, out_count, sizeof(TYPE));       \
            run(values, s.rows, columns, stride, argmax, argmax_stride, got, out_stride);                             \
            expected(values, s.rows, columns, stride, argmax, argmax_stride, want, out_stride);                       \
            CHECK_SAME(got, want, out_count);                                                                         \
        }                                                                                                             \
    }

SPREAD(pool_spread_i8, int8_t, check_i8(count, (enum fill)(i / 3 % FILL_count)))
SPREAD(pool_spread_f32, float, check_f32(count, 100.0))

/* BLOCK: values, which fit both types. */
#define CONVERT(OP, FROM, TO, BLOCK)                                                                                    \
    void naive_##OP(const FROM *y, size_t rows, size_t columns, size_t stride, TO *out, size_t out_stride)            \
    {                                                                                                                 \
        for (size_t r = 0; r < rows; r++)                                                                             \
            for (size_t c = 0; c < columns; c++) out[r * out_stride + c] = (TO)y[r * stride + c];                     \
    }                                                                                                                 \
                                                                                                                      \
    void test_##OP(bnn_##OP##_fn *run, bnn_##OP##_fn *expected)                                                       \
    {                                                                                                                 \
        for (size_t i = 0; i < check_shapes; i++, check_release()) {                                                  \
            const struct shape s = check_plane(i, 60000);                                                             \
            const size_t stride = check_stride(s.columns), out_stride = check_stride(s.columns);                      \
            const size_t count = check_span(s.rows, s.columns, stride);                                               \
            const size_t out_count = check_span(s.rows, s.columns, out_stride);                                       \
            const FROM *y = BLOCK;                                                                                    \
            TO *got = check_block(out_count, sizeof(TO)), *want = check_copy(got, out_count, sizeof(TO));             \
            run(y, s.rows, s.columns, stride, got, out_stride);                                                       \
            expected(y, s.rows, s.columns, stride, want, out_stride);                                                 \
            CHECK_SAME(got, want, out_count);                                                                         \
        }                                                                                                             \
    }

CONVERT(narrow_i32_i16, int32_t, int16_t, check_i32(count, (enum fill)(i % FILL_count), INT16_MAX))
CONVERT(widen_i16_i32, int16_t, int32_t, check_block(count, 2))
