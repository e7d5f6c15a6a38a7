#define BNN_NAME(op) bnn_##op##_portable
#include "loops.h"
