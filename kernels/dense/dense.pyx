# dense.pyx: the binding of dense.h.

cdef extern from "dense/dense.h":
    struct bnn_dense:
        bnn_block block
        int8_t *dy_t
    size_t bnn_dense_scratch(size_t outputs, size_t batch, bnn_type gradient_type) nogil
    void bnn_dense_forward(const bnn_kernels *kernels, const bnn_dense *dense, size_t batch, int first,
                           int threads) nogil
    void bnn_dense_backward(const bnn_kernels *kernels, const bnn_dense *dense, size_t batch,
                            const bnn_block_step *step, int threads) nogil
    void bnn_dense_update(const bnn_kernels *kernels, const bnn_dense *dense, const bnn_block_step *step,
                          int threads) nogil


def dense_scratch_bytes(size_t outputs, size_t batch, str gradient):
    """Bytes of scratch that one thread of a dense block needs (`gradient`: float32, float16 or int8)."""
    return bnn_dense_scratch(outputs, batch, _TYPES[gradient])


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
        cdef bnn_block *b = &self.dense.block
        self.block = b
        self.bind_memory(arrays, scratch, batch, threads, isa)
        words_in, words_out = (inputs + 63) // 64, (outputs + 63) // 64
        b.inputs, b.outputs = inputs, outputs
        self.bind_types(norm, mask, latent, gradient, weight_gradient, integer_update)
        b.x_i8 = <int8_t *>self.optional("x_int8", "int8", (batch, inputs))
        b.x_f32 = <float *>self.optional("x_real", "float32", (batch, inputs))
        b.x_u1 = <uint64_t *>self.optional("x_bits", "uint64", (batch, words_in))
        self.x_forward = self.x_backward = b.x_u1
        if b.x_f32 != NULL:
            self.x_forward = <uint64_t *>self.required("X_signs", "uint64", (batch, words_in))
            self.x_backward = <uint64_t *>self.required("X_signs_again", "uint64", (batch, words_in))
        self.bind_weights(latent, momentum, outputs, inputs, outputs, inputs)
        self.bind_norm(norm, outputs)
        b.out_u1 = <uint64_t *>self.optional("out_bits", "uint64", (batch, words_out))
        b.out_f32 = <float *>self.optional("out_real", "float32", (batch, outputs))
        b.mask_u1 = <uint64_t *>self.optional("mask", "uint64", (batch, words_out))
        b.g = self.required("gradient", _dtype(gradient), (batch, outputs))
        b.dx = self.optional("dX", _dtype(gradient), (batch, inputs))
        if b.gradient_type == BNN_i8:
            self.dense.dy_t = <int8_t *>self.required("dY_transposed", "int8", (outputs, batch))
        self.bind_scales()
        self.bind_scratch(bnn_dense_scratch(outputs, batch, b.gradient_type))

    cdef void run_forward(self, size_t batch, bint first_step) noexcept nogil:
        self.turn_forward()
        bnn_dense_forward(self.kernels, &self.dense, batch, first_step, self.threads)

    cdef void run_backward(self, size_t batch, const bnn_block_step *step) noexcept nogil:
        self.turn_backward()
        bnn_dense_backward(self.kernels, &self.dense, batch, step, self.threads)

    cdef void run_update(self, const bnn_block_step *step) noexcept nogil:
        bnn_dense_update(self.kernels, &self.dense, step, self.threads)
