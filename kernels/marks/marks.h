/* marks.h: a quantity that changes in straight lines, added up phase by phase.
 *
 * Phases are numbers.  A mark says when one begins; marks come in the order of their times, and wait in a queue until the
 * quantity is known up to them.  One caller at a time.
 */
#ifndef BNN_MARKS_H
#define BNN_MARKS_H

#include <stddef.h>
#include <stdint.h>

struct bnn_mark {
    double at;
    uint32_t phase;
};

/* Of one phase: its length, the integral of the quantity over it, how often it was entered. */
struct bnn_phase_sums {
    double seconds, integral;
    uint64_t stays;
};

struct bnn_marks {
    struct bnn_mark *queue; /* [capacity], of which [first, first + count) wait */
    size_t first, count, capacity;
    struct bnn_phase_sums *sums; /* [phases] */
    size_t phases;
    uint32_t phase; /* at the time up to which the sums go */
};

/* A straight line: `value` at time `origin`, then `slope` a second. */
struct bnn_line {
    double origin, value, slope;
};

/* CLOCK_MONOTONIC in seconds. */
double bnn_clock(void);

/* Empty queue, phase 0.  Returns 0 if there is no memory; so do the next. */
int bnn_marks_open(struct bnn_marks *marks);
void bnn_marks_close(struct bnn_marks *marks);

/* Phase `phase` begins at `at`. */
int bnn_marks_add(struct bnn_marks *marks, double at, uint32_t phase);

/* Empties the queue and gives its memory back. */
void bnn_marks_forget(struct bnn_marks *marks);

/* Takes the marks up to `end` from the queue and adds the stretches between `begin`, the marks and `end` to their phases:
 * integral = sum of (value in the middle of a stretch) * (its length).  Without a line only `stays` and `phase` go on.
 * Marks before `begin` count as at `begin`.  Returns the seconds gone. */
double bnn_marks_go_on(struct bnn_marks *marks, double begin, double end, const struct bnn_line *line);

#endif
