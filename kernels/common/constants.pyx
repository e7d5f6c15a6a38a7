# Sizes and names that callers share with C.

cdef uint64_t INT32_LIMIT = 0x7FFFFFFF
cdef uint64_t UINT32_LIMIT = 0xFFFFFFFF
cdef uint64_t UINT64_LIMIT = 0xFFFFFFFFFFFFFFFF

# Columns that a product works on at a time; bytes and depth of the scratch panel that `panel` arguments need.
TILE = BNN_TILE
PANEL_BYTES = BNN_PANEL_BYTES
PANEL_DEPTH = BNN_PANEL_DEPTH
PANEL_ALIGNMENT = 64

STREAM_SPLIT = BNN_STREAM_SPLIT
STREAM_EPOCH = BNN_STREAM_EPOCH
STREAM_INIT = BNN_STREAM_INIT
STREAM_LATENT = BNN_STREAM_LATENT
STREAM_DY = BNN_STREAM_DY
STREAM_DX = BNN_STREAM_DX
STREAM_AUGMENT = BNN_STREAM_AUGMENT

NORM_EPSILON = BNN_NORM_EPSILON

# The tables are built here, while there is one thread; from now on they are only read.
for _isa in range(BNN_ISA_count):
    bnn_kernels_for(<bnn_isa>_isa)
