# head.pyx: the binding of head.h.

cdef extern from "head/head.h":
    struct bnn_head:
        bnn_block block
        size_t positions
        bint relu
        float *features
        float *weights
        float *turned
    size_t bnn_head_scratch(const bnn_head *head) nogil
    void bnn_head_forward(const bnn_kernels *kernels, const bnn_head *head, size_t batch, int threads) nogil
    void bnn_head_backward(const bnn_kernels *kernels, const bnn_head *head, size_t batch, const bnn_block_step *step,
                           int threads) nogil


def head_scratch_bytes(size_t inputs):
    """Bytes of scratch that a thread of a `Head` of so many channels needs."""
    cdef bnn_head h
    memset(&h, 0, sizeof(h))
    h.block.inputs = inputs
    return bnn_head_scratch(&h)


cdef class Head(Block):
    """Global average pooling and a real dense layer, bound to their buffers.

    Parameters
    ----------
    inputs, outputs, positions, batch : int
        Channels and positions of the stream, classes, and the largest batch.
    latent, gradient : str
        Representations, as in the method table.
    relu : bool
        Negative values of the stream count as 0.
    arrays : dict of str to ndarray or None
        Buffers by tensor, shapes and types as in head.h.
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

    cdef bnn_head head
    cdef float *weights_forward
    cdef float *weights_backward

    def __init__(self, *, size_t inputs, size_t outputs, size_t positions, size_t batch, str latent, str gradient,
                 bint relu, dict arrays, scratch, int threads, str isa):
        cdef bnn_head *h = &self.head
        cdef bnn_block *b = &self.head.block
        self.block = b
        self.bind_memory(arrays, scratch, batch, threads, isa)
        b.inputs, b.outputs, h.positions, h.relu = inputs, outputs, positions, relu
        b.latent_type, b.gradient_type = _TYPES[latent], _TYPES[gradient]
        self.bind_stream(gradient, batch * positions, inputs, 0, outputs, False, True, False)
        b.latent = self.required("latent", _dtype(latent), (outputs, inputs))
        b.momentum1 = self.required("momentum1", "float32", (outputs, inputs))
        b.momentum2 = self.required("momentum2", "float32", (outputs, inputs))
        b.beta = <float *>self.required("bias", "float32", (outputs,))
        b.beta_adam1 = <float *>self.required("bias_adam1", "float32", (outputs,))
        b.beta_adam2 = <float *>self.required("bias_adam2", "float32", (outputs,))
        b.grad_beta = <float *>self.required("d_bias", "float32", (outputs,))
        b.out_f32 = <float *>self.required("logits", "float32", (batch, outputs))
        b.g = self.required("gradient", "float32", (batch, outputs))
        if gradient == "int8":
            b.dx_scale = <bnn_scale *>self.required("dX_scale", "float32", (2,))
        h.features = <float *>self.required("features", "float32", (batch, inputs))
        h.turned = <float *>self.required("W_turned", "float32", (inputs, outputs))
        self.weights_forward = self.weights_backward = <float *>b.latent
        if latent != "float32":
            self.weights_forward = <float *>self.required("W", "float32", (outputs, inputs))
            self.weights_backward = <float *>self.required("W_again", "float32", (outputs, inputs))
        self.bind_scratch(bnn_head_scratch(h))

    cdef void run_forward(self, size_t batch, bint first_step) noexcept nogil:
        self.head.weights = self.weights_forward
        bnn_head_forward(self.kernels, &self.head, batch, self.threads)

    cdef void run_backward(self, size_t batch, const bnn_block_step *step) noexcept nogil:
        self.head.weights = self.weights_backward
        bnn_head_backward(self.kernels, &self.head, batch, step, self.threads)

    cdef void run_update(self, const bnn_block_step *step) noexcept nogil:
        bnn_update(self.kernels, self.block, step, self.block.inputs, self.threads)
