/* counting.h: kernels that note how they are called and compute nothing, so that a step run over them is counted.
 *
 * A step behaves as a real one that is not the run's first: where control flow reads what a kernel found (a largest value),
 * it finds 1; vectors that are results are set to 0.  Each share of a job (parallel.h) has notes of its own.
 *
 * Noted is, by zone (zone.h): an operation with its sizes, as often as it is called; and of the watched memory the bytes
 * that the calls go over, by how much else the share went over since it was there last.
 */
#ifndef BNN_COUNTING_H
#define BNN_COUNTING_H

#include "../dispatch/dispatch.h"
#include "../common/parallel.h"

#define BNN_COUNTED_SIZES 6
#define BNN_COUNTED_LEVELS 41
#define BNN_COUNTED_SHARES BNN_MOST_THREADS

/* The table; the names of its operations, NULL past the last; and what the values of `sizes` are: the parameters of an
 * operation that are whole numbers but no strides, in order, NULL past the last. */
const struct bnn_kernels *bnn_counting_kernels(void);
const char *bnn_counted_op(size_t op);
const char *bnn_counted_size(size_t op, size_t number);

/* Forgets all notes; memory [first, end) without [own, own_end), which is a thread's own and stays in its cache, is
 * watched from now on.  Not while a step runs. */
void bnn_start_counting(const void *first, const void *end, const void *own, const void *own_end);
/* Gives the memory of the notes back.  Returns 0 if there has been too little: then notes are missing. */
int bnn_stop_counting(void);

/* What is noted of one operation and its sizes in one zone. */
struct bnn_counted {
    const double *zone; /* bnn_zone() */
    size_t op;
    uint64_t sizes[BNN_COUNTED_SIZES];
    uint64_t calls;
};

/* Of one of its arrays: the addresses from the lowest to behind the highest, and the bytes moved.  Those of level i were
 * gone over before, and at most 2^i bytes since, themselves included; those of the last level were not. */
struct bnn_moved {
    const double *zone;
    size_t op, array;
    uintptr_t low, high;
    uint64_t bytes[BNN_COUNTED_LEVELS];
};

/* The i-th note of a share, or NULL past the last. */
const struct bnn_counted *bnn_counted(size_t share, size_t i);
const struct bnn_moved *bnn_counted_moved(size_t share, size_t i);

#endif
