#include "strip.h"

/* Largest gradient of a pooled value, in BNN_STEM_FINE-ths: what bnn_round takes. */
static const float LARGEST = 2097152.0f;

/* g of a row of windows of a tile, into s->more. */
static void load_g(const struct strip *s, size_t image, size_t row, size_t tile)
{
    const struct bnn_stem *stem = s->call->stem;
    const struct bnn_block *b = &stem->real.conv.block;
    const size_t width = bnn_tile_width(b->outputs, tile);
    const size_t at = (image * bnn_stem_windows(stem) + row * stem->pooled_width) * b->outputs + tile * BNN_TILE;
    if (!is_whole_stem(stem)) {
        bnn_load_gradient(s->real.k, b->gradient_type, b->stream.g_out, at, b->outputs, stem->pooled_width, width, s->more,
                          BNN_TILE);
        return;
    }
    for (size_t x = 0; x < stem->pooled_width; x++)
        for (size_t c = 0; c < width; c++)
            s->more[x * BNN_TILE + c] = (float)((const int16_t *)b->stream.g_out)[at + x * b->outputs + c];
}

/* dY of a value, unrounded. */
struct slopes {
    float a[BNN_TILE], b[BNN_TILE], c[BNN_TILE];
};

static struct slopes slopes_of(const struct stem_call *call, const struct bnn_norm_affine *of, size_t tile, double unit)
{
    struct slopes s;
    for (size_t c = 0; c < bnn_tile_width(call->stem->real.conv.block.outputs, tile); c++) {
        const size_t at = tile * BNN_TILE + c;
        s.a[c] = (float)(of->a[at] * unit), s.b[c] = (float)(of->b[at] * unit), s.c[c] = (float)(of->c[at] * unit);
    }
    return s;
}

/* The factors t of bnn_channel_backward, of a tile's values y with their z. */
static void find_factors(const struct bnn_block *b, size_t tile, const float *y, const float *z, float *t)
{
    const size_t base = tile * BNN_TILE, width = bnn_tile_width(b->outputs, tile);
    if (b->norm == BNN_norm_l2)
        memcpy(t, y, width * sizeof *t);
    else if (b->norm == BNN_norm_l1)
        for (size_t c = 0; c < width; c++) t[c] = (double)y[c] < b->mean[base + c] ? -1.0f : 1.0f;
    else
        for (size_t c = 0; c < width; c++) t[c] = z[c] < 0.0f ? -1.0f : 1.0f;
}

/* Pooled values of a tile on their way back: behind the first norm, and the second's factors. */
struct values {
    float z[BNN_TILE], u[BNN_TILE], t[BNN_TILE];
};

static void find_values(const struct strip *s, const struct stem_gains *z, size_t tile, size_t x, struct values *v)
{
    const struct bnn_stem *stem = s->call->stem;
    const size_t width = bnn_tile_width(stem->real.conv.block.outputs, tile);
    const float *y = s->row + x * BNN_TILE;
    float second[BNN_TILE];
    for (size_t c = 0; c < width; c++) v->z[c] = y[c] * z->first.scale[c] + z->first.shift[c];
    if (!stem->second) return;
    memcpy(v->u, v->z, width * sizeof *v->u);
    bnn_stem_activate(stem, width, v->u);
    for (size_t c = 0; c < width; c++) second[c] = v->u[c] * z->second.scale[c] + z->second.shift[c];
    find_factors(stem->second, tile, v->u, second, v->t);
}

/* Gradients of a row of pooled z, in place of g in s->more. */
static void pooled_gradient(const struct strip *s, const struct stem_gains *z, size_t tile)
{
    const struct stem_call *call = s->call;
    const struct bnn_stem *stem = call->stem;
    const struct slopes second = stem->second ? slopes_of(call, &call->second, tile, 1.0) : (struct slopes){.a = {0.0f}};
    const size_t width = bnn_tile_width(stem->real.conv.block.outputs, tile);
    const int whole = is_whole_stem(stem);
    const float to_fine = (float)BNN_STEM_FINE * (stem->second ? (float)BNN_STREAM_ONE : 1.0f);
    for (size_t x = 0; x < stem->pooled_width; x++) {
        float *g = s->more + x * BNN_TILE;
        struct values v;
        find_values(s, z, tile, x, &v);
        if (stem->second)
            for (size_t c = 0; c < width; c++) g[c] = second.a[c] * g[c] + (second.b[c] * v.t[c] + second.c[c]);
        if (whole)
            for (size_t c = 0; c < width; c++) g[c] = bnn_round(bnn_clip(g[c] * to_fine, LARGEST));
        if (stem->relu)
            for (size_t c = 0; c < width; c++) g[c] = !(v.z[c] > 0.0f) ? 0.0f : g[c];
    }
}

/* A pass over the pooled values of all images that adds up a norm's sums. */
struct sums {
    const struct stem_call *call;
    int is_second;
};

/* Of g of a row of windows, and of its products with y or with t, as the norm has it. */
static void add_sums(const struct strip *s, const struct stem_gains *z, size_t tile, int is_second)
{
    const struct bnn_stem *stem = s->call->stem;
    const struct bnn_block *b = &stem->real.conv.block;
    const size_t width = bnn_tile_width(b->outputs, tile);
    double sum[BNN_TILE] = {0.0}, product[BNN_TILE] = {0.0};
    for (size_t x = 0; x < stem->pooled_width; x++) {
        const float *g = s->more + x * BNN_TILE;
        struct values v;
        find_values(s, z, tile, x, &v);
        const float *y = is_second ? v.u : s->row + x * BNN_TILE;
        if (!is_second) find_factors(b, tile, y, v.z, v.t);
        const float *by = b->norm == BNN_norm_l1_binary ? v.t : y;
        for (size_t c = 0; c < width; c++) sum[c] += (double)g[c], product[c] += (double)g[c] * (double)by[c];
    }
    for (size_t c = 0; c < width; c++) {
        bnn_stem_add(stem, &s->real.sums, 0, tile * BNN_TILE + c, sum[c]);
        bnn_stem_add(stem, &s->real.sums, 1, tile * BNN_TILE + c, product[c]);
    }
}

static void sum_values(const struct sums *sums, size_t image)
{
    const struct stem_call *call = sums->call;
    const struct bnn_stem *stem = call->stem;
    const struct bnn_block *b = &stem->real.conv.block;
    const struct strip s = bnn_stem_strip(call, bnn_scratch_of(b, bnn_thread()));
    for (size_t tile = 0; tile < bnn_words(b->outputs); tile++) {
        const struct stem_gains z = bnn_stem_gains(stem, tile);
        for (size_t row = 0; row < stem->pooled_height; row++) {
            bnn_stem_load(&s, image, row, tile);
            load_g(&s, image, row, tile);
            if (!sums->is_second) pooled_gradient(&s, &z, tile);
            add_sums(&s, &z, tile, sums->is_second);
        }
    }
}

static void sum_image(const void *context, size_t image)
{
    const struct sums *sums = context;
    TIMED(&sums->call->stem->real.conv.block, BNN_zone_norm_backward, sum_values(sums, image));
}

/* Signs of all y about their means, for the first norm if it is an l1 one. */
static void add_signs(const struct strip *s, size_t row, size_t rows)
{
    const struct bnn_stem *stem = s->call->stem;
    const struct bnn_block *b = &stem->real.conv.block;
    const size_t count = rows * stem->real.conv.window.out_width, base = s->call->tile * BNN_TILE;
    const float *y = s->y + (row - s->top) * stem->real.conv.window.out_width * BNN_TILE;
    for (size_t c = 0; c < bnn_tile_width(b->outputs, s->call->tile); c++)
        for (size_t i = 0; i < count; i++)
            s->real.sums.whole[2][base + c] += (double)y[i * BNN_TILE + c] < b->mean[base + c] ? -1 : 1;
}

/* The same of pooled u, for the second. */
static void add_pooled_signs(const void *context, size_t image)
{
    const struct stem_call *call = context;
    const struct bnn_stem *stem = call->stem;
    const struct bnn_block *b = &stem->real.conv.block;
    const struct strip s = bnn_stem_strip(call, bnn_scratch_of(b, bnn_thread()));
    for (size_t tile = 0; tile < bnn_words(b->outputs); tile++) {
        const struct stem_gains z = bnn_stem_gains(stem, tile);
        for (size_t row = 0; row < stem->pooled_height; row++) {
            bnn_stem_load(&s, image, row, tile);
            for (size_t x = 0; x < stem->pooled_width; x++) {
                struct values v;
                find_values(&s, &z, tile, x, &v);
                for (size_t c = 0; c < bnn_tile_width(b->outputs, tile); c++)
                    s.real.sums.whole[2][tile * BNN_TILE + c] += (int64_t)v.t[c];
            }
        }
    }
}

/* What a norm makes of gradients, from sums over the pooled values and its own count; its coefficients lie in `into`. */
static void find_affine(const struct stem_call *call, struct bnn_block *b, double count, int is_second, double *into,
                        struct bnn_norm_affine *affine)
{
    const struct bnn_stem *stem = call->stem;
    const struct conv_call *conv = &call->real.conv;
    const size_t outputs = stem->real.conv.block.outputs;
    bnn_for(conv->threads, conv->batch, sum_image, &(struct sums){call, is_second});
    const struct conv_sums all = bnn_conv_reduce_sums(conv);
    const int whole = is_whole_stem(stem);
    const struct bnn_norm_sums sums = {whole ? (void *)all.whole[0] : all.real[0], whole ? (void *)all.whole[1] : all.real[1],
                                       all.whole[2]};
    *affine = (struct bnn_norm_affine){into, into + outputs, into + 2 * outputs};
    bnn_norm_coefficients(b, 0, outputs, count, &sums, affine);
}

/* The gradient of every window to the position that it chose. */
static void spread_windows(const struct strip *s, size_t window_row)
{
    const struct bnn_stem *stem = s->call->stem;
    const struct bnn_window *w = &stem->real.conv.window;
    const struct stem_gains z = bnn_stem_gains(stem, s->call->tile);
    bnn_stem_choose(s, window_row);
    load_g(s, s->image, window_row, s->call->tile);
    pooled_gradient(s, &z, s->call->tile);
    for (size_t x = 0; x < stem->pooled_width; x++)
        for (size_t c = 0; c < bnn_tile_width(stem->real.conv.block.outputs, s->call->tile); c++) {
            const size_t tap = s->tap[x * BNN_TILE + c];
            const size_t row = BNN_STEM_STEP * window_row + tap / BNN_STEM_TAPS - stem->pad_top - s->top;
            const size_t column = BNN_STEM_STEP * x + tap % BNN_STEM_TAPS - stem->pad_left;
            s->g[(row * w->out_width + column) * BNN_TILE + c] += s->more[x * BNN_TILE + c];
        }
}

static void round_row(const struct strip *s, const float *v, size_t position, size_t width, int8_t *dy)
{
    const uint64_t key = s->call->step->dy_key;
    const size_t outputs = s->call->stem->real.conv.block.outputs;
    uint8_t u[BNN_TILE];
    if (!key) {
        for (size_t c = 0; c < width; c++) dy[c] = (int8_t)(int32_t)bnn_round(bnn_clip(v[c], 127.0f));
        return;
    }
    bnn_hash_bytes(u, width, (uint32_t)(position * outputs + s->call->tile * BNN_TILE), key);
    for (size_t c = 0; c < width; c++) dy[c] = (int8_t)bnn_dithered(bnn_clip(v[c], 127.0f), u[c]);
}

/* What a row's dY is made by. */
struct row {
    struct slopes slopes;
    struct bnn_gains z;
    double quantum; /* of a dY that is an integer */
};

static struct row row_of(const struct stem_call *call)
{
    const struct bnn_block *b = &call->stem->real.conv.block;
    const int whole = is_whole_stem(call->stem);
    const double quantum = whole && !call->measure ? (double)b->dy_scale->used : 1.0;
    const double unit = whole ? (double)b->g_scale->used / quantum : 1.0;
    return (struct row){slopes_of(call, &call->first, call->tile, unit), bnn_gains_of(b, call->tile), quantum};
}

/* dY of `count` positions of a row from column `first` on; its amax. */
static float output_gradient(const struct strip *s, const struct row *by, size_t row, size_t first, size_t count)
{
    const struct stem_call *call = s->call;
    const struct bnn_block *b = &call->stem->real.conv.block;
    const struct bnn_window *w = &call->stem->real.conv.window;
    const size_t base = call->tile * BNN_TILE, width = bnn_tile_width(b->outputs, call->tile);
    const size_t position = (s->image * w->out_height + row) * w->out_width + first;
    float largest[BNN_TILE] = {0.0f}, z[BNN_TILE], t[BNN_TILE], v[BNN_TILE];
    for (size_t x = 0; x < count; x++) {
        const size_t at = ((row - s->top) * w->out_width + first + x) * BNN_TILE, to = x * b->outputs + base;
        const float *y = s->y + at, *g = s->g + at;
        for (size_t c = 0; c < width; c++) z[c] = y[c] * by->z.scale[c] + by->z.shift[c];
        find_factors(b, call->tile, y, z, t);
        for (size_t c = 0; c < width; c++) {
            v[c] = by->slopes.a[c] * g[c] + (by->slopes.b[c] * t[c] + by->slopes.c[c]);
            largest[c] = bnn_absolute(v[c]) > largest[c] ? bnn_absolute(v[c]) : largest[c];
        }
        if (call->measure) continue;
        if (is_whole_stem(call->stem)) round_row(s, v, position + x, width, (int8_t *)s->real.dy + to);
        else memcpy((float *)s->real.dy + to, v, width * sizeof *v);
    }
    return bnn_largest_of(largest, 0.0f) * (float)by->quantum;
}

/* dY of a row, and what it adds to dW; its amax. */
static float finish_row(const struct strip *s, size_t row)
{
    const struct stem_call *call = s->call;
    const struct bnn_block *b = &call->stem->real.conv.block;
    const struct bnn_window *w = &call->stem->real.conv.window;
    const struct row by = row_of(call);
    struct real_pass real = s->real;
    float largest = 0.0f, amax;
    for (size_t x = 0; x < w->out_width; x += BNN_CONV_ROWS) {
        const size_t count = bnn_min(BNN_CONV_ROWS, w->out_width - x);
        TIMED(b, BNN_zone_norm_backward, amax = output_gradient(s, &by, row, x, count));
        largest = amax > largest ? amax : largest;
        if (call->measure) continue;
        TIMED(b, BNN_zone_gather, bnn_real_move(&real, (s->image * w->out_height + row) * w->out_width + x, count));
        TIMED(b, BNN_zone_weight_gradient, bnn_real_add(&real, call->tile));
    }
    return largest;
}

static float weight_gradients(const void *context, int measure)
{
    struct stem_call call = *(const struct stem_call *)context;
    const struct strip_work work = {&call, NULL, spread_windows, finish_row, BNN_zone_norm_backward};
    float largest = 0.0f;
    call.measure = measure;
    for (call.tile = 0; call.tile < bnn_words(call.stem->real.conv.block.outputs); call.tile++) {
        if (!measure) bnn_real_clear(&call.real);
        const float amax = bnn_stem_strips(&work);
        largest = amax > largest ? amax : largest;
        if (!measure) bnn_real_update(&call.real, call.tile);
    }
    return largest;
}

static void find_first(struct stem_call *call)
{
    struct bnn_block b = call->stem->real.conv.block; /* its gradients are in units of their own */
    const struct strip_work signs = {call, add_signs, NULL, NULL, BNN_zone_statistics};
    bnn_conv_clear_sums(&call->real.conv);
    for (call->tile = 0; b.norm == BNN_norm_l1 && call->tile < bnn_words(b.outputs); call->tile++) bnn_stem_strips(&signs);
    find_affine(call, &b, (double)(call->real.conv.batch * bnn_positions(&call->stem->real.conv.window)), 0,
                call->stem->affine, &call->first);
}

static void find_second(struct stem_call *call)
{
    struct bnn_block *b = call->stem->second;
    const struct conv_call *conv = &call->real.conv;
    bnn_conv_clear_sums(conv);
    if (b->norm == BNN_norm_l1) bnn_for(conv->threads, conv->batch, add_pooled_signs, call);
    find_affine(call, b, (double)(conv->batch * bnn_stem_windows(call->stem)), 1,
                call->stem->affine + 3 * b->outputs, &call->second);
}

void bnn_stem_backward(const struct bnn_kernels *k, const struct bnn_stem *stem, size_t batch,
                       const struct bnn_block_step *step, int threads)
{
    struct bnn_stem own = *stem;
    struct bnn_block *b = &own.real.conv.block;
    struct bnn_scale fine = {0.0f, 0.0f};
    struct stem_call call = bnn_stem_call(k, &own, batch, step, threads);
    bnn_real_prepack(&call.real);
    bnn_stem_keep(&call, 0);
    if (own.second) find_second(&call);
    if (is_whole_stem(stem)) { /* from here on gradients of pooled z are finer than the stream's */
        fine.used = (float)((double)b->g_scale->used / BNN_STEM_FINE);
        b->g_scale = &fine;
    }
    find_first(&call);
    if (is_whole_stem(stem)) bnn_make_scaled(b->dy_scale, step->current_scales, 127.0f, weight_gradients, &call);
    else weight_gradients(&call, 0);
}
