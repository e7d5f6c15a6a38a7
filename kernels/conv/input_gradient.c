/* dX in place of dY, the transposed convolution, a group of images at a time: first all of the group's dY becomes look-up
 * tables (int8) or float32, one row per position, then an input's values are the sum over its taps of the rows that the
 * taps lie in.  Groups go from the last to the first where an image of dX is larger than one of dY, otherwise from the
 * first to the last: what is overwritten has been read. */
#include "weights.h"

enum { INPUT_ROWS = 48, REAL_ROWS = 64, DY_ROWS = 32 };

struct input_scratch {
    int8_t *dy;            /* [DY_ROWS][O] */
    float *pooled, *real;  /* real: [DY_ROWS / 4][BNN_TILE], [DY_ROWS][BNN_TILE] */
    const uint8_t **rows;  /* [INPUT_ROWS][taps] */
    int32_t *tile;         /* [max(INPUT_ROWS, REAL_ROWS)][BNN_TILE] */
    float *patch;          /* real: [REAL_ROWS][taps*O] */
    float *operand;        /* real: [taps*O][BNN_TILE] */
    size_t size;
};

static struct input_scratch carve_inputs(const struct bnn_conv *c, unsigned char *base)
{
    const size_t taps = bnn_taps(&c->window), outputs = c->dense.outputs;
    unsigned char *at = base;
    struct input_scratch s = {0};
    s.dy = bnn_cut(&at, DY_ROWS * outputs);
    s.rows = bnn_cut(&at, INPUT_ROWS * taps * sizeof *s.rows);
    s.tile = bnn_cut(&at, REAL_ROWS * BNN_TILE * sizeof *s.tile);
    if (c->dense.gradient_type != BNN_i8) {
        s.pooled = bnn_cut(&at, DY_ROWS / BNN_POOL_ROWS * BNN_TILE * sizeof *s.pooled);
        s.real = bnn_cut(&at, DY_ROWS * BNN_TILE * sizeof *s.real);
        s.patch = bnn_cut(&at, REAL_ROWS * taps * outputs * sizeof *s.patch);
        s.operand = bnn_cut(&at, taps * outputs * BNN_TILE * sizeof *s.operand);
    }
    s.size = (size_t)(at - base);
    return s;
}

size_t bnn_conv_input_scratch(const struct bnn_conv *c)
{
    return c->neighbours ? carve_inputs(c, (unsigned char *)64).size : 0;
}

static size_t group_rows(const struct bnn_conv *c) { return c->group * bnn_positions(&c->window); }

/* Bytes of a row: the tables of one position, or its float32. */
static size_t row_bytes(const struct bnn_conv *c)
{
    return c->dense.gradient_type == BNN_i8 ? bnn_lookup_table_bytes(c->dense.outputs)
                                            : c->dense.outputs * sizeof(float);
}

size_t bnn_conv_group(const struct bnn_window *window, int threads)
{
    return bnn_max(1, bnn_ceil_div(BNN_CONV_ROWS * (size_t)threads, bnn_max(1, bnn_positions(window))));
}

/* Bytes of the tables of one part.  The last row is one of zeros, for taps outside. */
static size_t part_of(const struct bnn_conv *c) { return bnn_round_up((group_rows(c) + 1) * row_bytes(c), 64); }

/* dW shares this place, before dX. */
size_t bnn_conv_tables(const struct bnn_conv *c, int limit)
{
    if (c->dense.gradient_type != BNN_i8) return part_of(c);
    return bnn_max((limit > BNN_LOOKUP_LIMIT ? 2 : 1) * part_of(c), bnn_conv_signs_block(c));
}

size_t bnn_conv_lookup(const struct bnn_conv *c)
{
    return bnn_words(c->window.channels) * bnn_taps(&c->window) * bnn_lookup_groups(c->dense.outputs) *
           BNN_LOOKUP_PANEL_BYTES;
}

const int8_t *bnn_conv_dy(const struct bnn_kernels *k, const struct bnn_conv *c, size_t first, size_t rows, size_t channel,
                          int8_t *room, size_t *stride)
{
    const size_t outputs = c->dense.outputs, words = bnn_words(outputs);
    const int8_t *g = c->dense.g;
    if (c->window.pool != BNN_pool_before_norm) {
        *stride = outputs;
        return g + first * outputs + channel;
    }
    *stride = BNN_TILE;
    k->pool_spread_i8(g + first / BNN_POOL_ROWS * outputs + channel, rows / BNN_POOL_ROWS,
                      bnn_min(BNN_TILE, outputs - channel), outputs, c->choice + first * words + channel / BNN_TILE, words,
                      room, BNN_TILE);
    return room;
}

void bnn_conv_dy_f32(const struct bnn_kernels *k, const struct bnn_conv *c, size_t first, size_t rows, size_t channel,
                     float *pooled, float *out)
{
    const struct bnn_dense *d = &c->dense;
    const size_t words = bnn_words(d->outputs), width = bnn_min(BNN_TILE, d->outputs - channel);
    if (c->window.pool != BNN_pool_before_norm) {
        bnn_load_gradient(k, d->gradient_type, d->g, first * d->outputs + channel, d->outputs, rows, width, out, BNN_TILE);
        return;
    }
    bnn_load_gradient(k, d->gradient_type, d->g, first / BNN_POOL_ROWS * d->outputs + channel, d->outputs,
                      rows / BNN_POOL_ROWS, width, pooled, BNN_TILE);
    k->pool_spread_f32(pooled, rows / BNN_POOL_ROWS, width, BNN_TILE, c->choice + first * words + channel / BNN_TILE, words,
                       out, BNN_TILE);
}

/* Tables of rows of dY [rows][O], for both parts of 8-bit values. */
static void make_tables(const struct bnn_kernels *k, const struct bnn_conv *c, const int8_t *dy, size_t rows, size_t row,
                        int limit)
{
    const size_t bytes = row_bytes(c), part_bytes = part_of(c), outputs = c->dense.outputs;
    unsigned char *to = c->tables + row * bytes;
    if (limit <= BNN_LOOKUP_LIMIT) {
        k->lookup_tables_i8(dy, rows, outputs, outputs, BNN_lookup_whole, to, bytes);
        return;
    }
    k->lookup_tables_i8(dy, rows, outputs, outputs, BNN_lookup_low, to, bytes);
    k->lookup_tables_i8(dy, rows, outputs, outputs, BNN_lookup_high, to + part_bytes, bytes);
}

/* Rows `row` ... of the tables from positions `first` ... of the batch. */
static void fill_rows(const struct bnn_kernels *k, const struct bnn_conv *c, const struct input_scratch *s, size_t first,
                      size_t rows, size_t row, int limit)
{
    const struct bnn_dense *d = &c->dense;
    const size_t outputs = d->outputs, words = bnn_words(outputs);
    if (d->gradient_type == BNN_i8) {
        const int8_t *dy = (const int8_t *)d->g + first * outputs;
        if (c->window.pool == BNN_pool_before_norm) {
            for (size_t tile = 0; tile < words; tile++)
                k->pool_spread_i8((const int8_t *)d->g + first / BNN_POOL_ROWS * outputs + tile * BNN_TILE,
                                  rows / BNN_POOL_ROWS, tile_width(outputs, tile), outputs,
                                  c->choice + first * words + tile, words, s->dy + tile * BNN_TILE, outputs);
            dy = s->dy;
        }
        make_tables(k, c, dy, rows, row, limit);
        return;
    }
    for (size_t tile = 0; tile < words; tile++) {
        const size_t width = tile_width(outputs, tile);
        bnn_conv_dy_f32(k, c, first, rows, tile * BNN_TILE, s->pooled, s->real);
        for (size_t r = 0; r < rows; r++)
            memcpy((float *)c->tables + (row + r) * outputs + tile * BNN_TILE, s->real + r * BNN_TILE, width * sizeof(float));
    }
}

static void fill_block(const void *context, size_t block)
{
    const struct conv_call *call = context;
    const struct bnn_conv *c = call->c;
    const size_t positions = bnn_positions(&c->window), row = block * DY_ROWS;
    const struct input_scratch s = carve_inputs(c, bnn_conv_own(c, bnn_thread()));
    TIMED(&c->dense, BNN_phase_tables,
          fill_rows(call->k, c, &s, call->first * positions + row, bnn_min(DY_ROWS, call->images * positions - row), row,
                    call->step->limit));
}

static void fill_group(const struct conv_call *call, int threads)
{
    bnn_for(threads, bnn_ceil_div(call->images * bnn_positions(&call->c->window), DY_ROWS), fill_block, call);
}

static void fill_zeros(const struct bnn_kernels *k, const struct bnn_conv *c, int limit)
{
    if (c->dense.gradient_type != BNN_i8) {
        memset(c->tables + group_rows(c) * row_bytes(c), 0, row_bytes(c));
        return;
    }
    const struct input_scratch s = carve_inputs(c, bnn_conv_own(c, 0));
    memset(s.dy, 0, c->dense.outputs);
    make_tables(k, c, s.dy, 1, group_rows(c), limit);
}

/* Rows of the tables that inputs `row` ... of a group take their taps from. */
static void find_rows(const struct bnn_conv *c, size_t row, size_t rows, const uint8_t *tables, const uint8_t **to)
{
    const size_t inputs = c->window.height * c->window.width, positions = bnn_positions(&c->window);
    const size_t taps = bnn_taps(&c->window), bytes = row_bytes(c);
    const uint8_t *zeros = tables + group_rows(c) * bytes;
    size_t place = row % inputs;
    const uint8_t *image = tables + row / inputs * positions * bytes;
    for (size_t r = 0; r < rows; r++) {
        const int32_t *near = c->neighbours + place * taps;
        for (size_t tap = 0; tap < taps; tap++) *to++ = near[tap] < 0 ? zeros : image + (size_t)near[tap] * bytes;
        if (++place == inputs) place = 0, image += positions * bytes;
    }
}

/* dX of inputs `row` ... of a group that starts at image `first_image`; the largest sum, and, unless `measure`, values. */
static int32_t input_rows_i8(const struct bnn_kernels *k, const struct bnn_conv *c, const struct input_scratch *s,
                             size_t first_image, size_t row, size_t rows, const struct bnn_dense_step *step,
                             int measure)
{
    const struct bnn_dense *d = &c->dense;
    const size_t channels = c->window.channels, taps = bnn_taps(&c->window), groups = bnn_lookup_groups(d->outputs);
    const size_t panel = taps * groups * BNN_LOOKUP_PANEL_BYTES, part_bytes = part_of(c);
    const size_t at = first_image * c->window.height * c->window.width + row;
    int32_t largest = 0;
    TIMED(d, BNN_phase_gather, find_rows(c, row, rows, c->tables, s->rows));
    for (size_t word = 0; word < bnn_words(channels); word++) {
        const size_t width = bnn_min(BNN_TILE, channels - word * BNN_TILE);
        TIMED(d, BNN_phase_input_gradient, {
            k->lookup_gemm_i32(s->rows, rows, taps, groups, c->lookup + word * panel, width, 1, s->tile, BNN_TILE, 0);
            if (step->limit > BNN_LOOKUP_LIMIT) {
                for (size_t i = 0; i < rows * taps; i++) s->rows[i] += part_bytes;
                k->lookup_gemm_i32(s->rows, rows, taps, groups, c->lookup + word * panel, width, 4, s->tile, BNN_TILE, 1);
                for (size_t i = 0; i < rows * taps; i++) s->rows[i] -= part_bytes;
            }
        });
        TIMED(d, BNN_phase_requantise, {
            k->largest_i32(s->tile, rows, width, BNN_TILE, &largest);
            if (!measure)
                k->requantise_i32_i8(s->tile, rows, width, BNN_TILE, d->dy_scale->used / d->dx_scale->used,
                                     (int8_t *)d->dx + at * channels + word * BNN_TILE, channels, step->dx_key,
                                     (uint32_t)(at * channels + word * BNN_TILE));
        });
    }
    return largest;
}

static void input_rows_f32(const struct bnn_kernels *k, const struct bnn_conv *c, const struct input_scratch *s,
                           size_t first_image, size_t row, size_t rows)
{
    const struct bnn_dense *d = &c->dense;
    const size_t channels = c->window.channels, taps = bnn_taps(&c->window), words = bnn_words(channels);
    const size_t at = first_image * c->window.height * c->window.width + row, depth = taps * d->outputs;
    for (size_t r = 0; r < rows; r++) {
        find_rows(c, row + r, 1, c->tables, s->rows);
        for (size_t tap = 0; tap < taps; tap++)
            memcpy(s->patch + r * depth + tap * d->outputs, s->rows[tap], d->outputs * sizeof *s->patch);
    }
    for (size_t word = 0; word < words; word++) {
        const size_t width = bnn_min(BNN_TILE, channels - word * BNN_TILE);
        for (size_t tap = 0; tap < taps; tap++)
            k->expand_u1_f32(d->w_u1 + tap * words + word, taps * words, d->outputs, width,
                             s->operand + tap * d->outputs * BNN_TILE, BNN_TILE);
        k->gemm_f32(s->patch, rows, depth, 1, s->operand, BNN_TILE, width, depth, (float *)s->tile, BNN_TILE);
        bnn_store_gradient(k, d->gradient_type, d->dx, at * channels + word * BNN_TILE, channels, rows, width,
                           (float *)s->tile);
    }
}

struct input_group {
    const struct conv_call *call;
    size_t rows, share; /* of the group; of a piece */
};

static double input_piece(const void *context, size_t number)
{
    const struct input_group *group = context;
    const struct conv_call *call = group->call;
    const struct bnn_conv *c = call->c;
    const struct input_scratch s = carve_inputs(c, bnn_conv_own(c, bnn_thread()));
    const size_t row = number * group->share, rows = bnn_min(group->share, group->rows - row);
    if (c->dense.gradient_type == BNN_i8)
        return input_rows_i8(call->k, c, &s, call->first, row, rows, call->step, call->measure);
    TIMED(&c->dense, BNN_phase_input_gradient, input_rows_f32(call->k, c, &s, call->first, row, rows));
    return 0.0;
}

static int32_t input_group(const struct conv_call *call, int threads)
{
    const struct bnn_window *w = &call->c->window;
    const size_t all = call->images * w->height * w->width;
    const size_t most = call->c->dense.gradient_type != BNN_i8 ? REAL_ROWS : INPUT_ROWS;
    /* The threads' shares are as equal as blocks of six rows allow. */
    const size_t pieces = bnn_round_up(bnn_ceil_div(all, most), (size_t)threads);
    const size_t share = bnn_min(most, bnn_round_up(bnn_ceil_div(all, pieces), 6));
    return (int32_t)bnn_for_max(threads, bnn_ceil_div(all, share), input_piece, &(struct input_group){call, all, share});
}

static float all_groups(const struct bnn_kernels *k, const struct bnn_conv *c, size_t batch,
                        const struct bnn_dense_step *step, int measure, int threads)
{
    const size_t dx_image = c->window.height * c->window.width * c->window.channels;
    const size_t dy_image = bnn_norm_positions(&c->window) * c->dense.outputs;
    const size_t groups = bnn_ceil_div(batch, c->group);
    int32_t largest = 0;
    for (size_t number = 0; number < groups; number++) {
        const size_t first = (dx_image >= dy_image ? groups - 1 - number : number) * c->group;
        const struct conv_call call = {k, c, step, first, bnn_min(c->group, batch - first), measure};
        fill_group(&call, threads);
        const int32_t of_group = input_group(&call, threads);
        largest = of_group > largest ? of_group : largest;
    }
    return c->dense.gradient_type == BNN_i8 ? (float)largest * c->dense.dy_scale->used : 0.0f;
}

static void lay_tap(const void *context, size_t number)
{
    const struct conv_call *call = context;
    const struct bnn_conv *c = call->c;
    const size_t channels = c->window.channels, taps = bnn_taps(&c->window), words = bnn_words(channels);
    const size_t word = number / taps, tap = number % taps;
    const size_t bytes = bnn_lookup_groups(c->dense.outputs) * BNN_LOOKUP_PANEL_BYTES;
    TIMED(&c->dense, BNN_phase_tables,
          call->k->lookup_lay_u1(c->dense.w_u1 + tap * words + word, taps * words, c->dense.outputs,
                                 bnn_min(BNN_TILE, channels - word * BNN_TILE), c->lookup + number * bytes));
}

static void lay_weights(const struct bnn_kernels *k, const struct bnn_conv *c, int threads)
{
    bnn_for(threads, bnn_words(c->window.channels) * bnn_taps(&c->window), lay_tap, &(struct conv_call){.k = k, .c = c});
}

void bnn_conv_input_gradient(const struct bnn_kernels *k, const struct bnn_conv *c, size_t batch,
                             const struct bnn_dense_step *step, int threads)
{
    const struct bnn_dense *d = &c->dense;
    TIMED(d, BNN_phase_tables, fill_zeros(k, c, step->limit));
    if (d->gradient_type != BNN_i8) {
        all_groups(k, c, batch, step, 0, threads);
        return;
    }
    lay_weights(k, c, threads);
    if (step->current_scales || d->dx_scale->next == 0.0f)
        bnn_follow(d->dx_scale, all_groups(k, c, batch, step, 1, threads), 127.0f);
    d->dx_scale->used = d->dx_scale->next > 0.0f ? d->dx_scale->next : 1.0f;
    bnn_follow(d->dx_scale, all_groups(k, c, batch, step, 0, threads), 127.0f);
}
