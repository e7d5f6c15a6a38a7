#include "limit.h"

#include <string.h>

#include "chains.h"
#include "common/base.h"
#include "tables.h"

/* Not those of the portable kernels, whose instructions the compiler chooses. */
static const struct {
    const char *isa;
    const struct bnn_limit_entry *entries;
} limits[] = {
#if BNN_X86
    {"avx512", bnn_limits_avx512},
    {"avx2", bnn_limits_avx2},
#elif BNN_ARM64
    {"neondot", bnn_limits_neondot},
    {"neon", bnn_limits_neon},
#endif
    {NULL, NULL},
};

static const struct bnn_limit_entry *limits_for(const char *isa)
{
    size_t place = 0;
    while (limits[place].isa && strcmp(limits[place].isa, isa)) place++;
    return limits[place].entries;
}

struct bnn_limit bnn_limit_of(const char *op, const char *isa, long rounds)
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
