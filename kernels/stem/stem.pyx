# stem.pyx: the binding of stem.h.

cdef extern from "stem/stem.h":
    struct bnn_stem:
        bnn_real_conv real
        bint relu
        size_t pad_top
        size_t pad_left
        size_t pooled_height
        size_t pooled_width
        bnn_block *second
        void *pooled
        double *affine
    size_t bnn_stem_scratch(const bnn_stem *stem) nogil
    void bnn_stem_forward(const bnn_kernels *kernels, const bnn_stem *stem, size_t batch, int first, int threads) nogil
    void bnn_stem_backward(const bnn_kernels *kernels, const bnn_stem *stem, size_t batch, const bnn_block_step *step,
                           int threads) nogil


def stem_scratch_bytes(Window window, size_t outputs, size_t pooled_width, *, str gradient):
    """Bytes of scratch that a thread of a `Stem` of these sizes needs."""
    cdef bnn_stem s
    memset(&s, 0, sizeof(s))
    s.real.conv.window, s.pooled_width = window.window, pooled_width
    s.real.conv.block.inputs, s.real.conv.block.outputs = window.taps * window.window.channels, outputs
    s.real.conv.block.gradient_type = _TYPES[gradient]
    return bnn_stem_scratch(&s)


cdef class Stem(RealConv):
    """A real convolution of pixels, batch norm and overlapping max-pooling, bound to their buffers.

    Parameters
    ----------
    pooling : tuple of int
        Height and width of what is pooled, rows and columns by which the first window sticks out.
    relu, has_second : bool
        ReLU before pooling, a second norm behind it, whose buffers begin with ``second_``.
    window, outputs, batch, norm, latent, gradient, arrays, scratch, threads, isa
        As for `RealConv`.

    Raises
    ------
    ValueError
        A buffer has another type or shape than the sizes ask for.
    """

    cdef bnn_stem stem
    cdef bnn_block second
    cdef void *pooled_forward
    cdef void *pooled_backward

    def __init__(self, *, pooling, bint relu, bint has_second, Window window, size_t outputs, size_t batch, str norm,
                 str latent, str gradient, dict arrays, scratch, int threads, str isa):
        cdef bnn_stem *s = &self.stem
        s.pooled_height, s.pooled_width, s.pad_top, s.pad_left = pooling
        s.relu = relu
        self.block = &s.real.conv.block
        self.bind(&s.real, window, outputs, batch, norm, latent, gradient, None, False, arrays, scratch, threads, isa,
                  s.pooled_height * s.pooled_width)
        dtype, shape = "int16" if gradient == "int8" else "float32", (batch * s.pooled_height * s.pooled_width, outputs)
        self.pooled_forward = self.required("pooled", dtype, shape)
        self.pooled_backward = self.required("pooled_again", dtype, shape)
        s.affine = <double *>self.required("affine", "float64", (6, outputs))
        if has_second:
            memset(&self.second, 0, sizeof(self.second))
            self.second.outputs, self.second.norm = outputs, s.real.conv.block.norm
            self.second.gradient_type = s.real.conv.block.gradient_type
            self.block = &self.second
            self.prefix = "second_"
            self.bind_norm(norm, outputs)
            self.prefix = ""
            self.second.g_scale = s.real.conv.block.g_scale
            self.block = &s.real.conv.block
            s.second = &self.second
        self.bind_scratch(bnn_stem_scratch(s))

    def set_profile(self, profile):
        """Add seconds by zone, see `Block.set_profile`; the second norm's with the others."""
        RealConv.set_profile(self, profile)
        self.second.profile = self.block.profile

    cdef void run_forward(self, size_t batch, bint first_step) noexcept nogil:
        self.turn_forward()
        self.stem.pooled = self.pooled_forward
        bnn_stem_forward(self.kernels, &self.stem, batch, first_step, self.threads)

    cdef void run_backward(self, size_t batch, const bnn_block_step *step) noexcept nogil:
        self.turn_backward()
        self.stem.pooled = self.pooled_backward
        bnn_stem_backward(self.kernels, &self.stem, batch, step, self.threads)

    cdef void run_update(self, const bnn_block_step *step) noexcept nogil:
        bnn_update(self.kernels, self.block, step, self.block.inputs, self.threads)
        if self.stem.second != NULL:
            bnn_update(self.kernels, self.stem.second, step, self.block.inputs, self.threads)
