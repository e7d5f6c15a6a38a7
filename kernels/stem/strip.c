/* Strips of images: y of some rows at a time, the last of which the next strip begins with. */
#include "strip.h"

/* Rows of windows of a strip: y of nine rows of 112 positions is a quarter of a MiB. */
enum { STRIP = 4, STRIP_ROWS = BNN_STEM_STEP * STRIP + 1 };

struct stem_call bnn_stem_call(const struct bnn_kernels *k, const struct bnn_stem *stem, size_t batch,
                               const struct bnn_block_step *step, int threads)
{
    return (struct stem_call){.k = k, .stem = stem, .real = bnn_real_call(k, &stem->real, batch, step, threads), .step = step};
}

struct strip bnn_stem_strip(const struct stem_call *call, unsigned char *base)
{
    const struct bnn_stem *stem = call->stem;
    const size_t strip = STRIP_ROWS * stem->real.conv.window.out_width * BNN_TILE, row = stem->pooled_width * BNN_TILE;
    struct strip s = {.call = call, .real = bnn_real_pass(call->k, &stem->real, base)};
    unsigned char *at = base + s.real.size;
    s.y = bnn_cut(&at, strip * sizeof *s.y);
    s.g = bnn_cut(&at, strip * sizeof *s.g);
    s.row = bnn_cut(&at, row * sizeof *s.row);
    s.more = bnn_cut(&at, row * sizeof *s.more);
    s.tap = bnn_cut(&at, row);
    s.size = (size_t)(at - base);
    return s;
}

size_t bnn_stem_scratch(const struct bnn_stem *stem)
{
    const struct stem_call call = {.stem = stem};
    return bnn_stem_strip(&call, BNN_NOWHERE).size;
}

/* y of a row of the image into the strip. */
static void multiply_row(struct strip *s, size_t row)
{
    const struct bnn_block *b = &s->call->stem->real.conv.block;
    const size_t width = s->call->stem->real.conv.window.out_width, height = s->call->stem->real.conv.window.out_height;
    float *to = s->y + (row - s->top) * width * BNN_TILE;
    for (size_t x = 0; x < width; x += BNN_CONV_ROWS) {
        const size_t count = bnn_min(BNN_CONV_ROWS, width - x);
        TIMED(b, BNN_zone_gather, bnn_real_move(&s->real, (s->image * height + row) * width + x, count));
        TIMED(b, BNN_zone_forward, bnn_real_y(&s->real, s->call->tile));
        if (!is_whole_stem(s->call->stem)) memcpy(to + x * BNN_TILE, s->real.tile, count * BNN_TILE * sizeof *to);
        else
            for (size_t i = 0; i < count * BNN_TILE; i++) to[x * BNN_TILE + i] = (float)s->real.tile[i];
    }
}

/* Moves a strip on to rows top ... end - 1: what it has of them moves to its front. */
static void advance(struct strip *s, const struct strip_work *work, size_t top, size_t end)
{
    const size_t row = s->call->stem->real.conv.window.out_width * BNN_TILE, known = s->end;
    if (known > top) {
        memmove(s->y, s->y + (top - s->top) * row, (known - top) * row * sizeof *s->y);
        memmove(s->g, s->g + (top - s->top) * row, (known - top) * row * sizeof *s->g);
    }
    s->top = top, s->end = end;
    for (size_t y = known; y < end; y++) multiply_row(s, y);
    if (work->finish_row) memset(s->g + (known - top) * row, 0, (end - known) * row * sizeof *s->g);
    if (work->add_rows) TIMED(&s->call->stem->real.conv.block, BNN_zone_statistics, work->add_rows(s, known, end - known));
}

/* First row that a row of windows sees. */
static size_t first_of(const struct bnn_stem *stem, size_t window_row)
{
    return BNN_STEM_STEP * window_row - bnn_min(stem->pad_top, BNN_STEM_STEP * window_row);
}

static float pass_image(struct strip *s, const struct strip_work *work)
{
    const struct bnn_stem *stem = s->call->stem;
    const size_t height = stem->real.conv.window.out_height, rows = stem->pooled_height;
    float largest = 0.0f, amax;
    s->top = s->end = 0;
    for (size_t first = 0; first < rows; first += STRIP) {
        const size_t last = bnn_min(first + STRIP, rows), next = last < rows ? first_of(stem, last) : height;
        const size_t end = bnn_min(height, BNN_STEM_STEP * (last - 1) + BNN_STEM_TAPS - stem->pad_top);
        advance(s, work, first_of(stem, first), end);
        for (size_t row = first; work->use_windows && row < last; row++)
            TIMED(&stem->real.conv.block, work->zone, work->use_windows(s, row));
        for (size_t row = s->top; work->finish_row && row < next; row++) {
            amax = work->finish_row(s, row);
            largest = amax > largest ? amax : largest;
        }
    }
    return largest;
}

static double pass_images(const void *context, struct bnn_share images)
{
    const struct strip_work *work = context;
    const struct bnn_block *b = &work->call->stem->real.conv.block;
    struct strip s = bnn_stem_strip(work->call, bnn_scratch_of(b, bnn_thread()));
    float largest = 0.0f, amax;
    for (s.image = images.first; s.image < images.end; s.image++) {
        amax = pass_image(&s, work);
        largest = amax > largest ? amax : largest;
    }
    return largest;
}

float bnn_stem_strips(const struct strip_work *work)
{
    const struct conv_call *conv = &work->call->real.conv;
    return (float)bnn_max_of_shares(conv->threads, conv->batch, pass_images, work);
}

/* The first of a window's largest values so far, times `sign`, and their taps, 32 bits each, so that vectors hold both. */
struct best {
    float value[BNN_TILE];
    int32_t tap[BNN_TILE];
};

static void begin(struct best *restrict best, const float *restrict sign, const float *restrict y, int32_t tap)
{
    for (size_t c = 0; c < BNN_TILE; c++) best->value[c] = sign[c] * y[c], best->tap[c] = tap;
}

static void compare(struct best *restrict best, const float *restrict sign, const float *restrict y, int32_t tap)
{
    for (size_t c = 0; c < BNN_TILE; c++) {
        const float value = sign[c] * y[c], former = best->value[c];
        const int32_t is_better = value > former ? -1 : 0;
        best->tap[c] = (best->tap[c] & ~is_better) | (tap & is_better);
        best->value[c] = value > former ? value : former;
    }
}

/* A window's taps that lie inside, by its first row and column, which may not. */
static void choose(const struct strip *s, const float *sign, ptrdiff_t row, ptrdiff_t column, float *y, uint8_t *tap)
{
    const struct bnn_window *w = &s->call->stem->real.conv.window;
    struct best best;
    int is_first = 1;
    for (ptrdiff_t i = 0; i < BNN_STEM_TAPS; i++)
        for (ptrdiff_t j = 0; j < BNN_STEM_TAPS; j++) {
            if ((size_t)(row + i) >= w->out_height || (size_t)(column + j) >= w->out_width) continue;
            const float *at = s->y + (((size_t)(row + i) - s->top) * w->out_width + (size_t)(column + j)) * BNN_TILE;
            if (is_first) begin(&best, sign, at, (int32_t)(BNN_STEM_TAPS * i + j));
            else compare(&best, sign, at, (int32_t)(BNN_STEM_TAPS * i + j));
            is_first = 0;
        }
    for (size_t c = 0; c < BNN_TILE; c++) y[c] = sign[c] * best.value[c], tap[c] = (uint8_t)best.tap[c];
}

void bnn_stem_choose(const struct strip *s, size_t window_row)
{
    const struct bnn_stem *stem = s->call->stem;
    const struct bnn_block *b = &stem->real.conv.block;
    const ptrdiff_t row = (ptrdiff_t)(BNN_STEM_STEP * window_row) - (ptrdiff_t)stem->pad_top;
    float sign[BNN_TILE];
    /* A gamma of 0 makes all of them equal: then any will do. */
    for (size_t c = 0; c < BNN_TILE; c++) {
        const size_t channel = s->call->tile * BNN_TILE + c;
        sign[c] = channel < b->outputs && b->gamma && b->gamma[channel] < 0.0f ? -1.0f : 1.0f;
    }
    for (size_t x = 0; x < stem->pooled_width; x++)
        choose(s, sign, row, (ptrdiff_t)(BNN_STEM_STEP * x) - (ptrdiff_t)stem->pad_left, s->row + x * BNN_TILE,
               s->tap + x * BNN_TILE);
}

void bnn_stem_load(const struct strip *s, size_t image, size_t window_row, size_t tile)
{
    const struct bnn_stem *stem = s->call->stem;
    const size_t outputs = stem->real.conv.block.outputs, width = bnn_tile_width(outputs, tile);
    const size_t at = (image * bnn_stem_windows(stem) + window_row * stem->pooled_width) * outputs + tile * BNN_TILE;
    for (size_t x = 0; x < stem->pooled_width; x++)
        for (size_t c = 0; c < width; c++) {
            const size_t from = at + x * outputs + c;
            s->row[x * BNN_TILE + c] =
                is_whole_stem(stem) ? (float)((const int16_t *)stem->pooled)[from] : ((const float *)stem->pooled)[from];
        }
}

struct stem_gains bnn_stem_gains(const struct bnn_stem *stem, size_t tile)
{
    struct stem_gains g = {.first = bnn_gains_of(&stem->real.conv.block, tile)};
    if (stem->second) g.second = bnn_gains_of(stem->second, tile);
    return g;
}
