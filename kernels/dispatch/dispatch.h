/* dispatch.h: one function pointer per operation, generated from every folder's kernels.inc.
 *
 * A line BNN_KERNEL(op, isa) says that bnn_<op>_<isa> exists.  Its signature is bnn_<op>_fn, from its folder's header.
 * Lines of one operation stand best first; each operation has a portable line, which also is its oracle in tests.
 */
#ifndef BNN_DISPATCH_H
#define BNN_DISPATCH_H

#include "../grad/grad.h"
#include "../lookup/lookup.h"
#include "../norm/norm.h"
#include "../pack/pack.h"
#include "../pool/pool.h"
#include "../real/real.h"
#include "../stream/stream.h"
#include "../update/update.h"
#include "../xnor/xnor.h"
#include "../common/cpu.h"

/* Lines of instruction sets that the target machine does not have, and whose files are not compiled, vanish:
 * BNN_ON_<isa>(text) is the text, or nothing. */
#define BNN_ON_portable(...) __VA_ARGS__
#if BNN_X86
#define BNN_ON_avx2(...) __VA_ARGS__
#define BNN_ON_avx512(...) __VA_ARGS__
#else
#define BNN_ON_avx2(...)
#define BNN_ON_avx512(...)
#endif
#if BNN_ARM64
#define BNN_ON_neon(...) __VA_ARGS__
#define BNN_ON_neondot(...) __VA_ARGS__
#else
#define BNN_ON_neon(...)
#define BNN_ON_neondot(...)
#endif

/* Prototypes of all implementations. */
#define BNN_KERNEL(op, isa) bnn_##op##_fn bnn_##op##_##isa;
#include "../kernels.inc"
#undef BNN_KERNEL

/* One field per operation: the portable line, which each has exactly once. */
#define BNN_FIELD_portable(op) bnn_##op##_fn *op;
#define BNN_FIELD_avx2(op)
#define BNN_FIELD_avx512(op)
#define BNN_FIELD_neon(op)
#define BNN_FIELD_neondot(op)
#define BNN_KERNEL(op, isa) BNN_FIELD_##isa(op)
struct bnn_kernels {
#include "../kernels.inc"
};
#undef BNN_KERNEL

/* The best implementations for a processor with `isa`; a static table, built on first use. */
const struct bnn_kernels *bnn_kernels_for(enum bnn_isa isa);

/* Every implementation of this build, in the order of kernels.inc. */
struct bnn_implementation {
    const char *op;
    enum bnn_isa isa;
};
extern const struct bnn_implementation bnn_implementations[];
extern const size_t bnn_implementation_count;

#endif
