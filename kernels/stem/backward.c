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

/* The factor t of bnn_channel_backward, of a value y with its z. */
static float factor_of(const struct bnn_block *b, size_t channel, float y, float z)
{
    if (b->norm == BNN_norm_l2) return y;
    const int below = b->norm == BNN_norm_l1 ? (double)y < b->mean[channel] : z < 0.0f;
    return below ? -1.0f : 1.0f;
}

/* A pooled value on its way back: behind the first norm, and the second's factor. */
struct value {
    float z, u, t;
};

static struct value value_of(const struct strip *s, const struct stem_gains *z, size_t tile, size_t x, size_t c)
{
    const struct bnn_stem *stem = s->call->stem;
    struct value v = {.z = s->row[x * BNN_TILE + c] * z->first.scale[c] + z->first.shift[c]};
    v.u = bnn_stem_activate(stem, v.z, is_whole_stem(stem));
    if (stem->second)
        v.t = factor_of(stem->second, tile * BNN_TILE + c, v.u, v.u * z->second.scale[c] + z->second.shift[c]);
    return v;
}

/* Gradients of a row of pooled z, in place of g in s->more. */
static void pooled_gradient(const struct strip *s, const struct stem_gains *z, size_t tile)
{
    const struct stem_call *call = s->call;
    const struct bnn_stem *stem = call->stem;
    const int whole = is_whole_stem(stem);
    const float to_fine = (float)BNN_STEM_FINE * (stem->second ? (float)BNN_STREAM_ONE : 1.0f);
    for (size_t c = 0; c < bnn_tile_width(stem->real.conv.block.outputs, tile); c++) {
        const size_t at = tile * BNN_TILE + c;
        const float a = stem->second ? (float)call->second.a[at] : 1.0f, b = stem->second ? (float)call->second.b[at] : 0.0f;
        const float c0 = stem->second ? (float)call->second.c[at] : 0.0f;
        for (size_t x = 0; x < stem->pooled_width; x++) {
            const struct value v = value_of(s, z, tile, x, c);
            float *g = &s->more[x * BNN_TILE + c];
            float d = stem->second ? a * *g + (b * v.t + c0) : *g;
            d = whole ? bnn_round(bnn_clip(d * to_fine, LARGEST)) : d;
            *g = stem->relu && !(v.z > 0.0f) ? 0.0f : d;
        }
    }
}

/* A pass over the pooled values of all images that adds up a norm's sums. */
struct sums {
    const struct stem_call *call;
    int is_second;
};

static void sum_image(const void *context, size_t image)
{
    const struct sums *sums = context;
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
            for (size_t c = 0; c < bnn_tile_width(b->outputs, tile); c++) {
                double sum = 0.0, product = 0.0;
                for (size_t x = 0; x < stem->pooled_width; x++) {
                    const struct value v = value_of(&s, &z, tile, x, c);
                    const double g = (double)s.more[x * BNN_TILE + c];
                    const float y = sums->is_second ? v.u : s.row[x * BNN_TILE + c];
                    const float t = sums->is_second ? v.t : factor_of(b, tile * BNN_TILE + c, y, v.z);
                    sum += g, product += g * (double)(b->norm == BNN_norm_l1_binary ? t : y);
                }
                bnn_stem_add(stem, &s.real.sums, 0, tile * BNN_TILE + c, sum);
                bnn_stem_add(stem, &s.real.sums, 1, tile * BNN_TILE + c, product);
            }
        }
    }
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
            for (size_t x = 0; x < stem->pooled_width; x++)
                for (size_t c = 0; c < bnn_tile_width(b->outputs, tile); c++)
                    s.real.sums.whole[2][tile * BNN_TILE + c] += (int64_t)value_of(&s, &z, tile, x, c).t;
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
    TIMED(&stem->real.conv.block, BNN_zone_norm_backward,
          bnn_for(conv->threads, conv->batch, sum_image, &(struct sums){call, is_second}));
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

/* dY of a value, unrounded. */
struct slopes {
    float a[BNN_TILE], b[BNN_TILE], c[BNN_TILE];
};

static struct slopes slopes_of(const struct stem_call *call, double unit)
{
    struct slopes s;
    for (size_t c = 0; c < bnn_tile_width(call->stem->real.conv.block.outputs, call->tile); c++) {
        const size_t at = call->tile * BNN_TILE + c;
        s.a[c] = (float)(call->first.a[at] * unit), s.b[c] = (float)(call->first.b[at] * unit);
        s.c[c] = (float)(call->first.c[at] * unit);
    }
    return s;
}

static void round_row(const struct strip *s, const float *v, size_t position, size_t width, int8_t *dy)
{
    const uint64_t key = s->call->step->dy_key;
    const size_t outputs = s->call->stem->real.conv.block.outputs;
    uint8_t u[BNN_TILE];
    if (key) bnn_hash_bytes(u, width, (uint32_t)(position * outputs + s->call->tile * BNN_TILE), key);
    for (size_t c = 0; c < width; c++) {
        const float clipped = bnn_clip(v[c], 127.0f);
        dy[c] = (int8_t)(key ? bnn_dithered(clipped, u[c]) : (int32_t)bnn_round(clipped));
    }
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
    return (struct row){slopes_of(call, whole ? (double)b->g_scale->used / quantum : 1.0), bnn_gains_of(b, call->tile), quantum};
}

/* dY of `count` positions of a row from column `first` on; its amax. */
static float output_gradient(const struct strip *s, const struct row *by, size_t row, size_t first, size_t count)
{
    const struct stem_call *call = s->call;
    const struct bnn_block *b = &call->stem->real.conv.block;
    const struct bnn_window *w = &call->stem->real.conv.window;
    const size_t base = call->tile * BNN_TILE, width = bnn_tile_width(b->outputs, call->tile);
    const size_t position = (s->image * w->out_height + row) * w->out_width + first;
    float largest = 0.0f, v[BNN_TILE];
    for (size_t x = 0; x < count; x++) {
        const size_t at = ((row - s->top) * w->out_width + first + x) * BNN_TILE, to = x * b->outputs + base;
        for (size_t c = 0; c < width; c++) {
            const float y = s->y[at + c], t = factor_of(b, base + c, y, y * by->z.scale[c] + by->z.shift[c]);
            v[c] = by->slopes.a[c] * s->g[at + c] + (by->slopes.b[c] * t + by->slopes.c[c]);
            largest = bnn_absolute(v[c]) > largest ? bnn_absolute(v[c]) : largest;
        }
        if (call->measure) continue;
        if (is_whole_stem(call->stem)) round_row(s, v, position + x, width, (int8_t *)s->real.dy + to);
        else memcpy((float *)s->real.dy + to, v, width * sizeof *v);
    }
    return largest * (float)by->quantum;
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
