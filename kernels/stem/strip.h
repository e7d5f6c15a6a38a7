/* strip.h: what the passes of a stem share: strips of an image, rows of windows, the arithmetic of a value. */
#ifndef BNN_STEM_STRIP_H
#define BNN_STEM_STRIP_H

#include <math.h>

#include "../block/gradient.h"
#include "../common/number.h"
#include "../common/rng.h"
#include "../real_conv/real_pass.h"
#include "stem.h"

enum { BNN_STEM_TAPS = 3, BNN_STEM_STEP = 2 };

/* What the threads of a loop know of the call that shares it out. */
struct stem_call {
    const struct bnn_kernels *k;
    const struct bnn_stem *stem;
    struct real_call real;
    const struct bnn_block_step *step; /* backward */
    struct bnn_norm_affine first, second; /* backward: what the norms make of gradients */
    size_t tile;  /* a strip pass: the tile of output channels */
    int measure;  /* find only the amax of dY */
};

struct stem_call bnn_stem_call(const struct bnn_kernels *k, const struct bnn_stem *stem, size_t batch,
                               const struct bnn_block_step *step, int threads);

/* A thread's scratch, and the strip that it has of an image: rows top ... end - 1 of y and of its gradient. */
struct strip {
    const struct stem_call *call;
    struct real_pass real;
    float *y, *g; /* [rows][width][BNN_TILE] */
    float *row;   /* [pooled width][BNN_TILE]: y of a row of windows */
    float *more;  /* as large */
    uint8_t *tap; /* as large: which of a window's taps was chosen */
    size_t top, end, image;
    size_t size;
};

struct strip bnn_stem_strip(const struct stem_call *call, unsigned char *base);

static inline int is_whole_stem(const struct bnn_stem *s) { return is_whole(&s->real); }
static inline size_t bnn_stem_windows(const struct bnn_stem *s) { return s->pooled_height * s->pooled_width; }

/* What a pass over strips does: with rows of y that are new, with a row of windows that the strip holds, with rows that no
 * later window sees; NULL: nothing.  Returns an amax. */
struct strip_work {
    const struct stem_call *call;
    void (*add_rows)(const struct strip *s, size_t row, size_t rows);
    void (*use_windows)(const struct strip *s, size_t window_row);
    float (*finish_row)(const struct strip *s, size_t row);
    enum bnn_zone zone;
};

/* All strips of all images, of a tile of channels. */
float bnn_stem_strips(const struct strip_work *work);

/* y of a row of windows of the tile, and which taps have it, from the strip. */
void bnn_stem_choose(const struct strip *s, size_t window_row);
/* y of a row of windows of an image and tile from where it is kept, into s->row. */
void bnn_stem_load(const struct strip *s, size_t image, size_t window_row, size_t tile);

/* What a norm makes of a channel's values: z = y * scale + shift. */
struct stem_gains {
    struct bnn_gains first, second;
};
struct stem_gains bnn_stem_gains(const struct bnn_stem *stem, size_t tile);

/* Pooled y of all images, in the stem's buffer; adds the sums of all y, if wanted. */
void bnn_stem_keep(struct stem_call *call, int is_summed);

/* A row of windows' values from s->row into a stream, from position `first` on. */
void bnn_stem_put(const struct strip *s, const struct stem_gains *z, size_t first, size_t tile, void *out);

/* Behind the first norm and ReLU, in units of the stream if it is one of integers. */
static inline void bnn_stem_activate(const struct bnn_stem *s, size_t width, float *u)
{
    for (size_t c = 0; s->relu && c < width; c++) u[c] = !(u[c] > 0.0f) ? 0.0f : u[c];
    for (size_t c = 0; is_whole_stem(s) && c < width; c++)
        u[c] = bnn_round(bnn_clip(u[c] * (float)BNN_STREAM_ONE, (float)BNN_STREAM_LIMIT));
}

/* A mean of n values, n times as large where they are integers: their sum, which the mean in double need not give exactly. */
static inline double bnn_stem_centre(const struct bnn_stem *s, double mean, double n)
{
    return is_whole_stem(s) ? rint(mean * n) : mean;
}

/* Adds a channel's sums of a run of values to those of its thread: exactly, of integers. */
static inline void bnn_stem_add(const struct bnn_stem *s, const struct conv_sums *sums, int which, size_t channel, double sum)
{
    if (is_whole_stem(s)) sums->whole[which][channel] += (int64_t)sum;
    else sums->real[which][channel] += sum;
}

#endif
