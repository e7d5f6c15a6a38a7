# conv.pyx: the binding of conv.h.

cdef extern from "conv/window.h":
    enum bnn_pool:
        BNN_pool_none
        BNN_pool_before_norm
        BNN_pool_before_sign
        BNN_pool_after_sign
        BNN_pool_sum_before_norm
    struct bnn_window:
        size_t height
        size_t width
        size_t channels
        size_t kernel
        size_t stride
        size_t pad_top
        size_t pad_left
        size_t out_height
        size_t out_width
        bnn_pool pool
    struct bnn_origin:
        int32_t y
        int32_t x
    size_t bnn_windows(const bnn_window *window) noexcept nogil
    size_t bnn_positions(const bnn_window *window) noexcept nogil
    size_t bnn_norm_positions(const bnn_window *window) noexcept nogil
    size_t bnn_out_positions(const bnn_window *window) noexcept nogil
    void bnn_window_origins(const bnn_window *window, bnn_origin *origins) noexcept nogil
    void bnn_window_neighbours(const bnn_window *window, int32_t *neighbours) noexcept nogil

cdef extern from "conv/conv.h":
    struct bnn_conv:
        bnn_block block
        bnn_window window
        const bnn_origin *origins
        const int32_t *neighbours
        int32_t *tap_sums
        uint64_t *argmax
        int16_t *y_forward
        int16_t *y_backward
        void *window_gradient
        unsigned char *tables
        uint8_t *lookup
        size_t group
        uint64_t *flat_u1
    size_t bnn_conv_scratch(const bnn_conv *conv) nogil
    size_t bnn_conv_tables(const bnn_conv *conv, int limit) nogil
    size_t bnn_conv_lookup(const bnn_conv *conv) nogil
    size_t bnn_conv_group(const bnn_window *window, int threads) nogil
    void bnn_conv_forward(const bnn_kernels *kernels, const bnn_conv *conv, size_t batch, int first, int threads) nogil
    void bnn_conv_backward(const bnn_kernels *kernels, const bnn_conv *conv, size_t batch, const bnn_block_step *step,
                           int threads) nogil
    void bnn_conv_update(const bnn_kernels *kernels, const bnn_conv *conv, const bnn_block_step *step,
                         int threads) nogil

_POOLS = {"none": BNN_pool_none, "before_norm": BNN_pool_before_norm, "before_sign": BNN_pool_before_sign,
          "after_sign": BNN_pool_after_sign, "average_before_norm": BNN_pool_sum_before_norm}


cdef class Window:
    """Where a convolution's windows lie, and the order in which its positions are stored (conv/window.h).

    Parameters
    ----------
    height, width, channels : int
        Of the input.
    kernel, stride, pad_top, pad_left : int
        Side and step of the window, and how far the first one sticks out.
    out_height, out_width : int
        Positions of the product, before pooling.
    pool : str
        ``none``; where the max-pool stands: ``before_norm``, ``before_sign``, ``after_sign``; or
        ``average_before_norm``, which adds up (conv/window.h).
    """

    cdef bnn_window window

    def __init__(self, *, size_t height, size_t width, size_t channels, size_t kernel, size_t stride, size_t pad_top,
                 size_t pad_left, size_t out_height, size_t out_width, str pool):
        self.window = bnn_window(height, width, channels, kernel, stride, pad_top, pad_left, out_height, out_width,
                                 _POOLS[pool])

    @property
    def taps(self):
        """Positions of the window."""
        return self.window.kernel * self.window.kernel

    @property
    def inputs(self):
        """Positions of an input image."""
        return self.window.height * self.window.width

    @property
    def windows(self):
        """Pooling windows of an image."""
        return bnn_windows(&self.window)

    @property
    def positions(self):
        """Positions of an image that are multiplied, in the stored order."""
        return bnn_positions(&self.window)

    @property
    def norm_positions(self):
        """Values per channel of an image that batch norm sees."""
        return bnn_norm_positions(&self.window)

    @property
    def out_positions(self):
        """Positions of an image that go out."""
        return bnn_out_positions(&self.window)

    @property
    def has_argmax(self):
        """Whether argmax masks of pooling are kept from one pass of the backward to the next."""
        return self.window.pool == BNN_pool_before_norm

    @property
    def has_window_gradient(self):
        """Whether pooling comes after the norm, so that there are fewer values of g than of dY."""
        return self.window.pool in (BNN_pool_before_sign, BNN_pool_after_sign)

    @property
    def skips(self):
        """Whether taps of some windows lie outside the image."""
        w = self.window
        return (w.pad_top > 0 or w.pad_left > 0
                or (w.out_height - 1) * w.stride + w.kernel > w.height + w.pad_top
                or (w.out_width - 1) * w.stride + w.kernel > w.width + w.pad_left)

    def origins(self, out):
        """Write the upper left corner of every position's window: int32 [positions, 2], row and column."""
        bnn_window_origins(&self.window, <bnn_origin *>data(out, "int32", (self.positions, 2), True, "out"))

    def neighbours(self, out):
        """Write the stored place of the position whose tap sees an input, or -1: int32 [inputs, taps]."""
        bnn_window_neighbours(&self.window, <int32_t *>data(out, "int32", (self.inputs, self.taps), True, "out"))

    def sizes(self, size_t outputs, *, str gradient, int limit, bint first, int threads):
        """Return the sizes of the working memory of a block.

        Parameters
        ----------
        outputs : int
            Output channels.
        gradient : str
            float32, float16 or int8.
        limit : int
            Largest magnitude of an int8 dY.
        first : bool
            The block reads pixels and has no dX.
        threads : int
            Threads of every pass.

        Returns
        -------
        dict of str to int
            ``scratch`` (bytes of one thread), ``group`` (images that are worked on together), ``tables`` and
            ``lookup`` (bytes).
        """
        cdef bnn_conv c
        cdef int8_t pixel = 0
        cdef int32_t place = 0
        memset(&c, 0, sizeof(c))
        c.window = self.window
        c.block.inputs, c.block.outputs = self.taps * self.window.channels, outputs
        c.block.gradient_type = _TYPES[gradient]
        if first:
            c.block.x_i8 = &pixel
        else:
            c.neighbours = &place
        c.group = bnn_conv_group(&self.window, threads)
        return {
            "scratch": bnn_conv_scratch(&c),
            "group": c.group,
            "tables": 0 if first else bnn_conv_tables(&c, limit),
            "lookup": 0 if first or gradient != "int8" else bnn_conv_lookup(&c),
        }


cdef class Conv(Block):
    """A convolution block bound to its buffers.

    Parameters
    ----------
    window : Window
        Its geometry.
    outputs, batch : int
        Output channels and the largest batch.
    norm, mask, latent, gradient, weight_gradient, momentum : str
        Representations, as in the method table.
    limit : int
        Largest magnitude of an int8 dY.
    integer_update : bool
        Weights move by the integer kernels.
    arrays : dict of str to ndarray or None
        Buffers by tensor, shapes and types as in conv.h.
    scratch : ndarray of uint8 [threads, bytes]
        Working memory of the threads.
    threads : int
        Threads of every pass.
    isa : str
        Instruction set.
    adds : bool
        Of a residual convolution: the gradient of the stream that it reads holds a part already.

    Raises
    ------
    ValueError
        A buffer has another type or shape than the sizes ask for.
    """

    cdef bnn_conv conv
    cdef int32_t *sums_forward
    cdef int32_t *sums_backward

    def __init__(self, *, Window window, size_t outputs, size_t batch, str norm, str mask, str latent, str gradient,
                 str weight_gradient, str momentum, int limit, bint integer_update, dict arrays, scratch, int threads,
                 str isa, bint adds=False):
        cdef bnn_conv *c = &self.conv
        cdef bnn_block *b = &self.conv.block
        cdef size_t channels = window.window.channels, taps = window.taps
        self.block = b
        self.bind_memory(arrays, scratch, batch, threads, isa)
        c.window = window.window
        b.inputs, b.outputs = taps * channels, outputs
        self.bind_types(norm, mask, latent, gradient, weight_gradient, integer_update)
        self.bind_inputs(window.inputs, channels)
        first = b.x_i8 != NULL
        if first:
            self.bind_weights(latent, momentum, outputs, b.inputs, outputs, b.inputs)
        else:
            self.bind_weights(latent, momentum, outputs, b.inputs, outputs * taps, channels)
        self.bind_norm(norm, outputs)
        rows = batch * <size_t>window.out_positions
        self.bind_outputs(rows, outputs)
        if any(arrays.get(name) is not None for name in ("stream_in", "stream_out")):
            self.bind_stream(gradient, batch * <size_t>window.inputs, channels, rows, outputs, adds, True, True)
            self.required("stream_addend", _STREAMS[gradient], (rows, outputs))
            if b.x_f32 == NULL:
                self.required("stream_mask", "uint64", (batch * <size_t>window.inputs, (channels + 63) // 64))
        self.bind_scales()
        self.bind_working_memory(window, gradient, limit, first)

    cdef int bind_inputs(self, size_t positions, size_t channels) except -1:
        cdef bnn_block *b = self.block
        rows, words = self.batch * positions, (channels + 63) // 64
        b.x_i8 = <int8_t *>self.optional("x_int8", "int8", (self.batch, positions * channels))
        b.x_f32 = <float *>self.optional("x_real", "float32", (rows, channels))
        b.x_u1 = <uint64_t *>self.optional("x_bits", "uint64", (rows, words))
        self.x_forward = self.x_backward = b.x_u1
        if b.x_f32 != NULL:
            self.x_forward = <uint64_t *>self.required("X_signs", "uint64", (rows, words))
            self.x_backward = <uint64_t *>self.required("X_signs_again", "uint64", (rows, words))
        return 0

    cdef int bind_outputs(self, size_t rows, size_t outputs) except -1:
        cdef bnn_block *b = self.block
        words = (outputs + 63) // 64
        b.out_u1 = <uint64_t *>self.optional("out_bits", "uint64", (rows, words))
        b.out_f32 = <float *>self.optional("out_real", "float32", (rows, outputs))
        b.mask_u1 = <uint64_t *>self.optional("mask", "uint64", (rows, words))
        self.conv.flat_u1 = <uint64_t *>self.optional("out_flat", "uint64", (self.batch, None))
        return 0

    cdef int bind_working_memory(self, Window window, str gradient, int limit, bint first) except -1:
        cdef bnn_conv *c = &self.conv
        cdef size_t outputs = c.block.outputs
        sizes = window.sizes(outputs, gradient=gradient, limit=limit, first=first, threads=self.threads)
        values = self.batch * window.norm_positions * outputs
        if not first and c.block.stream.g_in == NULL:
            values = max(values, self.batch * window.inputs * window.window.channels)
        c.block.g = self.required("gradient", _dtype(gradient), (None,))
        if self.arrays["gradient"].size < values:
            raise ValueError(f"gradient: expected {values} values, got {self.arrays['gradient'].size}")
        c.block.dx = NULL if first else c.block.g if c.block.stream.g_in == NULL else c.block.stream.g_in
        c.origins = <bnn_origin *>self.required("origins", "int32", (window.positions, 2))
        if not first:
            c.neighbours = <int32_t *>self.required("neighbours", "int32", (window.inputs, window.taps))
            c.tables = <unsigned char *>self.required("tables", "uint8", (sizes["tables"],))
            c.lookup = <uint8_t *>self.optional("lookup", "uint8", (sizes["lookup"],))
        if window.skips and not first:
            self.sums_forward = <int32_t *>self.required("tap_sums", "int32", (window.taps, outputs))
            self.sums_backward = <int32_t *>self.required("tap_sums_again", "int32", (window.taps, outputs))
        if window.has_argmax:
            words = (outputs + 63) // 64
            c.argmax = <uint64_t *>self.required("argmax", "uint64", (self.batch * window.positions, words))
        elif window.has_window_gradient:
            rows = sizes["group"] * window.windows
            c.window_gradient = self.required("window_gradient", _dtype(gradient), (rows, outputs))
        kept = (self.batch * window.norm_positions, outputs)
        c.y_forward = <int16_t *>self.optional("y_forward", "int16", kept)
        c.y_backward = <int16_t *>self.optional("y_backward", "int16", kept)
        c.group = sizes["group"]
        return self.bind_scratch(sizes["scratch"])

    cdef void run_forward(self, size_t batch, bint first_step) noexcept nogil:
        self.turn_forward()
        self.conv.tap_sums = self.sums_forward
        bnn_conv_forward(self.kernels, &self.conv, batch, first_step, self.threads)

    cdef void run_backward(self, size_t batch, const bnn_block_step *step) noexcept nogil:
        self.turn_backward()
        self.conv.tap_sums = self.sums_backward
        bnn_conv_backward(self.kernels, &self.conv, batch, step, self.threads)

    cdef void run_update(self, const bnn_block_step *step) noexcept nogil:
        bnn_conv_update(self.kernels, &self.conv, step, self.threads)
