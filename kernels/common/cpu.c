#include "cpu.h"

#include <string.h>

#include "base.h"

#if BNN_ARM64 && defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

static const char *const names[BNN_ISA_count] = {"portable", "avx2", "avx512", "neon", "neondot"};

const char *bnn_isa_name(enum bnn_isa isa) { return names[isa]; }

int bnn_isa_from_name(const char *name)
{
    for (int isa = 0; isa < BNN_ISA_count; isa++)
        if (!strcmp(name, names[isa])) return isa;
    return -1;
}

int bnn_isa_supported(enum bnn_isa isa)
{
#if BNN_X86
    /* The builtin also asks the operating system whether it saves the wide registers. */
    __builtin_cpu_init();
    switch (isa) {
    case BNN_ISA_portable: return 1;
    case BNN_ISA_avx2:
        return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2") &&
               __builtin_cpu_supports("popcnt");
    case BNN_ISA_avx512:
        return bnn_isa_supported(BNN_ISA_avx2) && __builtin_cpu_supports("avx512f") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vnni") &&
               __builtin_cpu_supports("avx512vbmi") &&
               __builtin_cpu_supports("avx512vpopcntdq");
    default: return 0;
    }
#elif BNN_ARM64
    switch (isa) {
    case BNN_ISA_portable:
    case BNN_ISA_neon: return 1;
#ifdef HWCAP_ASIMDDP
    case BNN_ISA_neondot: return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#endif
    default: return 0;
    }
#else
    return isa == BNN_ISA_portable;
#endif
}

enum bnn_isa bnn_isa_best(void)
{
    for (int isa = BNN_ISA_count - 1; isa > 0; isa--)
        if (bnn_isa_supported(isa)) return isa;
    return BNN_ISA_portable;
}

int bnn_isa_includes(enum bnn_isa isa, enum bnn_isa other)
{
    /* Within a family each set contains the former ones. */
    const int arm = isa >= BNN_ISA_neon, other_arm = other >= BNN_ISA_neon;
    return other == BNN_ISA_portable || (arm == other_arm && other <= isa);
}
