# trace.pyx: the binding of trace.h.

cdef extern from "common/clock.h":
    double bnn_now() noexcept

cdef extern from "trace/trace.h":
    struct bnn_phase_sums:
        double seconds
        double integral
        uint64_t stays
    struct bnn_trace:
        size_t count
        bnn_phase_sums *sums
        size_t phases
        uint32_t phase
    struct bnn_line:
        double origin
        double value
        double slope
    bint bnn_trace_open(bnn_trace *trace) noexcept
    void bnn_trace_close(bnn_trace *trace) noexcept
    bint bnn_trace_add(bnn_trace *trace, double at, uint32_t phase) noexcept
    void bnn_trace_forget(bnn_trace *trace) noexcept
    double bnn_trace_go_on(bnn_trace *trace, double begin, double end, const bnn_line *line) noexcept


cdef class Trace:
    """When a run goes from one phase to the next, and a quantity over time added up phase by phase.

    A phase begins between kernels that have used the caches, where Python is slow: `begin` is one call of C.
    Any thread may call any method; the GIL is held, for a fraction of a microsecond or ten nanoseconds an event.

    Parameters
    ----------
    first : str
        The phase before the first event.

    Attributes
    ----------
    latest : str
        The phase that has begun last.
    phase : str
        The phase at the time up to which the sums go.
    names : tuple of str
        All phases that were met, in that order.
    waiting : int
        Events that no `go_on` has passed yet.
    """

    cdef bnn_trace trace
    cdef dict numbers
    cdef set quiet
    cdef object listener
    cdef bint is_attentive, is_forgetful
    cdef readonly str latest

    def __cinit__(self, str first):
        self.numbers = {first: 0}
        self.latest = first
        if not bnn_trace_open(&self.trace):
            raise MemoryError

    def __dealloc__(self):
        bnn_trace_close(&self.trace)

    @property
    def names(self):
        return tuple(self.numbers)

    @property
    def phase(self):
        return self.names[self.trace.phase]

    @property
    def waiting(self):
        return self.trace.count

    def begin(self, str phase):
        """Begin a phase now, on CLOCK_MONOTONIC."""
        cdef double now = bnn_now()
        self._add(now, phase)
        if self.listener is not None and (self.is_attentive or phase not in self.quiet):
            self.is_attentive = self.listener(phase, now)

    def add(self, str phase, double at):
        """Begin a phase at a time in seconds, without telling the listener; times must not fall from event to event."""
        self._add(at, phase)

    cdef int _add(self, double at, str phase) except -1:
        cdef object number = self.numbers.get(phase)
        if number is None:
            number = len(self.numbers)
            self.numbers[phase] = number
        self.latest = phase
        if not self.is_forgetful and not bnn_trace_add(&self.trace, at, number):
            raise MemoryError
        return 0

    def forget(self):
        """Keep no events from now on: nobody will call `go_on` again."""
        self.is_forgetful = True
        bnn_trace_forget(&self.trace)

    def listen(self, listener, quiet):
        """Call ``listener(phase, at)`` for every `begin` but those of quiet phases.

        It returns whether it wants to hear of these too, until it says otherwise; at first it does.
        """
        self.quiet, self.listener, self.is_attentive = set(quiet), listener, True

    def attend(self):
        """Let the listener hear of quiet phases again."""
        self.is_attentive = True

    def go_on(self, double begin, double end, double value, double slope, double origin):
        """Add up from `begin` to `end` what is `value` at time `origin` and rises by `slope` a second.

        Events up to `end` are passed and forgotten; one before `begin` counts as at `begin`.
        """
        cdef bnn_line line = bnn_line(origin, value, slope)
        bnn_trace_go_on(&self.trace, begin, end, &line)

    def leave_out(self, double begin, double end):
        """Pass the events from `begin` to `end`, no phase gets anything; return the seconds."""
        return bnn_trace_go_on(&self.trace, begin, end, NULL)

    def sums(self, str phase):
        """Return (seconds, integral, how often it was entered) of a phase."""
        cdef object number = self.numbers.get(phase)
        if number is None or <size_t>number >= self.trace.phases:
            return 0.0, 0.0, 0
        cdef bnn_phase_sums *sums = &self.trace.sums[<size_t>number]
        return sums.seconds, sums.integral, sums.stays
