#include "dispatch.h"

const struct bnn_implementation bnn_implementations[] = {
#define BNN_KERNEL(op, isa) BNN_ON_##isa({#op, BNN_ISA_##isa}, )
#include "../kernels.inc"
#undef BNN_KERNEL
};
const size_t bnn_implementation_count = sizeof bnn_implementations / sizeof *bnn_implementations;

static void choose(struct bnn_kernels *kernels, enum bnn_isa isa_in_use)
{
#define BNN_KERNEL(op, isa) \
    BNN_ON_##isa(if (!kernels->op && bnn_isa_includes(isa_in_use, BNN_ISA_##isa)) kernels->op = bnn_##op##_##isa;)
#include "../kernels.inc"
#undef BNN_KERNEL
}

const struct bnn_kernels *bnn_kernels_for(enum bnn_isa isa)
{
    /* Called once at import, before any thread exists; later calls find the pointers set and write nothing. */
    static struct bnn_kernels tables[BNN_ISA_count];
    choose(&tables[isa], isa);
    return &tables[isa];
}
