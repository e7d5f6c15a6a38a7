/* pi_model.c: runs what tools/pi_model.py counts under emulation.
 *
 *   pi_model ISA OP SIZE...        one call of a kernel, on random operands; sizes as counted (bnntrain/calls.py)
 *   pi_model ISA KIND SIZE...      one training step of a block of that kind (pi_blocks.c) whose kernels do nothing: what is left
 *                                  is what stands between them, gathering, thresholds, corrections
 *   pi_model ISA whole-KIND SIZE...   the same with kernels
 */
#include <stdio.h>

#include "dispatch/dispatch.h"
#include "pi_blocks.h"
#include "pi_room.h"

#define WHOLE "whole-"

static size_t size_of[24];

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

static void nothing(void) {}

static struct bnn_kernels idle(void)
{
    struct bnn_kernels k;
    void (*const empty)(void) = nothing;
    for (size_t at = 0; at < sizeof k; at += sizeof empty) memcpy((char *)&k + at, &empty, sizeof empty);
    return k;
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
    const int is_whole = !strncmp(argv[2], WHOLE, sizeof WHOLE - 1);
    const char *kind = argv[2] + (is_whole ? sizeof WHOLE - 1 : 0);
    if (!run_block(is_whole ? k : &none, kind, size_of) && !call(k, argv[2])) {
        fprintf(stderr, "pi_model: no case for %s\n", argv[2]);
        return 2;
    }
    return 0;
}
