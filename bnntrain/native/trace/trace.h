/* trace.h: when the phases of a run begin, and a quantity that changes in straight lines, added up phase by phase.
 *
 * Phases are numbers.  An event says when one begins; events come in the order of their times, and wait in a queue until
 * the quantity is known up to them.  One caller at a time.
 */
#ifndef BNN_TRACE_H
#define BNN_TRACE_H

#include <stddef.h>
#include <stdint.h>

struct bnn_event {
    double at;
    uint32_t phase;
};

/* Of one phase: its length, the integral of the quantity over it, how often it was entered. */
struct bnn_phase_sums {
    double seconds, integral;
    uint64_t stays;
};

struct bnn_trace {
    struct bnn_event *queue; /* [capacity], of which [first, first + count) wait */
    size_t first, count, capacity;
    struct bnn_phase_sums *sums; /* [phases] */
    size_t phases;
    uint32_t phase; /* at the time up to which the sums go */
};

/* A straight line: `value` at time `origin`, then `slope` a second. */
struct bnn_line {
    double origin, value, slope;
};

/* Empty queue, phase 0.  Returns 0 if there is no memory; so do the next. */
int bnn_trace_open(struct bnn_trace *trace);
void bnn_trace_close(struct bnn_trace *trace);

/* Phase `phase` begins at `at`. */
int bnn_trace_add(struct bnn_trace *trace, double at, uint32_t phase);

/* Empties the queue and gives its memory back. */
void bnn_trace_forget(struct bnn_trace *trace);

/* Takes the events up to `end` from the queue and adds the stretches between `begin`, the events and `end` to their
 * phases: integral = sum of (value in the middle of a stretch) * (its length).  Without a line only `stays` and `phase` go
 * on.  Events before `begin` count as at `begin`.  Returns the seconds gone. */
double bnn_trace_go_on(struct bnn_trace *trace, double begin, double end, const struct bnn_line *line);

#endif
