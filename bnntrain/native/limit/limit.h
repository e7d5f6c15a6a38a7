/* limit.h: what the arithmetic of a product kernel could reach on this machine.
 *
 * Each function runs the arithmetic instructions of one product on registers alone, no loads, no stores, enough
 * independent chains to fill the pipes, and returns the seconds of `rounds` rounds of `macs` multiply-accumulates.  What
 * it measures is instruction throughput times clock, of the clock at that moment, so it is measured beside the kernels.
 *
 *                   avx512, 64 bytes                       avx2, 32 bytes
 *   gemm_i8_*       vpdpbusd                      64 MAC   vpmaddubsw, vpaddw          32 MAC (u1)
 *                                                          vpmaddwd, vpaddd            16 MAC (i8)
 *   lookup_gemm     vpermb, vpdpbusd             256 MAC   2 vpshufb, vpaddb, vpsrlw, 2 vpaddw           256 MAC
 *   xnor_gemm       vpxorq, vpopcntq, vpaddq     512 MAC   3 vpshufb, 4 vpaddb, vpsrlw, vpand            768 MAC
 *   gemm_f32        vmulps, vaddps                16 MAC   vmulps, vaddps               8 MAC
 *
 *                   neon, 16 bytes                         neondot, 16 bytes
 *   gemm_i8_u1      smlal, smlal2                 16 MAC   sdot                        16 MAC
 *   gemm_i8_i8      smull, smlal2, sadalp         16 MAC   sdot                        16 MAC
 *   lookup_gemm     2 tbl, add, saddw, saddw2    128 MAC   tbl of two registers, sadalp 64 MAC
 *   xnor_gemm       eor, cnt, add                128 MAC   as neon
 *   gemm_f32        fmul, fadd                     4 MAC   as neon
 *
 * A further one measures the clock: a chain of dependent additions, one a cycle on every core that matters here.
 */
#ifndef BNN_LIMIT_H
#define BNN_LIMIT_H

struct bnn_limit {
    double seconds, macs; /* macs 0: no limit is known for this pair */
};

/* Of an operation and an instruction set by their names; this machine has to have the latter. */
struct bnn_limit bnn_limit_of(const char *op, const char *isa, long rounds);

/* Cycles a second, from a chain of `rounds` dependent additions. */
double bnn_clock_hz(long rounds);

#endif
