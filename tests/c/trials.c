/* trials.c: the test of operations that have none of their own, on operands made from their signatures: every
 * implementation leaves what the expected one does. */
#include "cases.h"

/* Set for each trial. */
static enum fill fill;

static void *make_int8(size_t count) { return check_i8(count, fill); }
static void *make_int16(size_t count) { return check_i16(count, fill); }
static void *make_int32(size_t count) { return check_i32(count, fill, (1 << 17) - 1); }
static void *make_int64(size_t count) { return check_sums(count); }
static void *make_uint64(size_t count) { return check_block(count, 8); }
static void *make_float16(size_t count) { return check_halves(count, 0); }
static void *make_float32(size_t count) { return check_f32(count, 2.0); }
static void *make_panel(void) { return check_panel(); }

static void *make_uint16(size_t count)
{
    uint16_t *block = check_block(count, 2);
    for (size_t i = 0; i < count; i++) block[i] &= 1;
    return block;
}

static void *make_uint8(size_t count)
{
    uint8_t *block = check_block(count, 1);
    for (size_t i = 0; i < count; i++) block[i] &= 1;
    return block;
}

static void *make_float64(size_t count)
{
    double *block = check_block(count, 8);
    for (size_t i = 0; i < count; i++) block[i] = check_uniform(-1000.0, 1000.0);
    return block;
}

static void *make_rows(size_t rows, size_t bytes)
{
    unsigned char **block = check_block(rows, sizeof *block), *of_rows = check_lines(bnn_round_up(rows * bytes, 64));
    for (size_t i = 0; i < rows; i++) block[i] = of_rows + i * bytes;
    return block;
}

static const struct bnn_sign_step some_bnn_sign_step = {29491, 335544, 1};
static const struct bnn_channel_step some_bnn_channel_step = {-29491, 10413, 3, 1};
static const struct bnn_adam_step some_bnn_adam_step = {1e-3f, 0.9f, 0.999f, 1.0f, 1.0f, 1e-7f, 1.0f};
static const struct bnn_real_step some_bnn_real_step = {
    BNN_adam, BNN_f32, BNN_f32, 1.0f, 1e-3f, 0.9f, 0.999f, 1.0f, 1.0f, 1e-7f, 1.0f, 0.0f, 1};

#include "trials.inc"

/* A size by the name of its parameter; what is no size of the shape is a flag, a count of 1, or a limit. */
static size_t size_named(const char *name, struct shape s)
{
    if (!strcmp(name, "rows")) return s.rows;
    if (!strcmp(name, "columns")) return s.columns;
    if (!strcmp(name, "depth")) return s.depth;
    if (!strcmp(name, "count")) return s.rows * s.columns;
    if (!strcmp(name, "limit")) return 127;
    return !strcmp(name, "reuse") || !strcmp(name, "add") ? 0 : 1;
}

static void compare(size_t op, const struct bnn_kernels *run, const struct bnn_kernels *expected, struct shape s)
{
    struct trial got = {.gap = check_random() % 4};
    size_t size[8] = {0};
    for (size_t i = 0; i < 8 && trials[op].sizes[i]; i++) size[i] = size_named(trials[op].sizes[i], s);
    trials[op].make(&got, size);
    struct trial want = got;
    for (size_t i = 0; i < sizeof want.array / sizeof *want.array; i++)
        if (want.item[i]) want.array[i] = check_copy(got.array[i], want.count[i], want.item[i]);
    trials[op].call(run, &got, size);
    trials[op].call(expected, &want, size);
    for (size_t i = 0; i < sizeof want.array / sizeof *want.array; i++)
        if (want.item[i]) check_same(got.array[i], want.array[i], want.count[i] * want.item[i]);
    check_that(got.result == want.result);
}

void check_trial(const char *op, const struct bnn_kernels *run, const struct bnn_kernels *expected)
{
    size_t number = 0;
    while (strcmp(trials[number].op, op)) number++;
    for (size_t i = 0; i < check_shapes; i++, check_release()) {
        fill = (enum fill)(i % FILL_count);
        compare(number, run, expected, check_product(i, 60000));
    }
}
