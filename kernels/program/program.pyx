# program.pyx: the passes of a network as one call.

from libc.stdlib cimport calloc, free


cdef class Program:
    """A network's blocks, their updates and the loss, run as one call without the GIL.

    Parameters
    ----------
    blocks : sequence of Block
        In the order of their forward passes.
    updates : sequence of BlockStep
        One for each block.
    loss : Loss
        Reads what the last block writes.
    backward : sequence of int
        Places of the blocks in the order of their backward passes.
    """

    cdef tuple blocks, updates
    cdef Loss loss
    cdef size_t count
    cdef void **block
    cdef void **of_block
    cdef size_t *turns
    cdef double loss_time

    def __init__(self, *, blocks, updates, Loss loss, backward):
        self.blocks, self.updates, self.loss = tuple(blocks), tuple(updates), loss
        self.count = len(self.blocks)
        if <size_t>len(self.updates) != self.count:
            raise ValueError(f"updates: expected {self.count}, got {len(self.updates)}")
        self.block = <void **>calloc(self.count, sizeof(void *))
        self.of_block = <void **>calloc(self.count, sizeof(void *))
        self.turns = <size_t *>calloc(self.count, sizeof(size_t))
        if self.block == NULL or self.of_block == NULL or self.turns == NULL:
            raise MemoryError
        if sorted(backward) != list(range(self.count)):
            raise ValueError("backward: expected every block's place once")
        for turn, place in enumerate(backward):
            self.turns[turn] = place
        # Borrowed from the tuples: without the GIL no reference can be counted.
        for place in range(self.count):
            self.block[place] = <void *>(<Block?>self.blocks[place])
            self.of_block[place] = <void *>(<BlockStep?>self.updates[place])

    def __dealloc__(self):
        free(self.block)
        free(self.of_block)
        free(self.turns)

    def train(self, size_t rows, uint64_t number, double learning_rate, trace=None):
        """Take step `number`, counted from 0 over the run, on the first `rows` samples.

        Parameters
        ----------
        rows, number, learning_rate
            Samples of the batch; with the seed, `number` fixes all randomness.
        trace : optional
            Its method ``begin(phase)`` is called when the phases ``forward``, ``backward`` and ``update`` begin.

        Returns
        -------
        tuple of float and int
            Loss summed over the samples, and how many of them were correct before the update.
        """
        cdef bnn_loss_result result
        cdef size_t i, turn
        cdef bint is_traced = trace is not None
        self.check(rows)
        with nogil:
            if is_traced:
                with gil:
                    trace.begin("forward")
            for i in range(self.count):
                (<Block>self.block[i]).run_forward(rows, number == 0)
            result = self.find_loss(rows)
            if is_traced:
                with gil:
                    trace.begin("backward")
            for turn in range(self.count):
                i = self.turns[turn]
                (<BlockStep>self.of_block[i]).prepare(number, learning_rate, rows)
                (<Block>self.block[i]).run_backward(rows, &(<BlockStep>self.of_block[i]).step)
            if is_traced:
                with gil:
                    trace.begin("update")
            for i in range(self.count):
                (<Block>self.block[i]).run_update(&(<BlockStep>self.of_block[i]).step)
        return result.loss, result.correct

    def profile(self, seconds):
        """Measure from now on.

        Parameters
        ----------
        seconds : ndarray of float64 [blocks, len(ZONES)] or None
            Where the seconds of the blocks' zones are added to; None stops it.
        """
        self.loss_time = 0.0
        for place in range(self.count):
            (<Block>self.blocks[place]).set_profile(None if seconds is None else seconds[place])

    @property
    def loss_seconds(self):
        """Seconds of the loss since `profile` was called."""
        return self.loss_time

    cdef int check(self, size_t rows) except -1:
        if not 0 < rows <= self.loss.batch:
            raise ValueError(f"rows: expected 1 to {self.loss.batch}, got {rows}")
        return 0

    cdef bnn_loss_result find_loss(self, size_t rows) noexcept nogil:
        cdef double start = bnn_now()
        cdef bnn_loss_result result = self.loss.run(rows)
        self.loss_time += bnn_now() - start
        return result
