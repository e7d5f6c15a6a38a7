# The C interface of the folders, declared once: types, instruction sets, random numbers and the dispatch table.
# The table's fields are declared with their signatures, so that a call through it is checked like any other.

from libc.string cimport memset
from libc.stdint cimport int8_t, int16_t, int32_t, int64_t
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

cdef extern from "common/base.h" nogil:
    const size_t BNN_TILE
    const size_t BNN_PANEL_BYTES
    const size_t BNN_PANEL_DEPTH
    size_t bnn_words(size_t bits) noexcept

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
    enum bnn_lookup_part:
        BNN_lookup_whole
        BNN_lookup_low
        BNN_lookup_high

cdef extern from "pool/pool.h" nogil:
    const size_t BNN_POOL_ROWS

cdef extern from "dispatch/dispatch.h" nogil:
    struct bnn_kernels:
        void (*pack_i8_u1)(const int8_t *values, size_t rows, size_t columns, size_t stride,
                           uint64_t *bits, size_t stride_words) noexcept nogil
        void (*pack_i16_u1)(const int16_t *values, size_t rows, size_t columns, size_t stride,
                            uint64_t *bits, size_t stride_words) noexcept nogil
        void (*pack_f16_u1)(const uint16_t *values, size_t rows, size_t columns, size_t stride,
                            uint64_t *bits, size_t stride_words) noexcept nogil
        void (*pack_f32_u1)(const float *values, size_t rows, size_t columns, size_t stride,
                            uint64_t *bits, size_t stride_words) noexcept nogil
        void (*transpose_u1)(const uint64_t *bits, size_t rows, size_t columns, size_t stride_words,
                             uint64_t *out, size_t out_stride_words) noexcept nogil
        void (*transpose_i8)(const int8_t *values, size_t rows, size_t columns, size_t stride,
                             int8_t *out, size_t out_stride) noexcept nogil

        void (*xnor_gemm_u1_i32)(const uint64_t *a, size_t rows, size_t a_stride_words,
                                 const uint64_t *b, size_t columns, size_t b_stride_words,
                                 size_t depth, int32_t *y, size_t y_stride, void *panel) noexcept nogil

        void (*gemm_i8_u1_i32)(const int8_t *a, size_t rows, size_t a_stride, const uint64_t *b,
                               size_t b_stride_words, size_t columns, size_t depth,
                               int32_t *c, size_t c_stride, void *panel, int reuse) noexcept nogil
        void (*gemm_i8_i8_i32)(const int8_t *a, size_t rows, size_t a_stride, const int8_t *b,
                               size_t b_stride, size_t columns, size_t depth,
                               int32_t *c, size_t c_stride, void *panel, int reuse) noexcept nogil

        void (*norm_sums_i32)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                              int64_t *sum, int64_t *sum_squares) noexcept nogil
        void (*norm_deviation_i32)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                                   int64_t n, const int64_t *sum, int64_t *deviation) noexcept nogil
        void (*norm_magnitude_i32)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                                   const float *scale, const float *shift, double *magnitude) noexcept nogil
        void (*binarise_i32_u1)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                                const int32_t *threshold, const uint8_t *flip,
                                uint64_t *bits, size_t stride_words) noexcept nogil
        void (*within_i32_u1)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                              const int32_t *low, const int32_t *high,
                              uint64_t *bits, size_t stride_words) noexcept nogil
        void (*normalise_i32_f32)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                                  const float *scale, const float *shift,
                                  float *z, size_t z_stride) noexcept nogil
        void (*norm_cancel_i8)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                               const int32_t *low, const int32_t *high, int8_t *g, size_t g_stride,
                               int64_t *sum_g, int64_t *sum_gy) noexcept nogil
        void (*sign_tile_i32)(int32_t *y, size_t rows, size_t columns, size_t stride,
                              const int32_t *threshold, const uint8_t *flip) noexcept nogil
        void (*norm_measure_i8)(const int32_t *t, size_t rows, size_t columns, size_t stride,
                                const float *a, const float *b, const float *c0,
                                const int8_t *g, size_t g_stride, float *largest) noexcept nogil
        void (*norm_affine_i8)(const int32_t *t, size_t rows, size_t columns, size_t stride,
                               const float *a, const float *b, const float *c0,
                               int8_t *g, size_t g_stride, int limit, uint64_t key, uint32_t index,
                               float *largest) noexcept nogil
        void (*requantise_i32_i8)(const int32_t *v, size_t rows, size_t columns, size_t stride,
                                  float multiplier, int8_t *q, size_t q_stride, uint64_t key,
                                  uint32_t index) noexcept nogil
        void (*largest_i32)(const int32_t *v, size_t rows, size_t columns, size_t stride,
                            int32_t *largest) noexcept nogil
        void (*mask_i8)(const uint64_t *bits, size_t stride_words, size_t rows, size_t columns,
                        int8_t *g, size_t g_stride) noexcept nogil
        void (*norm_cancel_f32)(const int32_t *y, size_t rows, size_t columns, size_t stride,
                                const int32_t *low, const int32_t *high,
                                float *g, size_t g_stride) noexcept nogil
        void (*mask_f32)(const uint64_t *bits, size_t stride_words, size_t rows, size_t columns,
                         float *g, size_t g_stride) noexcept nogil
        void (*norm_sums_f32)(const int32_t *t, size_t rows, size_t columns, size_t stride,
                              const float *g, size_t g_stride, double *sum_g, double *sum_gt) noexcept nogil
        void (*norm_affine_f32)(const int32_t *t, size_t rows, size_t columns, size_t stride,
                                const float *a, const float *b, const float *c0,
                                float *g, size_t g_stride) noexcept nogil

        void (*lookup_tables_i8)(const int8_t *a, size_t rows, size_t a_stride, size_t depth, bnn_lookup_part part,
                                 uint8_t *tables, size_t stride_bytes) noexcept nogil
        void (*lookup_lay_u1)(const uint64_t *b, size_t b_stride_words, size_t depth, size_t columns,
                              uint8_t *panel) noexcept nogil
        void (*lookup_gemm_i32)(const uint8_t *const *tables, size_t rows, size_t taps, size_t groups,
                                const uint8_t *panel, size_t columns, int weight, int32_t *c, size_t c_stride,
                                int add) noexcept nogil

        void (*pool_max_i32)(const int32_t *y, size_t rows, size_t columns, size_t stride, const uint8_t *flip,
                             int32_t *out, size_t out_stride, uint64_t *choice, size_t choice_stride) noexcept nogil
        void (*pool_spread_i8)(const int8_t *values, size_t rows, size_t columns, size_t stride,
                               const uint64_t *choice, size_t choice_stride, int8_t *out,
                               size_t out_stride) noexcept nogil
        void (*pool_spread_f32)(const float *values, size_t rows, size_t columns, size_t stride,
                                const uint64_t *choice, size_t choice_stride, float *out,
                                size_t out_stride) noexcept nogil
        void (*narrow_i32_i16)(const int32_t *y, size_t rows, size_t columns, size_t stride, int16_t *out,
                               size_t out_stride) noexcept nogil
        void (*widen_i16_i32)(const int16_t *y, size_t rows, size_t columns, size_t stride, int32_t *out,
                              size_t out_stride) noexcept nogil

        void (*update_sign_momentum_i8)(int8_t *latent, int8_t *momentum, size_t stride,
                                        const int32_t *gradient, size_t g_stride,
                                        size_t rows, size_t columns, uint32_t index,
                                        const bnn_sign_step *step) noexcept nogil
        void (*update_channel_momentum_i8)(int8_t *latent, int8_t *momentum, size_t stride,
                                           const int32_t *gradient, size_t g_stride,
                                           size_t rows, size_t columns, uint32_t index,
                                           const float *multiplier, int64_t *magnitude,
                                           const bnn_channel_step *step) noexcept nogil
        void (*update_sign_i8)(int8_t *latent, size_t stride, const int32_t *gradient,
                               size_t g_stride, size_t rows, size_t columns, uint32_t index,
                               const bnn_sign_step *step) noexcept nogil
        void (*update_real)(void *latent, void *momentum1, void *momentum2, size_t stride,
                            const float *gradient, size_t g_stride, size_t rows, size_t columns,
                            uint32_t index, const bnn_real_step *step) noexcept nogil

        void (*gemm_f32)(const float *a, size_t rows, size_t a_row, size_t a_depth, const float *b,
                         size_t b_stride, size_t columns, size_t depth,
                         float *c, size_t c_stride) noexcept nogil
        void (*expand_u1_f32)(const uint64_t *bits, size_t stride_words, size_t rows,
                              size_t columns, float *out, size_t out_stride) noexcept nogil
        void (*convert_i8_f32)(const int8_t *values, size_t stride, size_t rows, size_t columns,
                               float *out, size_t out_stride) noexcept nogil
        void (*convert_f16_f32)(const uint16_t *values, size_t stride, size_t rows, size_t columns,
                                float *out, size_t out_stride) noexcept nogil
        void (*convert_f32_f16)(const float *values, size_t stride, size_t rows, size_t columns,
                                uint16_t *out, size_t out_stride) noexcept nogil
        void (*quantise_f32_i8)(const float *values, size_t count, float multiplier,
                                int8_t *q) noexcept nogil
        void (*softmax_f32)(const float *z, const uint16_t *labels, size_t rows, size_t classes,
                            float smoothing, float *gradient, double *loss, uint8_t *hit) noexcept nogil
        void (*adam_f32)(float *value, float *m, float *v, const float *gradient, size_t count,
                         const bnn_adam_step *step) noexcept nogil

    const bnn_kernels *bnn_kernels_for(bnn_isa isa) noexcept

    struct bnn_implementation:
        const char *op
        bnn_isa isa
    const bnn_implementation *bnn_implementations
    const size_t bnn_implementation_count
