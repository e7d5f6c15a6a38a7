# loss.pyx: the binding of loss.h.

cdef extern from "loss/loss.h":
    struct bnn_loss_result:
        double loss
        uint32_t correct
    bnn_loss_result bnn_loss(const bnn_kernels *kernels, float *logits, const uint16_t *labels, size_t rows,
                             size_t classes, float smoothing, bnn_type type, void *gradient,
                             bnn_scale *scale, int threads) nogil


cdef class Loss:
    """Softmax cross-entropy bound to its buffers.

    Parameters
    ----------
    logits : ndarray of float32 [batch, classes]
        Overwritten.
    labels : ndarray of uint16 [batch]
        Class numbers.
    smoothing : float
        Label smoothing, 0 <= smoothing < 1.
    gradient : ndarray [batch, classes]
        Where the gradient of the summed loss goes, in the type called `type`.
    type : str
        float32, float16 or int8.
    scale : ndarray of float32 [2] or None
        Receives the scale of an int8 gradient.
    threads : int
        Threads that share the samples.
    isa : str
        Instruction set.
    """

    cdef object arrays
    cdef const bnn_kernels *kernels
    cdef float *logits
    cdef const uint16_t *labels
    cdef void *gradient
    cdef bnn_scale *scale
    cdef bnn_type type
    cdef size_t batch, classes
    cdef float smoothing
    cdef int threads

    def __init__(self, *, logits, labels, double smoothing, gradient, str type, scale, int threads, str isa):
        self.arrays = (logits, labels, gradient, scale)  # keep the memory alive
        self.kernels = kernels_for(isa)
        self.batch, self.classes = logits.shape
        self.smoothing, self.type, self.threads = smoothing, _TYPES[type], threads
        self.logits = <float *>data(logits, "float32", (None, None), True, "logits")
        self.labels = <uint16_t *>data(labels, "uint16", (self.batch,), False, "labels")
        self.gradient = data(gradient, _dtype(type), (self.batch, self.classes), True, "gradient")
        self.scale = NULL if scale is None else <bnn_scale *>data(scale, "float32", (2,), True, "scale")

    def __call__(self, size_t rows):
        """Make the gradient; return the summed loss and how many of the first `rows` samples are correct."""
        cdef bnn_loss_result result
        assert rows <= self.batch
        with nogil:
            result = self.run(rows)
        return result.loss, result.correct

    cdef bnn_loss_result run(self, size_t rows) noexcept nogil:
        return bnn_loss(self.kernels, self.logits, self.labels, rows, self.classes, self.smoothing, self.type,
                        self.gradient, self.scale, self.threads)
