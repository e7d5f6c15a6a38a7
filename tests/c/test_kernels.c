/* test_kernels.c: every implementation of kernels.inc that this processor runs, against the portable one of its operation;
 * the portable one against naive loops.  Usage: test_kernels [text in the operation's name [instruction set]]
 */
#include <stdio.h>
#include <string.h>

#include "cases.h"

#define EXPECTED_portable(op) naive_##op
#define EXPECTED_avx2(op) bnn_##op##_portable
#define EXPECTED_avx512(op) bnn_##op##_portable
#define EXPECTED_neon(op) bnn_##op##_portable
#define EXPECTED_neondot(op) bnn_##op##_portable

#define BNN_KERNEL(op, isa)                                                                        \
    static void run_##op##_##isa(void)                                                             \
    {                                                                                              \
        const struct bnn_kernels run = {.op = bnn_##op##_##isa}, expected = {.op = EXPECTED_##isa(op)}; \
        if (!expected.op) return;                                                                  \
        if (test_##op) test_##op(run.op, expected.op);                                             \
        else check_trial(#op, &run, &expected);                                                    \
    }
#include "../../kernels/kernels.inc"
#undef BNN_KERNEL

static const struct {
    const char *op;
    enum bnn_isa isa;
    void (*run)(void);
} tests[] = {
#define BNN_KERNEL(op, isa) {#op, BNN_ISA_##isa, run_##op##_##isa},
#include "../../kernels/kernels.inc"
#undef BNN_KERNEL
};

int main(int count, char **arguments)
{
    size_t passed = 0, failed = 0;
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        if (count > 1 && !strstr(tests[i].op, arguments[1])) continue;
        if (count > 2 && strcmp(bnn_isa_name(tests[i].isa), arguments[2])) continue;
        if (!bnn_isa_supported(tests[i].isa)) {
            printf("%-26s %-9s not supported here\n", tests[i].op, bnn_isa_name(tests[i].isa));
            continue;
        }
        check_passed = check_failed = 0;
        check_exact = tests[i].isa != BNN_ISA_portable;
        tests[i].run();
        printf("%-26s %-9s %6zu cases%s\n", tests[i].op, bnn_isa_name(tests[i].isa), check_passed + check_failed,
               check_failed ? ", WRONG" : "");
        fflush(stdout);
        passed += check_passed;
        failed += check_failed;
    }
    printf("%zu passed, %zu failed\n", passed, failed);
    return failed != 0;
}
