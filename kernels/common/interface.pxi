# The C interface of the folders, declared once: types, instruction sets, random numbers and the dispatch table.
# The table's fields have their signatures, so that a call through it is checked like any other.

from libc.string cimport memset
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "common/base.h" nogil:
    const size_t BNN_TILE
    const size_t BNN_PANEL_BYTES
    const size_t BNN_PANEL_DEPTH
    ctypedef uint16_t bnn_label
    size_t bnn_words(size_t bits) noexcept

cdef extern from "common/clock.h" nogil:
    double bnn_now() noexcept

cdef extern from "common/cpu.h" nogil:
    enum bnn_isa:
        BNN_ISA_portable
        BNN_ISA_avx2
        BNN_ISA_avx512
        BNN_ISA_neon
        BNN_ISA_neondot
        BNN_ISA_count
    const char *bnn_isa_name(bnn_isa isa) noexcept
    int bnn_isa_from_name(const char *name) noexcept
    bint bnn_isa_supported(bnn_isa isa) noexcept
    bnn_isa bnn_isa_best() noexcept
    bint bnn_isa_includes(bnn_isa isa, bnn_isa other) noexcept

cdef extern from "common/rng.h" nogil:
    enum bnn_stream:
        BNN_STREAM_SPLIT
        BNN_STREAM_EPOCH
        BNN_STREAM_INIT
        BNN_STREAM_LATENT
        BNN_STREAM_DY
        BNN_STREAM_DX
        BNN_STREAM_AUGMENT
    uint64_t bnn_key(uint64_t seed, uint64_t stream, uint64_t layer, uint64_t step) noexcept
    uint32_t bnn_hash32(uint32_t index, uint64_t key) noexcept

cdef extern from "norm/channel.h" nogil:
    enum bnn_norm_kind:
        BNN_norm_l2
        BNN_norm_l1
        BNN_norm_l1_binary
    const double BNN_NORM_EPSILON
    struct bnn_channel:
        double mean
        double inverse
        double gamma
        double beta
    struct bnn_affine:
        double a
        double b
        double c
        double grad_gamma
        double grad_beta
    void bnn_channel_spread(bnn_norm_kind kind, double n, int64_t sum, int64_t squares, double *mean,
                            double *spread) noexcept
    double bnn_channel_inverse(bnn_norm_kind kind, double spread) noexcept
    void bnn_channel_threshold(const bnn_channel *channel, int32_t *threshold, uint8_t *flip) noexcept
    void bnn_channel_interval(const bnn_channel *channel, int32_t *low, int32_t *high) noexcept
    bnn_affine bnn_channel_backward(bnn_norm_kind kind, const bnn_channel *channel, double n, double sum_g,
                                    double sum_gt, double mean_t, double magnitude) noexcept

cdef extern from "common/type.h" nogil:
    enum bnn_type:
        BNN_f32
        BNN_f16
        BNN_i16
        BNN_i8
        BNN_u1

cdef extern from "update/update.h" nogil:
    enum bnn_optimizer:
        BNN_adam
        BNN_sgd
        BNN_sign_momentum
        BNN_sign
        BNN_bop
    struct bnn_sign_step:
        int32_t beta
        int32_t rate
        uint64_t key
    struct bnn_channel_step:
        int16_t minus_beta
        int16_t step
        int16_t shift
        uint64_t key
    struct bnn_real_step:
        bnn_optimizer optimizer
        bnn_type latent_type
        bnn_type momentum_type
        float range
        float learning_rate
        float beta1
        float beta2
        float correction1
        float correction2
        float epsilon
        float gradient_scale
        float threshold
        uint64_t key

cdef extern from "real/real.h" nogil:
    struct bnn_adam_step:
        float learning_rate
        float beta1
        float beta2
        float correction1
        float correction2
        float epsilon
        float gradient_scale

cdef extern from "lookup/lookup.h" nogil:
    const size_t BNN_LOOKUP_GROUP
    const size_t BNN_LOOKUP_TABLE_BYTES
    const size_t BNN_LOOKUP_PANEL_BYTES
    size_t bnn_lookup_table_bytes(size_t depth) noexcept
    size_t bnn_lookup_groups(size_t depth) noexcept
    enum bnn_lookup_part:
        BNN_lookup_whole
        BNN_lookup_low
        BNN_lookup_high

cdef extern from "pool/pool.h" nogil:
    const size_t BNN_POOL_ROWS

# The table, from the folders' headers (signatures.py).
include "kernel_table.pxi"

cdef extern from "dispatch/dispatch.h" nogil:
    const bnn_kernels *bnn_kernels_for(bnn_isa isa) noexcept

    struct bnn_implementation:
        const char *op
        bnn_isa isa
    const bnn_implementation *bnn_implementations
    const size_t bnn_implementation_count
