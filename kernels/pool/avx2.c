/* avx2.c: the pooling loops as gcc vectorises them for 32-byte vectors. */
#if defined(__x86_64__)
#pragma GCC target("avx2,bmi,bmi2,popcnt")

#define BNN_NAME(op) bnn_##op##_avx2
#include "loops.h"
#endif
