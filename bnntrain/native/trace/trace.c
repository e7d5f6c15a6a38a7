#include "trace.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

int bnn_trace_open(struct bnn_trace *trace)
{
    memset(trace, 0, sizeof *trace);
    trace->sums = calloc(1, sizeof *trace->sums);
    trace->phases = trace->sums != NULL;
    return trace->sums != NULL;
}

void bnn_trace_close(struct bnn_trace *trace)
{
    free(trace->queue);
    free(trace->sums);
    memset(trace, 0, sizeof *trace);
}

/* The sums of a phase that is new are 0. */
static int know_phase(struct bnn_trace *trace, uint32_t phase)
{
    if (phase < trace->phases)
        return 1;
    const size_t phases = (size_t)phase + 1;
    struct bnn_phase_sums *sums = realloc(trace->sums, phases * sizeof *sums);
    if (sums == NULL)
        return 0;
    memset(sums + trace->phases, 0, (phases - trace->phases) * sizeof *sums);
    trace->sums = sums;
    trace->phases = phases;
    return 1;
}

/* Makes room behind the last event: at the front, if half is free there, so that no event moves often. */
static int make_room(struct bnn_trace *trace)
{
    if (trace->first + trace->count < trace->capacity)
        return 1;
    if (trace->first && trace->first >= trace->capacity / 2) {
        memmove(trace->queue, trace->queue + trace->first, trace->count * sizeof *trace->queue);
        trace->first = 0;
        return 1;
    }
    const size_t capacity = trace->capacity ? 2 * trace->capacity : FIRST_CAPACITY;
    struct bnn_event *queue = realloc(trace->queue, capacity * sizeof *queue);
    if (queue == NULL)
        return 0;
    trace->queue = queue;
    trace->capacity = capacity;
    return 1;
}

int bnn_trace_add(struct bnn_trace *trace, double at, uint32_t phase)
{
    if (!know_phase(trace, phase) || !make_room(trace))
        return 0;
    trace->queue[trace->first + trace->count++] = (struct bnn_event){at, phase};
    return 1;
}

void bnn_trace_forget(struct bnn_trace *trace)
{
    free(trace->queue);
    trace->queue = NULL;
    trace->first = trace->count = trace->capacity = 0;
}

static void add_stretch(struct bnn_phase_sums *sums, double left, double right, const struct bnn_line *line)
{
    const double seconds = right - left;
    const double value = line->value + line->slope * ((left - line->origin) + 0.5 * seconds);
    sums->seconds += seconds;
    sums->integral += value * seconds;
}

double bnn_trace_go_on(struct bnn_trace *trace, double begin, double end, const struct bnn_line *line)
{
    double left = begin;
    while (trace->count && trace->queue[trace->first].at <= end) {
        const struct bnn_event event = trace->queue[trace->first++];
        trace->count--;
        if (event.at > left) {
            if (line)
                add_stretch(&trace->sums[trace->phase], left, event.at, line);
            left = event.at;
        }
        if (event.phase != trace->phase) {
            trace->phase = event.phase;
            trace->sums[event.phase].stays++;
        }
    }
    if (!trace->count)
        trace->first = 0;
    if (end > left) {
        if (line)
            add_stretch(&trace->sums[trace->phase], left, end, line);
        left = end;
    }
    return left - begin;
}
