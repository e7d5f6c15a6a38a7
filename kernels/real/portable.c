#define BNN_NAME(op) bnn_##op##_portable
#define BNN_VECTOR_BYTES 16
#include "loops.h"
