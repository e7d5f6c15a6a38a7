# marks.pyx: the binding of marks.h.

cdef extern from "marks/marks.h":
    struct bnn_phase_sums:
        double seconds
        double integral
        uint64_t stays
    struct bnn_marks:
        size_t count
        bnn_phase_sums *sums
        size_t phases
        uint32_t phase
    struct bnn_line:
        double origin
        double value
        double slope
    bint bnn_marks_open(bnn_marks *marks) noexcept
    void bnn_marks_close(bnn_marks *marks) noexcept
    bint bnn_marks_add(bnn_marks *marks, double at, uint32_t phase) noexcept
    double bnn_marks_go_on(bnn_marks *marks, double begin, double end, const bnn_line *line) noexcept


cdef class Marks:
    """Adds up a quantity that changes in straight lines, phase by phase; phases are numbers from 0.

    Any thread may call any method: the GIL is held, for a hundred nanoseconds a call or about one a mark.

    Attributes
    ----------
    phase : int
        The phase at the time up to which the sums go; 0 at first.
    waiting : int
        Marks that no `go_on` has passed yet.
    """

    cdef bnn_marks marks

    def __cinit__(self):
        if not bnn_marks_open(&self.marks):
            raise MemoryError

    def __dealloc__(self):
        bnn_marks_close(&self.marks)

    @property
    def phase(self):
        return self.marks.phase

    @property
    def waiting(self):
        return self.marks.count

    def add(self, double at, uint32_t phase):
        """Begin a phase at a time in seconds; times must not fall from mark to mark."""
        if not bnn_marks_add(&self.marks, at, phase):
            raise MemoryError

    def go_on(self, double begin, double end, double value, double slope, double origin):
        """Add up from `begin` to `end` what is `value` at time `origin` and rises by `slope` a second.

        Marks up to `end` are passed and forgotten; one before `begin` counts as at `begin`.
        """
        cdef bnn_line line = bnn_line(origin, value, slope)
        bnn_marks_go_on(&self.marks, begin, end, &line)

    def leave_out(self, double begin, double end):
        """Pass the marks from `begin` to `end`, no phase gets anything; return the seconds."""
        return bnn_marks_go_on(&self.marks, begin, end, NULL)

    def sums(self, uint32_t phase):
        """Return (seconds, integral, how often it was entered) of a phase."""
        if phase >= self.marks.phases:
            return 0.0, 0.0, 0
        cdef bnn_phase_sums *sums = &self.marks.sums[phase]
        return sums.seconds, sums.integral, sums.stays
