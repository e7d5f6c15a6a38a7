/* pi_model.c: runs what tools/pi_model.py counts under emulation.
 *
 *   pi_model ISA OP SIZE...    one call of a kernel, on random operands; sizes as counted (bnntrain/calls.py)
 *   pi_model ISA conv|dense SIZE...   one training step of a block whose kernels do nothing: what is left is what stands
 *                              between them, gathering, thresholds, corrections
 *   pi_model ISA whole-conv|whole-dense SIZE...   the same with kernels
 */
#include <stdio.h>
#include <stdlib.h>

#include "conv/conv.h"
#include "dense/dense.h"

static size_t size_of[24];

static void *make_block(size_t bytes)
{
    static uint32_t state = 1;
    const size_t rounded = bnn_round_up(bytes + 64, 64);
    unsigned char *at = aligned_alloc(64, rounded);
    if (!at) abort();
    for (size_t i = 0; i < rounded; i += 4) {
        state = state * 1664525u + 1013904223u;
        memcpy(at + i, &state, 4);
    }
    return at;
}

static void *zeros(size_t bytes)
{
    void *at = calloc(1, bnn_round_up(bytes + 64, 64) + 64);
    if (!at) abort();
    return (void *)(((uintptr_t)at + 63) / 64 * 64);
}

static float *floats(size_t count)
{
    float *at = make_block(count * sizeof *at);
    for (size_t i = 0; i < count; i++) at[i] = 0.01f + 0.001f * (float)(i % 7);
    return at;
}

/* Operands of single calls: gradients of 6 bits, integers of the size of a product's sums. */
static void *make_int8(size_t count)
{
    int8_t *at = make_block(count);
    for (size_t i = 0; i < count; i++) at[i] = (int8_t)(at[i] % 32);
    return at;
}

static void *make_int32(size_t count)
{
    int32_t *at = make_block(count * sizeof *at);
    for (size_t i = 0; i < count; i++) at[i] = at[i] >> 21;
    return at;
}

static void *make_uint8(size_t count) { return zeros(count); }
static void *make_uint16(size_t count) { return zeros(2 * count); }
static void *make_int16(size_t count) { return make_block(2 * count); }
static void *make_float16(size_t count) { return zeros(2 * count); }
static void *make_int64(size_t count) { return zeros(8 * count); }
static void *make_uint64(size_t count) { return make_block(8 * count); }
static void *make_float32(size_t count) { return floats(count); }
static void *make_float64(size_t count) { return zeros(8 * count); }
static void *make_panel(void) { return make_block(BNN_PANEL_BYTES); }

static void *make_rows(size_t rows, size_t bytes)
{
    const unsigned char **of_rows = make_block(rows * sizeof *of_rows), *at = make_block(rows * bytes);
    for (size_t i = 0; i < rows; i++) of_rows[i] = at + i * bytes;
    return of_rows;
}

static const struct bnn_sign_step some_bnn_sign_step = {29491, 335544, 1};
static const struct bnn_channel_step some_bnn_channel_step = {-29491, 10413, 3, 1};
static const struct bnn_adam_step some_bnn_adam_step = {1e-3f, 0.9f, 0.999f, 1.0f, 1.0f, 1e-7f, 1.0f};
static const struct bnn_real_step some_bnn_real_step = {
    BNN_adam, BNN_f32, BNN_f32, 1.0f, 1e-3f, 0.9f, 0.999f, 1.0f, 1.0f, 1e-7f, 1.0f, 0.0f, 1};

#include "trials.inc"

/* One call of a kernel; returns whether there is such a one. */
static int call(const struct bnn_kernels *k, const char *op)
{
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        struct trial trial = {0};
        if (strcmp(op, trials[i].op)) continue;
        trials[i].make(&trial, size_of);
        trials[i].call(k, &trial, size_of);
        return 1;
    }
    return 0;
}

static int is(const char *op, const char *name) { return !strcmp(op, name); }

static void nothing(void) {}

static struct bnn_kernels idle(void)
{
    struct bnn_kernels k;
    void (*const empty)(void) = nothing;
    for (size_t at = 0; at < sizeof k; at += sizeof empty) memcpy((char *)&k + at, &empty, sizeof empty);
    return k;
}

static struct bnn_block block(size_t inputs, size_t outputs, size_t rows_in, size_t rows_out, int first, int last)
{
    static struct bnn_scale scales[3] = {{1.0f, 1.0f}, {1.0f, 1.0f}, {1.0f, 1.0f}};
    struct bnn_block b = {.inputs = inputs, .outputs = outputs, .norm = BNN_norm_l2, .mask = BNN_mask_recompute,
                          .latent_type = BNN_i8, .gradient_type = BNN_i8, .integer_update = 1,
                          .g_scale = scales, .dy_scale = scales + 1, .dx_scale = scales + 2};
    const size_t weights = inputs * outputs;
    b.latent = zeros(weights), b.momentum1 = zeros(weights);
    b.w_u1 = zeros(outputs * 8 * (inputs + 1)), b.w_t_u1 = zeros(inputs * 8 * bnn_words(outputs));
    float **const real[] = {&b.gamma, &b.beta, &b.grad_gamma, &b.grad_beta, &b.gamma_adam1, &b.gamma_adam2, &b.beta_adam1,
                            &b.beta_adam2, &b.running_mean, &b.running_spread, &b.dw_magnitude};
    for (size_t i = 0; i < sizeof real / sizeof *real; i++) *real[i] = floats(outputs);
    b.mean = zeros(outputs * 8), b.inverse = zeros(outputs * 8), b.dw_sums = zeros(outputs * 8);
    if (first) b.x_i8 = zeros(rows_in);
    else b.x_u1 = zeros(rows_in * 8);
    if (last) b.out_f32 = zeros(rows_out * outputs * 4);
    else b.out_u1 = zeros(rows_out * bnn_words(outputs) * 8);
    return b;
}

static const struct bnn_block_step step = {.limit = 31, .magnitude_correction = 1.0f, .real = {.gradient_scale = 1.0f}};

/* inputs, outputs, batch, threads, first, last */
static void dense(const struct bnn_kernels *k)
{
    const size_t inputs = size_of[0], outputs = size_of[1], batch = size_of[2], threads = size_of[3];
    struct bnn_dense d = {.block = block(inputs, outputs, batch * (size_of[4] ? inputs : bnn_words(inputs)), batch,
                                         (int)size_of[4], (int)size_of[5])};
    struct bnn_block *b = &d.block;
    b->g = zeros(batch * outputs), d.dy_t = zeros(batch * outputs);
    if (!size_of[4]) b->dx = zeros(batch * inputs);
    b->scratch_stride = bnn_dense_scratch(outputs, batch, BNN_i8);
    b->scratch = zeros(threads * b->scratch_stride);
    bnn_dense_forward(k, &d, batch, 0, (int)threads);
    bnn_dense_backward(k, &d, batch, &step, (int)threads);
    bnn_dense_update(k, &d, &step, (int)threads);
}

/* height, width, channels, kernel, stride, pad_top, pad_left, out_height, out_width, pool, outputs, batch, threads, first,
 * y kept forward, y kept backward, limit, flattened, whether taps are skipped */
static void conv(const struct bnn_kernels *k)
{
    const size_t *n = size_of, outputs = n[10], batch = n[11], threads = n[12];
    const int first = (int)n[13], limit = (int)n[16];
    struct bnn_conv c = {.window = {n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], (enum bnn_pool)n[9]}};
    const struct bnn_window *w = &c.window;
    const size_t positions = bnn_positions(w), taps = bnn_taps(w), words = bnn_words(outputs), inputs = n[0] * n[1];
    const size_t values = batch * bnn_max(positions * outputs, inputs * n[2]);
    c.block = block(taps * n[2], outputs, batch * inputs * (first ? n[2] : bnn_words(n[2])), batch * bnn_out_positions(w), first,
                    0);
    struct bnn_origin *origins = zeros(positions * sizeof *origins);
    int32_t *neighbours = zeros(inputs * taps * sizeof *neighbours);
    bnn_window_origins(w, origins), c.origins = origins;
    c.block.g = zeros(values);
    if (w->pool != BNN_pool_none) c.argmax = zeros(batch * positions * words * 8);
    if (n[14]) c.y_forward = zeros(2 * batch * bnn_norm_positions(w) * outputs);
    if (n[15]) c.y_backward = zeros(2 * batch * bnn_norm_positions(w) * outputs);
    c.group = bnn_conv_group(w, (int)threads);
    if (w->pool == BNN_pool_before_sign || w->pool == BNN_pool_after_sign)
        c.window_gradient = zeros(c.group * bnn_windows(w) * outputs);
    if (!first) {
        bnn_window_neighbours(w, neighbours), c.neighbours = neighbours;
        c.block.dx = c.block.g;
        c.tables = zeros(bnn_conv_tables(&c, limit)), c.lookup = zeros(bnn_conv_lookup(&c));
        if (n[18]) c.tap_sums = zeros(taps * outputs * 4);
    }
    if (n[17]) c.flat_u1 = zeros(batch * 8 * bnn_words(bnn_out_positions(w) * outputs));
    c.block.scratch_stride = bnn_conv_scratch(&c);
    c.block.scratch = zeros(threads * c.block.scratch_stride);
    struct bnn_block_step own = step;
    own.limit = limit;
    bnn_conv_forward(k, &c, batch, 0, (int)threads);
    bnn_conv_backward(k, &c, batch, &own, (int)threads);
    bnn_conv_update(k, &c, &own, (int)threads);
}

int main(int argc, char **argv)
{
    const int isa = argc > 2 ? bnn_isa_from_name(argv[1]) : -1;
    if (isa < 0 || argc > 3 + 24) {
        fprintf(stderr, "usage: pi_model ISA OP SIZE...\n");
        return 2;
    }
    for (int i = 3; i < argc; i++) size_of[i - 3] = strtoull(argv[i], NULL, 10);
    const struct bnn_kernels *k = bnn_kernels_for((enum bnn_isa)isa);
    const struct bnn_kernels none = idle();
    if (is(argv[2], "conv")) conv(&none);
    else if (is(argv[2], "whole-conv")) conv(k);
    else if (is(argv[2], "dense")) dense(&none);
    else if (is(argv[2], "whole-dense")) dense(k);
    else if (!call(k, argv[2])) {
        fprintf(stderr, "pi_model: no case for %s\n", argv[2]);
        return 2;
    }
    return 0;
}
