# block.pyx: the binding of block.h.  Addresses are taken once, when a block is bound to the arena, so that a step costs
# one Python call per pass and nothing is looked up or allocated in it.

cdef extern from "block/weights.h":
    const float BNN_USUAL_GRADIENT

cdef extern from "block/residual.h":
    struct bnn_residual_stream:
        const void *input "in"
        uint64_t *mask
        const void *addend
        void *out
        const void *g_out
        void *g_in
        bint adds

cdef extern from "block/block.h":
    enum bnn_mask:
        BNN_mask_none
        BNN_mask_recompute
        BNN_mask_stored
        BNN_mask_retained
    struct bnn_scale:
        float used
        float next
    struct bnn_block:
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
        bnn_residual_stream stream
        bnn_type gradient_type
        void *g
        void *dx
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
    struct bnn_block_step:
        int limit
        int current_scales
        uint64_t dy_key
        uint64_t dx_key
        bnn_sign_step sign
        bnn_channel_step channel
        float magnitude_correction
        bnn_real_step real
        bnn_adam_step norm

cdef extern from "block/weights.h":
    void bnn_update(const bnn_kernels *kernels, const bnn_block *block, const bnn_block_step *step, size_t line,
                    int threads) nogil


ZONES = (
    "pack", "gather", "forward", "statistics", "activate", "recompute", "norm_backward", "tables", "input_gradient",
    "requantise", "weight_gradient", "update",
)
"""Zones of a step in the order of ``enum bnn_zone``."""

USUAL_GRADIENT = BNN_USUAL_GRADIENT
"""Normalised gradient of channel-momentum that stands for the usual one of a channel."""

MAX_INPUTS = 65536
"""Most inputs of a block: |y| <= 2**23 is exact in float32 and its squares' sums over 2**16 samples in int64."""

_TYPES = {**TYPES, "bit": BNN_u1}
_STREAMS = {"int8": "int16", "float16": "float16", "float32": "float32"}  # by type of gradients
_NORMS = {"l2": BNN_norm_l2, "l1": BNN_norm_l1, "l1-binary": BNN_norm_l1_binary}
_MASKS = {"none": BNN_mask_none, "recompute": BNN_mask_recompute, "bit": BNN_mask_stored,
          "retained": BNN_mask_retained}


cdef str _dtype(str type):
    """The NumPy dtype that stores elements of a type."""
    return "uint64" if type == "bit" else type


cdef class Block:
    """What blocks share: representations, and the buffers of weights, batch norm and optimizer, bound once.

    Holds the addresses in the `bnn_block` that every kind of block has.
    """

    cdef bnn_block *block
    cdef const bnn_kernels *kernels
    cdef size_t batch
    cdef int threads
    cdef object arrays, scratch, profile
    cdef str prefix  # of the names of buffers
    cdef uint64_t *w_forward
    cdef uint64_t *w_backward
    cdef uint64_t *w_t_forward
    cdef uint64_t *w_t_backward
    cdef uint64_t *x_forward
    cdef uint64_t *x_backward

    cdef void *required(self, str name, str format, tuple shape) except? NULL:
        if self.prefix:
            name = self.prefix + name
        array = self.arrays.get(name)
        if array is None:
            raise ValueError(f"{name}: missing")
        return data(array, format, shape, True, name)

    cdef void *optional(self, str name, str format, tuple shape) except? NULL:
        there = self.arrays.get(self.prefix + name if self.prefix else name)
        return NULL if there is None else self.required(name, format, shape)

    cdef int bind_memory(self, dict arrays, scratch, size_t batch, int threads, str isa) except -1:
        """Keep what is bound alive, and who works on it."""
        self.arrays, self.scratch = arrays, scratch
        self.batch, self.threads = batch, threads
        self.kernels = kernels_for(isa)
        return 0

    cdef int bind_types(self, str norm, str mask, str latent, str gradient, str weight_gradient,
                        bint integer_update) except -1:
        cdef bnn_block *b = self.block
        b.norm, b.mask = _NORMS[norm], _MASKS[mask]
        b.latent_type, b.gradient_type = _TYPES[latent], _TYPES[gradient]
        b.dw_type = BNN_f32 if weight_gradient == "float32" else BNN_u1
        b.integer_update = integer_update
        return 0

    cdef int bind_norm(self, str norm, size_t outputs) except -1:
        cdef bnn_block *b = self.block
        b.beta = <float *>self.required("beta", "float32", (outputs,))
        b.grad_beta = <float *>self.required("d_beta", "float32", (outputs,))
        b.beta_adam1 = <float *>self.required("beta_adam1", "float32", (outputs,))
        b.beta_adam2 = <float *>self.required("beta_adam2", "float32", (outputs,))
        b.gamma = <float *>self.optional("gamma", "float32", (outputs,))
        b.gamma_adam1 = <float *>self.optional("gamma_adam1", "float32", (outputs,))
        b.gamma_adam2 = <float *>self.optional("gamma_adam2", "float32", (outputs,))
        b.grad_gamma = <float *>self.optional("d_gamma", "float32", (outputs,))
        b.running_mean = <float *>self.required("running_mean", "float32", (outputs,))
        b.running_spread = <float *>self.required("running_spread", "float32", (outputs,))
        b.mean = <double *>self.required("mean", "float64", (outputs,))
        b.inverse = <double *>self.required("inverse", "float64", (outputs,))
        if norm == "l1-binary":
            b.magnitude = <double *>self.required("magnitude", "float64", (outputs,))
        return 0

    cdef int bind_weights(self, str latent, str momentum, size_t outputs, size_t inputs, size_t lines,
                          size_t line) except -1:
        """Latent weights and moments [outputs, inputs]; packed signs and dW in `lines` of `line` bits each."""
        cdef bnn_block *b = self.block
        shape, words = (outputs, inputs), (lines, (line + 63) // 64)
        b.latent = self.required("latent", _dtype(latent), shape)
        self.w_forward = <uint64_t *>self.required("W_signs", "uint64", words)
        self.w_backward = <uint64_t *>self.required("W_signs_again", "uint64", words)
        if b.x_i8 != NULL:
            turned = (inputs, (outputs + 63) // 64)
            self.w_t_forward = <uint64_t *>self.required("W_signs_transposed", "uint64", turned)
            self.w_t_backward = <uint64_t *>self.required("W_signs_again_transposed", "uint64", turned)
        if b.dw_type == BNN_f32:
            b.dw = self.required("dW", "float32", shape)
        else:  # none where it is consumed at once
            b.dw = self.optional("dW", "uint64", words)
        b.momentum1 = self.optional("momentum1", momentum, shape)
        b.momentum2 = self.optional("momentum2", momentum, shape)
        b.dw_magnitude = <float *>self.optional("dW_magnitude", "float32", (outputs,))
        b.dw_sums = <int64_t *>self.optional("dW_sums", "int64", (outputs,))
        return 0

    cdef int bind_scales(self) except -1:
        cdef bnn_block *b = self.block
        if b.gradient_type != BNN_i8:
            return 0
        b.g_scale = <bnn_scale *>self.required("g_scale", "float32", (2,))
        b.dy_scale = <bnn_scale *>self.required("dY_scale", "float32", (2,))
        if b.stream.g_in != NULL:
            b.dx_scale = <bnn_scale *>self.required("dX_scale", "float32", (2,))
        else:
            b.dx_scale = <bnn_scale *>self.optional("dX_scale", "float32", (2,))
        return 0

    cdef int bind_stream(self, str gradient, size_t inputs, size_t channels, size_t rows, size_t outputs, bint adds,
                         bint reads, bint makes) except -1:
        """What a step has of streams: [inputs, channels] of one that it reads, [rows, outputs] of one that it makes."""
        cdef bnn_residual_stream *s = &self.block.stream
        dtype = _STREAMS[gradient]
        if reads:
            s.input = self.required("stream_in", dtype, (inputs, channels))
            s.g_in = self.required("stream_d_in", dtype, (inputs, channels))
            s.mask = <uint64_t *>self.optional("stream_mask", "uint64", (inputs, (channels + 63) // 64))
        if makes:
            s.out = self.required("stream_out", dtype, (rows, outputs))
            s.g_out = self.required("stream_d_out", dtype, (rows, outputs))
        if reads and makes:
            s.addend = self.optional("stream_addend", dtype, (rows, outputs))
        s.adds = adds
        if dtype == "int16" and s.addend != NULL and s.addend != s.out:
            raise ValueError("stream_addend: an int16 stream is added to in place")
        return 0

    cdef int bind_scratch(self, size_t size) except -1:
        cdef bnn_block *b = self.block
        b.scratch = <unsigned char *>data(self.scratch, "uint8", (self.threads, None), True, "scratch")
        b.scratch_stride = self.scratch.shape[1]
        if b.scratch_stride < size:
            raise ValueError(f"scratch: expected {size} bytes a thread, got {b.scratch_stride}")
        return 0

    cdef void turn_forward(self) noexcept nogil:
        """Use the packed signs of the forward pass."""
        self.block.w_u1, self.block.w_t_u1, self.block.x_u1 = self.w_forward, self.w_t_forward, self.x_forward

    cdef void turn_backward(self) noexcept nogil:
        self.block.w_u1, self.block.w_t_u1, self.block.x_u1 = self.w_backward, self.w_t_backward, self.x_backward

    cdef void run_forward(self, size_t batch, bint first_step) noexcept nogil:
        pass

    cdef void run_backward(self, size_t batch, const bnn_block_step *step) noexcept nogil:
        pass

    cdef void run_update(self, const bnn_block_step *step) noexcept nogil:
        pass

    def forward(self, size_t batch, bint first_step):
        """Compute the block's output for the first `batch` samples, and move the running statistics."""
        assert 0 < batch <= self.batch
        with nogil:
            self.run_forward(batch, first_step)

    def backward(self, size_t batch, BlockStep step):
        """Compute dY, dX and dW; a dW that is not stored moves the weights."""
        assert 0 < batch <= self.batch
        with nogil:
            self.run_backward(batch, &step.step)

    def update(self, BlockStep step):
        """Apply a stored dW, and Adam to gamma and beta."""
        with nogil:
            self.run_update(&step.step)

    def set_profile(self, profile):
        """Add seconds by zone to `profile`, float64 [len(ZONES)]; None stops it."""
        self.profile = profile
        self.block.profile = NULL
        if profile is not None:
            self.block.profile = <double *>data(profile, "float64", (len(ZONES),), True, "profile")
