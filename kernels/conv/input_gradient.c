/* dX in place of dY, the transposed convolution, a group of images at a time: first all of the group's dY becomes look-up
 * tables (int8) or float32, one row per position, then an input's values are the sum over its taps of the rows that the
 * taps lie in.  Groups go from the last to the first where an image of dX is larger than one of dY, otherwise from the
 * first to the last: what is overwritten has been read. */
#include "../block/gradient.h"
#include "weight_block.h"

enum { INPUT_ROWS = 48, REAL_ROWS = 64, DY_ROWS = 32 };

struct scratch {
    int8_t *dy;            /* [DY_ROWS][O] */
    float *pooled, *real;  /* real: [DY_ROWS / 4][BNN_TILE], [DY_ROWS][BNN_TILE] */
    const uint8_t **rows;  /* [INPUT_ROWS][taps] */
    int32_t *tile;         /* [max(INPUT_ROWS, REAL_ROWS)][BNN_TILE] */
    float *patch;          /* real: [REAL_ROWS][taps*O] */
    float *operand;        /* real: [taps*O][BNN_TILE] */
    size_t size;
};

static struct scratch carve(const struct bnn_conv *c, unsigned char *base)
{
    const size_t taps = bnn_taps(&c->window), outputs = c->block.outputs;
    unsigned char *at = base;
    struct scratch s = {0};
    s.dy = bnn_cut(&at, DY_ROWS * outputs);
    s.rows = bnn_cut(&at, INPUT_ROWS * taps * sizeof *s.rows);
    s.tile = bnn_cut(&at, REAL_ROWS * BNN_TILE * sizeof *s.tile);
    if (c->block.gradient_type != BNN_i8) {
        s.pooled = bnn_cut(&at, DY_ROWS / BNN_POOL_ROWS * BNN_TILE * sizeof *s.pooled);
        s.real = bnn_cut(&at, DY_ROWS * BNN_TILE * sizeof *s.real);
        s.patch = bnn_cut(&at, REAL_ROWS * taps * outputs * sizeof *s.patch);
        s.operand = bnn_cut(&at, taps * outputs * BNN_TILE * sizeof *s.operand);
    }
    s.size = (size_t)(at - base);
    return s;
}

/* Some images, worked on together. */
struct group {
    const struct conv_call *call;
    int measure; /* find only the amax of an int8 dX */
    size_t first, images;
    size_t share; /* inputs that a thread does at a time */
};

static struct scratch own_scratch(const struct group *g)
{
    return carve(g->call->c, bnn_scratch_of(&g->call->c->block, bnn_thread()));
}

size_t bnn_conv_input_scratch(const struct bnn_conv *c) { return c->neighbours ? carve(c, BNN_NOWHERE).size : 0; }

static size_t inputs_of(const struct bnn_window *w) { return w->height * w->width; }

static size_t group_rows(const struct bnn_conv *c) { return c->group * bnn_positions(&c->window); }

/* Bytes of a row: the tables of one position, or its float32. */
static size_t row_bytes(const struct bnn_conv *c)
{
    return c->block.gradient_type == BNN_i8 ? bnn_lookup_table_bytes(c->block.outputs) : c->block.outputs * sizeof(float);
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
    if (c->block.gradient_type != BNN_i8) return part_of(c);
    return bnn_max((limit > BNN_LOOKUP_LIMIT ? 2 : 1) * part_of(c), bnn_conv_signs_block(c));
}

/* Bytes of the indices of W at one tap, of a word of input channels. */
static size_t index_bytes(const struct bnn_conv *c)
{
    return bnn_lookup_groups(c->block.outputs) * BNN_LOOKUP_PANEL_BYTES;
}

size_t bnn_conv_lookup(const struct bnn_conv *c)
{
    return bnn_words(c->window.channels) * bnn_taps(&c->window) * index_bytes(c);
}

/* Tables of rows of dY [rows][O], for both parts of 8-bit values. */
static void make_tables(const struct conv_call *call, const int8_t *dy, size_t rows, size_t row)
{
    const struct bnn_kernels *k = call->k;
    const size_t bytes = row_bytes(call->c), outputs = call->c->block.outputs;
    unsigned char *to = call->c->tables + row * bytes;
    if (call->step->limit <= BNN_LOOKUP_LIMIT) {
        k->lookup_tables_i8(dy, rows, outputs, outputs, BNN_lookup_whole, to, bytes);
        return;
    }
    k->lookup_tables_i8(dy, rows, outputs, outputs, BNN_lookup_low, to, bytes);
    k->lookup_tables_i8(dy, rows, outputs, outputs, BNN_lookup_high, to + part_of(call->c), bytes);
}

/* Rows `row` ... of the tables, of int8 and of real gradients, from positions `first` ... of the batch. */
static void fill_tables(const struct conv_call *call, const struct scratch *s, size_t first, size_t rows, size_t row)
{
    const struct bnn_conv *c = call->c;
    const size_t outputs = c->block.outputs;
    const int8_t *dy = (const int8_t *)c->block.g + first * outputs;
    if (bnn_pools_before_norm(&c->window)) {
        for (size_t channel = 0; channel < outputs; channel += BNN_TILE)
            bnn_conv_spread_dy(call->k, c, first, rows, channel, s->dy + channel, outputs);
        dy = s->dy;
    }
    make_tables(call, dy, rows, row);
}

static void fill_reals(const struct conv_call *call, const struct scratch *s, size_t first, size_t rows, size_t row)
{
    const struct bnn_conv *c = call->c;
    const size_t outputs = c->block.outputs;
    float *to = (float *)c->tables + row * outputs;
    for (size_t channel = 0; channel < outputs; channel += BNN_TILE) {
        const size_t width = bnn_min(BNN_TILE, outputs - channel);
        bnn_conv_dy_f32(call->k, c, first, rows, channel, s->pooled, s->real);
        for (size_t r = 0; r < rows; r++) memcpy(to + r * outputs + channel, s->real + r * BNN_TILE, width * sizeof *to);
    }
}

static void fill_blocks(const void *context, struct bnn_share blocks)
{
    const struct group *g = context;
    const struct conv_call *call = g->call;
    const struct bnn_block *b = &call->c->block;
    const struct scratch s = own_scratch(g);
    const size_t positions = bnn_positions(&call->c->window);
    for (size_t block = blocks.first; block < blocks.end; block++) {
        const size_t row = block * DY_ROWS, rows = bnn_min(DY_ROWS, g->images * positions - row);
        TIMED(b, BNN_zone_tables, {
            if (b->gradient_type == BNN_i8) fill_tables(call, &s, g->first * positions + row, rows, row);
            else fill_reals(call, &s, g->first * positions + row, rows, row);
        });
    }
}

static void fill_zeros(const struct conv_call *call)
{
    const struct bnn_conv *c = call->c;
    if (c->block.gradient_type != BNN_i8) {
        memset(c->tables + group_rows(c) * row_bytes(c), 0, row_bytes(c));
        return;
    }
    const struct scratch s = carve(c, bnn_scratch_of(&c->block, 0));
    memset(s.dy, 0, c->block.outputs);
    make_tables(call, s.dy, 1, group_rows(c));
}

/* Rows of the tables that inputs `row` ... of a group take their taps from. */
static void find_rows(const struct bnn_conv *c, size_t row, size_t rows, const uint8_t **to)
{
    const size_t inputs = inputs_of(&c->window), positions = bnn_positions(&c->window);
    const size_t taps = bnn_taps(&c->window), bytes = row_bytes(c);
    const uint8_t *tables = c->tables, *zeros = tables + group_rows(c) * bytes;
    size_t place = row % inputs;
    const uint8_t *image = tables + row / inputs * positions * bytes;
    for (size_t r = 0; r < rows; r++) {
        const int32_t *near = c->neighbours + place * taps;
        for (size_t tap = 0; tap < taps; tap++) *to++ = near[tap] < 0 ? zeros : image + (size_t)near[tap] * bytes;
        if (++place == inputs) place = 0, image += positions * bytes;
    }
}

/* dX of inputs `row` ... of a group, words of channels one by one; the largest sum, and, unless it is only measured, values. */
static int32_t input_rows_i8(const struct group *g, const struct scratch *s, size_t row, size_t rows)
{
    const struct bnn_kernels *k = g->call->k;
    const struct bnn_conv *c = g->call->c;
    const struct bnn_block *b = &c->block;
    const size_t channels = c->window.channels, taps = bnn_taps(&c->window), groups = bnn_lookup_groups(b->outputs);
    const size_t part_bytes = part_of(c), first = g->first * inputs_of(&c->window) + row;
    int32_t largest = 0;
    TIMED(b, BNN_zone_gather, find_rows(c, row, rows, s->rows));
    for (size_t word = 0; word < bnn_words(channels); word++) {
        const size_t width = bnn_tile_width(channels, word), at = first * channels + word * BNN_TILE;
        const uint8_t *indices = c->lookup + word * taps * index_bytes(c);
        TIMED(b, BNN_zone_input_gradient, {
            k->lookup_gemm_i32(s->rows, rows, taps, groups, indices, width, 1, s->tile, BNN_TILE, 0);
            if (g->call->step->limit > BNN_LOOKUP_LIMIT) {
                for (size_t i = 0; i < rows * taps; i++) s->rows[i] += part_bytes;
                k->lookup_gemm_i32(s->rows, rows, taps, groups, indices, width, 4, s->tile, BNN_TILE, 1);
                for (size_t i = 0; i < rows * taps; i++) s->rows[i] -= part_bytes;
            }
        });
        TIMED(b, BNN_zone_requantise, {
            if (b->stream.g_in && !g->measure)
                bnn_stream_take(k, s->tile, b->dy_scale->used / b->dx_scale->used,
                                (struct bnn_stream_place){at, channels, rows, width},
                                b->stream.mask + first * bnn_words(channels) + word, bnn_words(channels), b->stream.adds,
                                b->stream.g_in, g->call->step->dx_key, &largest);
            else
                k->largest_i32(s->tile, rows, width, BNN_TILE, &largest);
            if (!b->stream.g_in && !g->measure)
                k->requantise_i32_i8(s->tile, rows, width, BNN_TILE, b->dy_scale->used / b->dx_scale->used,
                                     (int8_t *)b->dx + at, channels, g->call->step->dx_key, (uint32_t)at);
        });
    }
    return largest;
}

/* dX of some rows and a word of channels into the stream's gradient. */
static void take_rows_f32(const struct bnn_kernels *k, const struct bnn_block *b, float *values, struct bnn_stream_place place,
                          size_t word)
{
    const struct bnn_residual_stream *stream = &b->stream;
    if (!stream->mask) bnn_stream_cancel_f32(stream->in, place, values);
    bnn_stream_take_f32(k, b->gradient_type, values, place, stream->mask ? stream->mask + word : NULL,
                        bnn_words(place.stride), stream->adds, stream->g_in);
}

static void input_rows_f32(const struct group *g, const struct scratch *s, size_t row, size_t rows)
{
    const struct bnn_kernels *k = g->call->k;
    const struct bnn_conv *c = g->call->c;
    const struct bnn_block *b = &c->block;
    const size_t channels = c->window.channels, taps = bnn_taps(&c->window), words = bnn_words(channels);
    const size_t first = g->first * inputs_of(&c->window) + row, depth = taps * b->outputs;
    for (size_t r = 0; r < rows; r++) {
        find_rows(c, row + r, 1, s->rows);
        for (size_t tap = 0; tap < taps; tap++)
            memcpy(s->patch + r * depth + tap * b->outputs, s->rows[tap], b->outputs * sizeof *s->patch);
    }
    for (size_t word = 0; word < words; word++) {
        const size_t width = bnn_tile_width(channels, word);
        for (size_t tap = 0; tap < taps; tap++)
            k->expand_u1_f32(b->w_u1 + tap * words + word, taps * words, b->outputs, width,
                             s->operand + tap * b->outputs * BNN_TILE, BNN_TILE);
        k->gemm_f32(s->patch, rows, depth, 1, s->operand, BNN_TILE, width, depth, (float *)s->tile, BNN_TILE);
        const struct bnn_stream_place place = {first * channels + word * BNN_TILE, channels, rows, width};
        if (b->stream.g_in) take_rows_f32(k, b, (float *)s->tile, place, first * words + word);
        else bnn_store_gradient(k, b->gradient_type, b->dx, place.at, channels, rows, width, (float *)s->tile);
    }
}

static double input_shares(const void *context, struct bnn_share shares)
{
    const struct group *g = context;
    const struct bnn_conv *c = g->call->c;
    const size_t all = g->images * inputs_of(&c->window);
    const struct scratch s = own_scratch(g);
    int32_t largest = 0, of_rows = 0;
    for (size_t number = shares.first; number < shares.end; number++) {
        const size_t row = number * g->share, rows = bnn_min(g->share, all - row);
        if (c->block.gradient_type == BNN_i8) of_rows = input_rows_i8(g, &s, row, rows);
        else TIMED(&c->block, BNN_zone_input_gradient, input_rows_f32(g, &s, row, rows));
        largest = of_rows > largest ? of_rows : largest;
    }
    return largest;
}

/* dX of a group; its largest sum. */
static int32_t input_group(struct group *g)
{
    const struct bnn_window *w = &g->call->c->window;
    const int threads = g->call->threads;
    const size_t all = g->images * inputs_of(w), rows = g->images * bnn_positions(w);
    const size_t most = g->call->c->block.gradient_type != BNN_i8 ? REAL_ROWS : INPUT_ROWS;
    /* The threads' shares are as equal as blocks of six rows allow. */
    const size_t pieces = bnn_round_up(bnn_ceil_div(all, most), (size_t)threads);
    g->share = bnn_min(most, bnn_round_up(bnn_ceil_div(all, pieces), 6));
    bnn_for_shares(threads, bnn_ceil_div(rows, DY_ROWS), fill_blocks, g);
    return (int32_t)bnn_max_of_shares(threads, bnn_ceil_div(all, g->share), input_shares, g);
}

static float input_gradients(const void *context, int measure)
{
    const struct conv_call *call = context;
    const struct bnn_conv *c = call->c;
    const size_t dx_image = inputs_of(&c->window) * c->window.channels;
    const size_t dy_image = bnn_norm_positions(&c->window) * c->block.outputs;
    const size_t groups = bnn_ceil_div(call->batch, c->group);
    int32_t largest = 0;
    for (size_t number = 0; number < groups; number++) {
        const size_t first = (dx_image >= dy_image ? groups - 1 - number : number) * c->group;
        struct group g = {.call = call, .measure = measure, .first = first, .images = bnn_min(c->group, call->batch - first)};
        const int32_t of_group = input_group(&g);
        largest = of_group > largest ? of_group : largest;
    }
    if (c->block.gradient_type != BNN_i8) return 0.0f;
    const int is_stream = c->block.stream.g_in && !measure;
    return (float)largest * (is_stream ? c->block.dx_scale : c->block.dy_scale)->used;
}

static void lay_tap(const void *context, size_t number)
{
    const struct conv_call *call = context;
    const struct bnn_conv *c = call->c;
    const struct bnn_block *b = &c->block;
    const size_t channels = c->window.channels, taps = bnn_taps(&c->window), words = bnn_words(channels);
    const size_t word = number / taps, tap = number % taps;
    TIMED(b, BNN_zone_tables,
          call->k->lookup_lay_u1(b->w_u1 + tap * words + word, taps * words, b->outputs, bnn_tile_width(channels, word),
                                 c->lookup + number * index_bytes(c)));
}

void bnn_conv_input_gradient(const struct conv_call *call)
{
    const struct bnn_conv *c = call->c;
    TIMED(&c->block, BNN_zone_tables, fill_zeros(call));
    if (c->block.gradient_type != BNN_i8) {
        input_gradients(call, 0);
        return;
    }
    bnn_for(call->threads, bnn_words(c->window.channels) * bnn_taps(&c->window), lay_tap, call);
    if (c->block.stream.g_in)
        bnn_make_stream(c->block.dx_scale, call->step->current_scales, c->block.stream.adds, input_gradients, call);
    else
        bnn_make_scaled(c->block.dx_scale, call->step->current_scales, 127.0f, input_gradients, call);
}
