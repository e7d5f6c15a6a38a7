# dense.pyx: the binding of dense.h.  Addresses are taken once, when the block is bound to the arena, so that a step
# costs one Python call per pass and nothing is looked up or allocated in it.

cdef extern from "dense/tile.h":
    const float BNN_TYPICAL_PUSH

cdef extern from "dense/dense.h":
    enum bnn_mask:
        BNN_mask_none
        BNN_mask_recompute
        BNN_mask_stored
        BNN_mask_retained
    enum:
        BNN_phase_count
    struct bnn_scale:
        float used
        float next
    struct bnn_dense:
        size_t inputs
        size_t outputs
        bnn_norm_kind norm
        const int8_t *x_i8
        const float *x_f32
        uint64_t *x_u1
        void *latent
        bnn_type latent_type
        uint64_t *w_u1
        uint64_t *w_t_u1
        float *gamma
        float *beta
        float *grad_gamma
        float *grad_beta
        float *gamma_adam1
        float *gamma_adam2
        float *beta_adam1
        float *beta_adam2
        float *running_mean
        float *running_spread
        double *mean
        double *inverse
        double *magnitude
        uint64_t *out_u1
        uint64_t *mask_u1
        float *out_f32
        bnn_mask mask
        bnn_type gradient_type
        void *g
        void *dx
        int8_t *dy_t
        bnn_scale *g_scale
        bnn_scale *dy_scale
        bnn_scale *dx_scale
        bnn_type dw_type
        void *dw
        void *momentum1
        void *momentum2
        int integer_update
        float *dw_magnitude
        int64_t *dw_sums
        unsigned char *scratch
        size_t scratch_stride
        double *profile
    struct bnn_dense_step:
        int first
        int limit
        int current_scales
        uint64_t dy_key
        uint64_t dx_key
        bnn_sign_step sign
        bnn_channel_step channel
        float magnitude_correction
        bnn_real_step real
        bnn_adam_step norm
    size_t bnn_dense_scratch(size_t outputs, size_t batch, bnn_type gradient_type) nogil
    void bnn_dense_forward(const bnn_kernels *kernels, const bnn_dense *dense, size_t batch, int training, int first,
                           int threads) nogil
    void bnn_dense_backward(const bnn_kernels *kernels, const bnn_dense *dense, size_t batch,
                            const bnn_dense_step *step, int threads) nogil
    void bnn_dense_update(const bnn_kernels *kernels, const bnn_dense *dense, const bnn_dense_step *step,
                          int threads) nogil


PHASES = (
    "pack", "gather", "forward", "statistics", "activate", "recompute", "norm_backward", "tables", "input_gradient",
    "requantise", "weight_gradient", "update",
)
"""Phases of a step in the order of ``enum bnn_phase``."""
PRODUCT_PHASES = ("forward", "recompute", "input_gradient", "weight_gradient")
"""Those that multiply, each weight once per sample."""

TYPICAL_PUSH = BNN_TYPICAL_PUSH
"""Integer push of channel-momentum that stands for the usual gradient of a channel."""

MAX_INPUTS = 65536
"""Most inputs of a block: |y| <= 2**23 is exact in float32 and its squares' sums over 2**16 samples in int64."""

_TYPES = {**TYPES, "bit": BNN_u1}
_NORMS = {"l2": BNN_norm_l2, "l1": BNN_norm_l1, "l1-binary": BNN_norm_l1_binary}
_MASKS = {"none": BNN_mask_none, "recompute": BNN_mask_recompute, "bit": BNN_mask_stored,
          "retained": BNN_mask_retained}


cdef str _dtype(str type):
    """The NumPy dtype that stores elements of a type."""
    return "uint64" if type == "bit" else type


def dense_scratch_bytes(size_t outputs, size_t batch, str gradient):
    """Bytes of scratch that one thread of a dense block needs (`gradient`: float32, float16 or int8)."""
    return bnn_dense_scratch(outputs, batch, _TYPES[gradient])


cdef class Block:
    """What blocks share: representations, and the buffers of weights, batch norm and optimizer, bound once.

    Holds the addresses in the part of `bnn_dense`, which a convolution block has too.
    """

    cdef bnn_dense *block
    cdef const bnn_kernels *kernels
    cdef size_t batch
    cdef int threads
    cdef object arrays, scratch, profile
    cdef uint64_t *w_forward
    cdef uint64_t *w_backward
    cdef uint64_t *w_t_forward
    cdef uint64_t *w_t_backward
    cdef uint64_t *x_forward
    cdef uint64_t *x_backward

    cdef void *required(self, str name, str format, tuple shape) except? NULL:
        array = self.arrays.get(name)
        if array is None:
            raise ValueError(f"{name}: missing")
        return data(array, format, shape, True, name)

    cdef void *optional(self, str name, str format, tuple shape) except? NULL:
        return NULL if self.arrays.get(name) is None else self.required(name, format, shape)

    cdef int bind_types(self, str norm, str mask, str latent, str gradient, str weight_gradient,
                        bint integer_update) except -1:
        cdef bnn_dense *d = self.block
        d.norm, d.mask = _NORMS[norm], _MASKS[mask]
        d.latent_type, d.gradient_type = _TYPES[latent], _TYPES[gradient]
        d.dw_type = BNN_f32 if weight_gradient == "float32" else BNN_u1
        d.integer_update = integer_update
        return 0

    cdef int bind_norm(self, str norm, size_t outputs) except -1:
        cdef bnn_dense *d = self.block
        d.beta = <float *>self.required("beta", "float32", (outputs,))
        d.grad_beta = <float *>self.required("d_beta", "float32", (outputs,))
        d.beta_adam1 = <float *>self.required("beta_adam1", "float32", (outputs,))
        d.beta_adam2 = <float *>self.required("beta_adam2", "float32", (outputs,))
        d.gamma = <float *>self.optional("gamma", "float32", (outputs,))
        d.gamma_adam1 = <float *>self.optional("gamma_adam1", "float32", (outputs,))
        d.gamma_adam2 = <float *>self.optional("gamma_adam2", "float32", (outputs,))
        d.grad_gamma = <float *>self.optional("d_gamma", "float32", (outputs,))
        d.running_mean = <float *>self.required("running_mean", "float32", (outputs,))
        d.running_spread = <float *>self.required("running_spread", "float32", (outputs,))
        d.mean = <double *>self.required("mean", "float64", (outputs,))
        d.inverse = <double *>self.required("inverse", "float64", (outputs,))
        if norm == "l1-binary":
            d.magnitude = <double *>self.required("magnitude", "float64", (outputs,))
        return 0

    cdef int bind_weights(self, str latent, str momentum, size_t outputs, size_t inputs, size_t lines,
                          size_t line) except -1:
        """Latent weights and momenta [outputs, inputs]; packed signs and dW in `lines` of `line` bits each."""
        cdef bnn_dense *d = self.block
        shape, words = (outputs, inputs), (lines, (line + 63) // 64)
        d.latent = self.required("latent", _dtype(latent), shape)
        self.w_forward = <uint64_t *>self.required("W_signs", "uint64", words)
        self.w_backward = <uint64_t *>self.required("W_signs_again", "uint64", words)
        if d.x_i8 != NULL:
            turned = (inputs, (outputs + 63) // 64)
            self.w_t_forward = <uint64_t *>self.required("W_signs_transposed", "uint64", turned)
            self.w_t_backward = <uint64_t *>self.required("W_signs_again_transposed", "uint64", turned)
        if d.dw_type == BNN_f32:
            d.dw = self.required("dW", "float32", shape)
        else:  # none where it is consumed at once
            d.dw = self.optional("dW", "uint64", words)
        d.momentum1 = self.optional("momentum1", momentum, shape)
        d.momentum2 = self.optional("momentum2", momentum, shape)
        d.dw_magnitude = <float *>self.optional("dW_magnitude", "float32", (outputs,))
        d.dw_sums = <int64_t *>self.optional("dW_sums", "int64", (outputs,))
        return 0

    cdef int bind_scales(self) except -1:
        cdef bnn_dense *d = self.block
        if d.gradient_type != BNN_i8:
            return 0
        d.g_scale = <bnn_scale *>self.required("g_scale", "float32", (2,))
        d.dy_scale = <bnn_scale *>self.required("dY_scale", "float32", (2,))
        d.dx_scale = <bnn_scale *>self.optional("dX_scale", "float32", (2,))
        return 0

    cdef int bind_scratch(self, size_t size) except -1:
        cdef bnn_dense *d = self.block
        d.scratch = <unsigned char *>data(self.scratch, "uint8", (self.threads, None), True, "scratch")
        d.scratch_stride = self.scratch.shape[1]
        if d.scratch_stride < size:
            raise ValueError(f"scratch: expected {size} bytes a thread, got {d.scratch_stride}")
        return 0

    cdef void turn_forward(self) noexcept:
        """Use the packed signs of the forward pass."""
        self.block.w_u1, self.block.w_t_u1, self.block.x_u1 = self.w_forward, self.w_t_forward, self.x_forward

    cdef void turn_backward(self) noexcept:
        self.block.w_u1, self.block.w_t_u1, self.block.x_u1 = self.w_backward, self.w_t_backward, self.x_backward

    def set_profile(self, profile):
        """Add seconds by phase to `profile`, float64 [len(PHASES)]; None stops it."""
        self.profile = profile
        self.block.profile = NULL
        if profile is not None:
            self.block.profile = <double *>data(profile, "float64", (len(PHASES),), True, "profile")


cdef class Dense(Block):
    """A dense block bound to its buffers.

    Parameters
    ----------
    inputs, outputs, batch : int
        Sizes I, O and the largest B.
    norm, mask, latent, gradient, weight_gradient, momentum : str
        Representations, as in the method table; mask ``none`` for a block without sign.
    integer_update : bool
        Weights move by the integer kernels.
    arrays : dict of str to ndarray or None
        Buffers by tensor, shapes and types as in dense.h.
    scratch : ndarray of uint8 [threads, bytes]
        Working memory of the threads.
    threads : int
        Threads of every pass.
    isa : str
        Instruction set.

    Raises
    ------
    ValueError
        A buffer has another type or shape than the sizes ask for.
    """

    cdef bnn_dense dense

    def __init__(self, *, size_t inputs, size_t outputs, size_t batch, str norm, str mask, str latent, str gradient,
                 str weight_gradient, str momentum, bint integer_update, dict arrays, scratch, int threads, str isa):
        cdef bnn_dense *d = &self.dense
        self.block = d
        self.arrays, self.scratch = arrays, scratch  # keep the memory alive
        self.batch, self.threads = batch, threads
        self.kernels = kernels_for(isa)
        words_in, words_out = (inputs + 63) // 64, (outputs + 63) // 64
        d.inputs, d.outputs = inputs, outputs
        self.bind_types(norm, mask, latent, gradient, weight_gradient, integer_update)
        d.x_i8 = <int8_t *>self.optional("x_int8", "int8", (batch, inputs))
        d.x_f32 = <float *>self.optional("x_real", "float32", (batch, inputs))
        d.x_u1 = <uint64_t *>self.optional("x_bits", "uint64", (batch, words_in))
        self.x_forward = self.x_backward = d.x_u1
        if d.x_f32 != NULL:
            self.x_forward = <uint64_t *>self.required("X_signs", "uint64", (batch, words_in))
            self.x_backward = <uint64_t *>self.required("X_signs_again", "uint64", (batch, words_in))
        self.bind_weights(latent, momentum, outputs, inputs, outputs, inputs)
        self.bind_norm(norm, outputs)
        d.out_u1 = <uint64_t *>self.optional("out_bits", "uint64", (batch, words_out))
        d.out_f32 = <float *>self.optional("out_real", "float32", (batch, outputs))
        d.mask_u1 = <uint64_t *>self.optional("mask", "uint64", (batch, words_out))
        d.g = self.required("gradient", _dtype(gradient), (batch, outputs))
        d.dx = self.optional("dX", _dtype(gradient), (batch, inputs))
        if d.gradient_type == BNN_i8:
            d.dy_t = <int8_t *>self.required("dY_transposed", "int8", (outputs, batch))
        self.bind_scales()
        self.bind_scratch(bnn_dense_scratch(outputs, batch, d.gradient_type))

    def forward(self, size_t batch, bint training, bint first_step):
        """Compute the block's output for the first `batch` samples."""
        assert 0 < batch <= self.batch
        self.turn_forward()
        with nogil:
            bnn_dense_forward(self.kernels, &self.dense, batch, training, first_step, self.threads)

    def backward(self, size_t batch, DenseStep step):
        """Compute dY, dX and dW; a dW that is not stored moves the weights."""
        assert 0 < batch <= self.batch
        self.turn_backward()
        with nogil:
            bnn_dense_backward(self.kernels, &self.dense, batch, &step.step, self.threads)

    def update(self, DenseStep step):
        """Apply a stored dW."""
        with nogil:
            bnn_dense_update(self.kernels, &self.dense, &step.step, self.threads)
