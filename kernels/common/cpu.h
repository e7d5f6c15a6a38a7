/* cpu.h: instruction sets, found at run time. */
#ifndef BNN_CPU_H
#define BNN_CPU_H

/* Lower-case suffixes so that the names in kernels.inc paste straight into BNN_ISA_<isa>. */
enum bnn_isa {
    BNN_ISA_portable = 0,
    BNN_ISA_avx2 = 1,   /* AVX2, BMI, POPCNT */
    BNN_ISA_avx512 = 2, /* AVX-512 F, BW, VL, DQ, VNNI, VBMI, VPOPCNTDQ */
    BNN_ISA_neon = 3,    /* armv8-a: Cortex-A53, A72 */
    BNN_ISA_neondot = 4, /* with SDOT, of armv8.2-a: Cortex-A76 */
    BNN_ISA_count = 5
};

const char *bnn_isa_name(enum bnn_isa isa);

/* The instruction set called `name`, or -1. */
int bnn_isa_from_name(const char *name);

/* Whether this processor, its kernel and this build can run `isa`. */
int bnn_isa_supported(enum bnn_isa isa);

/* The best supported instruction set. */
enum bnn_isa bnn_isa_best(void);

/* Whether a processor that runs `isa` also runs code written for `other`. */
int bnn_isa_includes(enum bnn_isa isa, enum bnn_isa other);

#endif
