# infer.pyx: the binding of infer.h.

from libc.stdlib cimport calloc, free

cdef extern from "infer/infer.h":
    enum bnn_infer_kind:
        BNN_infer_dense
        BNN_infer_conv
        BNN_infer_residual
        BNN_infer_real_conv
        BNN_infer_stem
        BNN_infer_head
    struct bnn_infer_layer:
        bnn_infer_kind kind
        size_t inputs
        size_t outputs
        const int8_t *x_i8
        const uint64_t *x_u1
        const uint64_t *weights
        const int32_t *threshold
        const int32_t *argmax_threshold
        const uint8_t *flip
        uint64_t *out_u1
        const float *scale
        const float *shift
        float *out_f32
        bnn_window window
        const bnn_origin *origins
        int32_t *tap_sums
        uint64_t *flat_u1
        bnn_type stream_type
        const void *stream_in
        const void *addend
        void *stream_out
        uint64_t *signs
        const void *real_weights
        bnn_stem stem
        bnn_block second
        float *features
        const float *bias
        size_t positions
        bint relu
    struct bnn_inference:
        const bnn_kernels *kernels
        const bnn_infer_layer *layers
        size_t count
        unsigned char *scratch
        size_t stride
        int threads
    size_t bnn_infer_scratch(const bnn_infer_layer *layer, size_t batch) nogil
    void bnn_infer(const bnn_inference *infer, size_t batch) nogil


_KINDS = {"dense": BNN_infer_dense, "conv": BNN_infer_conv, "residual": BNN_infer_residual,
          "real_conv": BNN_infer_real_conv, "stem": BNN_infer_stem, "head": BNN_infer_head}


def inference_scratch_bytes(size_t inputs, size_t batch, bint first, Window window=None, str kind="conv"):
    """Bytes of scratch that one thread needs for a dense or convolution layer, or a residual one.

    Parameters
    ----------
    inputs : int
        Inputs of a product.
    batch : int
        Most samples.
    first : bool
        The layer reads pixels.
    window : Window or None
        Of a convolution.
    kind : str
        ``conv`` or ``residual``.
    """
    cdef bnn_infer_layer layer
    cdef int8_t pixel = 0
    cdef bnn_origin origin
    memset(&layer, 0, sizeof(layer))
    layer.inputs = inputs
    layer.x_i8 = &pixel if first else NULL
    if window is not None:
        layer.kind, layer.window, layer.origins = _KINDS[kind], window.window, &origin
    return bnn_infer_scratch(&layer, batch)


cdef class Inference:
    """A packed network bound to its buffers: all layers forward in one call.

    Parameters
    ----------
    layers : list of dict
        First to last: ``inputs`` and ``outputs`` of a product, ``window`` (a `Window` or None) and arrays by name,
        types and shapes as in infer.h: ``x`` (int8: pixels, or uint64), ``weights``, ``threshold``, ``flip`` and
        ``out``, in the last layer ``scale``, ``shift`` and ``out`` (float32); of a convolution ``origins``, and where
        needed ``choice``, ``tap_sums`` and ``flat``.
    batch : int
        Most samples.
    scratch : ndarray of uint8 [threads, bytes]
        Working memory of the threads.
    threads : int
        Threads of every layer.
    isa : str
        Instruction set.

    Raises
    ------
    ValueError
        A buffer has another type or shape than the sizes ask for.
    """

    cdef bnn_inference infer
    cdef bnn_infer_layer *layers
    cdef size_t batch
    cdef object arrays

    def __cinit__(self, *, list layers, size_t batch, scratch, int threads, str isa):
        cdef size_t number
        self.arrays = (layers, scratch)  # keep the memory alive
        self.batch = batch
        self.layers = <bnn_infer_layer *>calloc(len(layers), sizeof(bnn_infer_layer))
        if self.layers == NULL:
            raise MemoryError
        self.infer.kernels = kernels_for(isa)
        self.infer.layers, self.infer.count, self.infer.threads = self.layers, len(layers), threads
        self.infer.scratch = <unsigned char *>data(scratch, "uint8", (threads, None), True, "scratch")
        self.infer.stride = scratch.shape[1]
        for number in range(self.infer.count):
            _bind(&self.layers[number], layers[number], batch)
            if self.infer.stride < bnn_infer_scratch(&self.layers[number], batch):
                raise ValueError(f"scratch: too little for layer {number}")

    def __dealloc__(self):
        free(self.layers)

    def __call__(self, size_t rows):
        """Compute the last layer's `out` of the first `rows` samples."""
        assert 0 < rows <= self.batch
        with nogil:
            bnn_infer(&self.infer, rows)


cdef int _bind(bnn_infer_layer *layer, dict given, size_t batch) except -1:
    layer.kind = _KINDS[given["kind"]]
    if layer.kind == BNN_infer_residual:
        return _bind_residual(layer, given, batch)
    if layer.kind == BNN_infer_real_conv:
        return _bind_real_conv(layer, given, batch)
    if layer.kind == BNN_infer_stem:
        return _bind_stem(layer, given, batch)
    if layer.kind == BNN_infer_head:
        return _bind_head(layer, given, batch)
    return _bind_layer(layer, given, batch)


cdef int _bind_layer(bnn_infer_layer *layer, dict given, size_t batch) except -1:
    cdef Window window = given["window"]
    cdef size_t inputs = given["inputs"], outputs = given["outputs"], channels = inputs, lines = outputs
    cdef size_t rows_in = batch, rows_out = batch
    layer.inputs, layer.outputs = inputs, outputs
    if window is not None:
        layer.window, channels = window.window, window.window.channels
        rows_in, rows_out = batch * <size_t>window.inputs, batch * <size_t>window.out_positions
        layer.origins = <bnn_origin *>data(given["origins"], "int32", (window.positions, 2), False, "origins")
    x = given["x"]
    if x.dtype == "int8":
        layer.x_i8 = <int8_t *>data(x, "int8", (batch, rows_in // batch * channels), False, "x")
        shape = (inputs, bnn_words(outputs))
    else:
        layer.x_u1 = <uint64_t *>data(x, "uint64", (rows_in, bnn_words(channels)), False, "x")
        lines = outputs * (inputs // channels)
        shape = (lines, bnn_words(channels))
        if window is not None and window.skips:
            sums = (window.taps, outputs)
            layer.tap_sums = <int32_t *>data(given["tap_sums"], "int32", sums, False, "tap_sums")
    layer.weights = <uint64_t *>data(given["weights"], "uint64", shape, False, "weights")
    out = given["out"]
    if out.dtype == "float32":
        layer.out_f32 = <float *>data(out, "float32", (rows_out, outputs), True, "out")
        layer.scale = <float *>data(given["scale"], "float32", (outputs,), False, "scale")
        layer.shift = <float *>data(given["shift"], "float32", (outputs,), False, "shift")
        return 0
    layer.out_u1 = <uint64_t *>data(out, "uint64", (rows_out, bnn_words(outputs)), True, "out")
    layer.threshold = <int32_t *>data(given["threshold"], "int32", (outputs,), False, "threshold")
    layer.flip = <uint8_t *>data(given["flip"], "uint8", (outputs,), False, "flip")
    if given.get("choice") is not None:
        layer.argmax_threshold = <int32_t *>data(given["choice"], "int32", (outputs,), False, "choice")
    if given.get("flat") is not None:
        values = rows_out // batch * outputs
        layer.flat_u1 = <uint64_t *>data(given["flat"], "uint64", (batch, bnn_words(values)), True, "flat")
    return 0


cdef int _bind_scaling(bnn_infer_layer *layer, dict given) except -1:
    layer.scale = <float *>data(given["scale"], "float32", (layer.outputs,), False, "scale")
    layer.shift = <float *>data(given["shift"], "float32", (layer.outputs,), False, "shift")
    return 0


cdef int _bind_residual(bnn_infer_layer *layer, dict given, size_t batch) except -1:
    """A residual convolution, of which ``x`` is room for signs."""
    cdef Window window = given["window"]
    cdef size_t channels = window.window.channels, rows = batch * <size_t>window.inputs
    cdef size_t places = batch * <size_t>window.positions
    cdef str type = given["type"]
    layer.inputs, layer.outputs, layer.window = given["inputs"], given["outputs"], window.window
    layer.stream_type = _TYPES[type]
    layer.origins = <bnn_origin *>data(given["origins"], "int32", (window.positions, 2), False, "origins")
    layer.signs = <uint64_t *>data(given["x"], "uint64", (rows, bnn_words(channels)), True, "x")
    layer.x_u1 = layer.signs
    shape = (layer.outputs * <size_t>window.taps, bnn_words(channels))
    layer.weights = <uint64_t *>data(given["weights"], "uint64", shape, False, "weights")
    if window.skips:
        sums = (window.taps, layer.outputs)
        layer.tap_sums = <int32_t *>data(given["tap_sums"], "int32", sums, False, "tap_sums")
    layer.stream_in = data(given["stream"], type, (rows, channels), False, "stream")
    layer.addend = data(given["addend"], type, (places, layer.outputs), False, "addend")
    layer.stream_out = data(given["out"], type, (places, layer.outputs), True, "out")
    return _bind_scaling(layer, given)


cdef int _bind_real_conv(bnn_infer_layer *layer, dict given, size_t batch) except -1:
    """A real convolution: ``x`` are pixels, or room for what is made of a ``stream``."""
    cdef Window window = given["window"]
    _bind_product(layer, given, batch)
    places = (batch * <size_t>window.positions, layer.outputs)
    layer.stream_out = data(given["out"], given["type"], places, True, "out")
    return _bind_scaling(layer, given)


cdef int _bind_stem(bnn_infer_layer *layer, dict given, size_t batch) except -1:
    """A stem: ``scale`` and ``shift`` of its norms stand for what they are made of, with a mean of 0 and so on."""
    cdef bnn_stem *s = &layer.stem
    cdef bnn_block *b = &layer.stem.real.conv.block
    cdef str type = given["type"]
    _bind_product(layer, given, batch)
    s.pooled_height, s.pooled_width, s.pad_top, s.pad_left = given["pooling"]
    s.relu = given["relu"]
    places = (batch * s.pooled_height * s.pooled_width, layer.outputs)
    b.stream.out = data(given["out"], type, places, True, "out")
    s.pooled = data(given["pooled"], "int16" if type == "int16" else "float32", places, True, "pooled")
    _bind_norm(b, given, layer.outputs, "")
    if given.get("second_scale") is not None:
        _bind_norm(&layer.second, given, layer.outputs, "second_")
        s.second = &layer.second
    return 0


cdef int _bind_norm(bnn_block *b, dict given, size_t outputs, str prefix) except -1:
    b.outputs = outputs
    b.gamma = <float *>data(given[prefix + "scale"], "float32", (outputs,), False, "scale")
    b.beta = <float *>data(given[prefix + "shift"], "float32", (outputs,), False, "shift")
    b.mean = <double *>data(given["mean"], "float64", (outputs,), False, "mean")
    b.inverse = <double *>data(given["inverse"], "float64", (outputs,), False, "inverse")
    return 0


cdef int _bind_product(bnn_infer_layer *layer, dict given, size_t batch) except -1:
    """What a real convolution and a stem have in common."""
    cdef Window window = given["window"]
    cdef bnn_real_conv *r = &layer.stem.real
    cdef bnn_block *b = &layer.stem.real.conv.block
    cdef size_t channels = window.window.channels, rows = batch * <size_t>window.inputs
    cdef str type = given["type"], multiplied = given["weights"].dtype.name
    layer.inputs, layer.outputs = given["inputs"], given["outputs"]
    b.inputs, b.outputs, r.conv.window = layer.inputs, layer.outputs, window.window
    b.gradient_type = BNN_i8 if type == "int16" else _TYPES[type]
    layer.stream_type = _TYPES[type]
    r.conv.origins = <bnn_origin *>data(given["origins"], "int32", (window.positions, 2), False, "origins")
    r.w_columns = data(given["weights"], multiplied, (layer.inputs, layer.outputs), False, "weights")
    x = given["x"]
    if given.get("stream") is None:
        b.x_i8 = <int8_t *>data(x, "int8", (batch, rows // batch * channels), False, "x")
    else:
        r.stream_height, r.stream_width, r.pooled = given["stream_size"]
        values = (batch * r.stream_height * r.stream_width, channels)
        layer.stream_in = b.stream.input = data(given["stream"], type, values, False, "stream")
        made = data(x, multiplied, (rows, channels), True, "x")
        if multiplied == "int8":
            r.x_i8 = <int8_t *>made
            r.amax = <float *>data(given["amax"], "float32", (2,), False, "amax")
        else:
            r.x_f32 = <float *>made
    return 0


cdef int _bind_head(bnn_infer_layer *layer, dict given, size_t batch) except -1:
    cdef str type = given["type"]
    layer.inputs, layer.outputs = given["inputs"], given["outputs"]
    layer.positions, layer.relu, layer.stream_type = given["positions"], given["relu"], _TYPES[type]
    layer.stream_in = data(given["stream"], type, (batch * layer.positions, layer.inputs), False, "stream")
    shape = (layer.inputs, layer.outputs)
    layer.real_weights = data(given["weights"], "float32", shape, False, "weights")
    layer.bias = <float *>data(given["bias"], "float32", (layer.outputs,), False, "bias")
    layer.features = <float *>data(given["x"], "float32", (batch, layer.inputs), True, "x")
    layer.out_f32 = <float *>data(given["out"], "float32", (batch, layer.outputs), True, "out")
    return 0
