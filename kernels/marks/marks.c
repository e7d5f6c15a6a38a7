#include "marks.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { FIRST_CAPACITY = 256 };

double bnn_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int bnn_marks_open(struct bnn_marks *marks)
{
    memset(marks, 0, sizeof *marks);
    marks->sums = calloc(1, sizeof *marks->sums);
    marks->phases = marks->sums != NULL;
    return marks->sums != NULL;
}

void bnn_marks_close(struct bnn_marks *marks)
{
    free(marks->queue);
    free(marks->sums);
    memset(marks, 0, sizeof *marks);
}

/* The sums of a phase that is new are 0. */
static int know_phase(struct bnn_marks *marks, uint32_t phase)
{
    if (phase < marks->phases)
        return 1;
    const size_t phases = (size_t)phase + 1;
    struct bnn_phase_sums *sums = realloc(marks->sums, phases * sizeof *sums);
    if (sums == NULL)
        return 0;
    memset(sums + marks->phases, 0, (phases - marks->phases) * sizeof *sums);
    marks->sums = sums;
    marks->phases = phases;
    return 1;
}

/* Makes room behind the last mark: at the front, if half is free there, so that no mark moves often. */
static int make_room(struct bnn_marks *marks)
{
    if (marks->first + marks->count < marks->capacity)
        return 1;
    if (marks->first && marks->first >= marks->capacity / 2) {
        memmove(marks->queue, marks->queue + marks->first, marks->count * sizeof *marks->queue);
        marks->first = 0;
        return 1;
    }
    const size_t capacity = marks->capacity ? 2 * marks->capacity : FIRST_CAPACITY;
    struct bnn_mark *queue = realloc(marks->queue, capacity * sizeof *queue);
    if (queue == NULL)
        return 0;
    marks->queue = queue;
    marks->capacity = capacity;
    return 1;
}

int bnn_marks_add(struct bnn_marks *marks, double at, uint32_t phase)
{
    if (!know_phase(marks, phase) || !make_room(marks))
        return 0;
    marks->queue[marks->first + marks->count++] = (struct bnn_mark){at, phase};
    return 1;
}

void bnn_marks_forget(struct bnn_marks *marks)
{
    free(marks->queue);
    marks->queue = NULL;
    marks->first = marks->count = marks->capacity = 0;
}

static void add_stretch(struct bnn_phase_sums *sums, double left, double right, const struct bnn_line *line)
{
    const double seconds = right - left;
    const double value = line->value + line->slope * ((left - line->origin) + 0.5 * seconds);
    sums->seconds += seconds;
    sums->integral += value * seconds;
}

double bnn_marks_go_on(struct bnn_marks *marks, double begin, double end, const struct bnn_line *line)
{
    double left = begin;
    while (marks->count && marks->queue[marks->first].at <= end) {
        const struct bnn_mark mark = marks->queue[marks->first++];
        marks->count--;
        if (mark.at > left) {
            if (line)
                add_stretch(&marks->sums[marks->phase], left, mark.at, line);
            left = mark.at;
        }
        if (mark.phase != marks->phase) {
            marks->phase = mark.phase;
            marks->sums[mark.phase].stays++;
        }
    }
    if (!marks->count)
        marks->first = 0;
    if (end > left) {
        if (line)
            add_stretch(&marks->sums[marks->phase], left, end, line);
        left = end;
    }
    return left - begin;
}
