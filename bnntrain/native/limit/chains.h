/* chains.h: the loop that every limit runs: CHAINS independent chains of one step, on registers.
 * An empty asm hides each accumulator's value from the compiler, which would otherwise fold the loop away. */
#ifndef BNN_CHAINS_H
#define BNN_CHAINS_H

#include "common/clock.h"

enum { CHAINS = 10 };

/* The constraint of a vector register. */
#if defined(__aarch64__)
#define BNN_IN_VECTOR "w"
#else
#define BNN_IN_VECTOR "x"
#endif

/* Defines `static double NAME(long rounds)` over accumulators of TYPE; STEP updates `sum` from `a` and `b`. */
#define BNN_CHAIN(NAME, TYPE, START, STEP)                                                  \
    static double NAME(long rounds)                                                         \
    {                                                                                       \
        TYPE sums[CHAINS], a = START, b = START;                                            \
        for (int i = 0; i < CHAINS; i++) sums[i] = START;                                   \
        __asm__ volatile("" : "+" BNN_IN_VECTOR(a), "+" BNN_IN_VECTOR(b));                  \
        double start = bnn_now();                                                           \
        for (long round = 0; round < rounds; round++) {                                     \
            _Pragma("GCC unroll 16") for (int i = 0; i < CHAINS; i++)                       \
            {                                                                               \
                TYPE sum = sums[i];                                                         \
                STEP;                                                                       \
                __asm__ volatile("" : "+" BNN_IN_VECTOR(sum));                              \
                sums[i] = sum;                                                              \
            }                                                                               \
        }                                                                                   \
        double seconds = bnn_now() - start;                                                 \
        __asm__ volatile("" : : BNN_IN_VECTOR(sums[0]));                                    \
        return seconds;                                                                     \
    }

#endif
