#include "limit.h"

#include <string.h>

#include "../common/base.h"
#include "chains.h"
#include "tables.h"

static const struct bnn_limit_entry *limits_for(enum bnn_isa isa)
{
#if BNN_X86
    if (isa == BNN_ISA_avx512) return bnn_limits_avx512;
    if (isa == BNN_ISA_avx2) return bnn_limits_avx2;
#elif BNN_ARM64
    if (isa == BNN_ISA_neondot) return bnn_limits_neondot;
    if (isa == BNN_ISA_neon) return bnn_limits_neon;
#endif
    (void)isa;
    return NULL; /* the compiler chooses the portable kernels' instructions */
}

struct bnn_limit bnn_limit_of(const char *op, enum bnn_isa isa, long rounds)
{
    for (const struct bnn_limit_entry *entry = limits_for(isa); entry && entry->op; entry++)
        if (!strcmp(entry->op, op))
            return (struct bnn_limit){entry->run(rounds), entry->macs * (double)rounds};
    return (struct bnn_limit){0.0, 0.0};
}

double bnn_clock_hz(long rounds)
{
    unsigned long sum = 1;
    double start = bnn_now();
    for (long round = 0; round < rounds; round++) {
        /* Sixteen dependent additions; the loop's own counter runs beside them. */
        _Pragma("GCC unroll 16") for (int i = 0; i < 16; i++)
        {
            sum += sum;
            __asm__ volatile("" : "+r"(sum));
        }
    }
    return 16.0 * (double)rounds / (bnn_now() - start);
}
