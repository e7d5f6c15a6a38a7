# real_conv.pyx: the binding of real_conv.h.

cdef extern from "real_conv/real_conv.h":
    struct bnn_real_conv:
        bnn_conv conv
        size_t stream_height
        size_t stream_width
        size_t pooled
        int8_t *x_i8
        float *x_f32
        float *amax
        void *w_rows
        void *w_columns
        float *w_unit
    size_t bnn_real_conv_scratch(const bnn_real_conv *r) nogil
    void bnn_real_conv_forward(const bnn_kernels *kernels, const bnn_real_conv *r, size_t batch, int first,
                               int threads) nogil
    void bnn_real_conv_backward(const bnn_kernels *kernels, const bnn_real_conv *r, size_t batch,
                                const bnn_block_step *step, int threads) nogil


def real_conv_scratch_bytes(Window window, size_t outputs, *, str gradient, bint reads_stream):
    """Bytes of scratch that a thread of a `RealConv` of these sizes needs."""
    cdef bnn_real_conv r
    cdef int8_t pixel = 0
    memset(&r, 0, sizeof(r))
    r.conv.window = window.window
    r.conv.block.inputs, r.conv.block.outputs = window.taps * window.window.channels, outputs
    r.conv.block.gradient_type = _TYPES[gradient]
    if reads_stream:
        r.conv.block.stream.input = &pixel
    return bnn_real_conv_scratch(&r)


cdef class RealConv(Block):
    """A real convolution and its batch norm, bound to their buffers.

    Parameters
    ----------
    window : Window
        Its geometry, on what comes in after pooling.
    outputs, batch : int
        Output channels and the largest batch.
    norm, latent, gradient : str
        Representations, as in the method table.
    stream : tuple of int or None
        Height, width and pooling side of the stream that comes in; None where pixels do.
    adds : bool
        The gradient of the stream that it reads holds a part already.
    arrays : dict of str to ndarray or None
        Buffers by tensor, shapes and types as in real_conv.h.
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

    cdef bnn_real_conv real
    cdef bnn_real_conv *bound  # that of a subclass
    cdef void *rows_forward
    cdef void *rows_backward
    cdef void *columns_forward
    cdef void *columns_backward
    cdef float *unit_forward
    cdef float *unit_backward

    def __init__(self, *, Window window, size_t outputs, size_t batch, str norm, str latent, str gradient, stream,
                 bint adds, dict arrays, scratch, int threads, str isa):
        self.block = &self.real.conv.block
        self.bind(&self.real, window, outputs, batch, norm, latent, gradient, stream, adds, arrays, scratch, threads,
                  isa, window.positions)
        self.bind_scratch(bnn_real_conv_scratch(&self.real))

    cdef int bind(self, bnn_real_conv *r, Window window, size_t outputs, size_t batch, str norm, str latent,
                  str gradient, stream, bint adds, dict arrays, scratch, int threads, str isa,
                  size_t positions) except -1:
        """All but the size of scratch; a stream of so many positions an image is made."""
        cdef bnn_block *b = &r.conv.block
        self.bound = r
        self.bind_memory(arrays, scratch, batch, threads, isa)
        r.conv.window = window.window
        b.inputs, b.outputs = window.taps * window.window.channels, outputs
        self.bind_types(norm, "none", latent, gradient, "float32", False)
        self.bind_source(r, window, gradient, stream, adds, batch * positions)
        r.conv.origins = <bnn_origin *>self.required("origins", "int32", (window.positions, 2))
        self.bind_real_weights(r, latent, "int8" if gradient == "int8" else "float32")
        self.bind_norm(norm, outputs)
        return self.bind_scales()

    cdef int bind_source(self, bnn_real_conv *r, Window window, str gradient, stream, bint adds, size_t rows) except -1:
        """What comes in, and the streams."""
        cdef bnn_block *b = &r.conv.block
        cdef size_t channels = window.window.channels, inputs = self.batch * <size_t>window.inputs
        if stream is None:
            b.x_i8 = <int8_t *>self.required("x_int8", "int8", (self.batch, <size_t>window.inputs * channels))
            return self.bind_stream(gradient, inputs, channels, rows, b.outputs, adds, False, True)
        r.stream_height, r.stream_width, r.pooled = stream
        self.bind_stream(gradient, self.batch * r.stream_height * r.stream_width, channels, rows, b.outputs, adds, True,
                         True)
        if gradient == "int8":
            r.x_i8 = <int8_t *>self.required("X", "int8", (inputs, channels))
            r.amax = <float *>self.required("amax", "float32", (2,))
        else:
            r.x_f32 = <float *>self.required("X", "float32", (inputs, channels))
        return 0

    cdef int bind_real_weights(self, bnn_real_conv *r, str latent, str multiplied) except -1:
        cdef bnn_block *b = &r.conv.block
        shape, turned = (b.outputs, b.inputs), (b.inputs, b.outputs)
        self.rows_forward = self.required("W_rows", multiplied, shape)
        self.rows_backward = self.required("W_rows_again", multiplied, shape)
        self.columns_forward = self.required("W_columns", multiplied, turned)
        self.columns_backward = self.required("W_columns_again", multiplied, turned)
        if multiplied == "int8":
            self.unit_forward = <float *>self.required("W_unit", "float32", (b.outputs,))
            self.unit_backward = <float *>self.required("W_unit_again", "float32", (b.outputs,))
        b.latent = self.required("latent", _dtype(latent), shape)
        b.momentum1 = self.required("momentum1", "float32", shape)
        b.momentum2 = self.required("momentum2", "float32", shape)
        return 0

    cdef void turn_forward(self) noexcept nogil:
        """Use the weights as the forward pass multiplies them."""
        cdef bnn_real_conv *r = self.bound
        r.w_rows, r.w_columns, r.w_unit = self.rows_forward, self.columns_forward, self.unit_forward

    cdef void turn_backward(self) noexcept nogil:
        cdef bnn_real_conv *r = self.bound
        r.w_rows, r.w_columns, r.w_unit = self.rows_backward, self.columns_backward, self.unit_backward

    cdef void run_forward(self, size_t batch, bint first_step) noexcept nogil:
        self.turn_forward()
        bnn_real_conv_forward(self.kernels, &self.real, batch, first_step, self.threads)

    cdef void run_backward(self, size_t batch, const bnn_block_step *step) noexcept nogil:
        self.turn_backward()
        bnn_real_conv_backward(self.kernels, &self.real, batch, step, self.threads)

    cdef void run_update(self, const bnn_block_step *step) noexcept nogil:
        bnn_update(self.kernels, self.block, step, self.block.inputs, self.threads)
