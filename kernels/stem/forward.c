#include "strip.h"

/* Sums of rows of y at the first norm. */
static void add_sums(const struct strip *s, size_t row, size_t rows)
{
    const struct bnn_stem *stem = s->call->stem;
    const size_t count = rows * stem->real.conv.window.out_width, base = s->call->tile * BNN_TILE;
    const float *y = s->y + (row - s->top) * stem->real.conv.window.out_width * BNN_TILE;
    double sum[BNN_TILE] = {0.0}, squares[BNN_TILE] = {0.0};
    for (size_t i = 0; i < count; i++, y += BNN_TILE)
        for (size_t c = 0; c < BNN_TILE; c++) {
            sum[c] += (double)y[c];
            squares[c] += (double)y[c] * (double)y[c];
        }
    for (size_t c = 0; c < bnn_tile_width(stem->real.conv.block.outputs, s->call->tile); c++) {
        bnn_stem_add(stem, &s->real.sums, 0, base + c, sum[c]);
        bnn_stem_add(stem, &s->real.sums, 1, base + c, squares[c]);
    }
}

/* Distances from the mean, n times as large where they are integers. */
static void add_deviations(const struct strip *s, size_t row, size_t rows)
{
    const struct bnn_stem *stem = s->call->stem;
    const struct bnn_block *b = &stem->real.conv.block;
    const size_t count = rows * stem->real.conv.window.out_width, base = s->call->tile * BNN_TILE;
    const double n = (double)(s->call->real.conv.batch * bnn_positions(&stem->real.conv.window));
    const float *y = s->y + (row - s->top) * stem->real.conv.window.out_width * BNN_TILE;
    for (size_t c = 0; c < bnn_tile_width(b->outputs, s->call->tile); c++) {
        const double factor = is_whole_stem(stem) ? n : 1.0, centre = bnn_stem_centre(stem, b->mean[base + c], n);
        double sum = 0.0;
        for (size_t i = 0; i < count; i++) {
            const double distance = (double)y[i * BNN_TILE + c] * factor - centre;
            sum += distance < 0.0 ? -distance : distance;
        }
        bnn_stem_add(stem, &s->real.sums, 2, base + c, sum);
    }
}

static void add_magnitudes(const struct strip *s, size_t row, size_t rows)
{
    const struct bnn_stem *stem = s->call->stem;
    const size_t count = rows * stem->real.conv.window.out_width, base = s->call->tile * BNN_TILE;
    const struct bnn_gains z = bnn_gains_of(&stem->real.conv.block, s->call->tile);
    const float *y = s->y + (row - s->top) * stem->real.conv.window.out_width * BNN_TILE;
    for (size_t c = 0; c < bnn_tile_width(stem->real.conv.block.outputs, s->call->tile); c++)
        for (size_t i = 0; i < count; i++)
            s->real.sums.real[0][base + c] += (double)bnn_absolute(y[i * BNN_TILE + c] * z.scale[c] + z.shift[c]);
}

static void keep_windows(const struct strip *s, size_t window_row)
{
    const struct bnn_stem *stem = s->call->stem;
    const size_t outputs = stem->real.conv.block.outputs, width = bnn_tile_width(outputs, s->call->tile);
    const size_t at = (s->image * bnn_stem_windows(stem) + window_row * stem->pooled_width) * outputs;
    bnn_stem_choose(s, window_row);
    for (size_t x = 0; x < stem->pooled_width; x++)
        for (size_t c = 0; c < width; c++) {
            const size_t to = at + x * outputs + s->call->tile * BNN_TILE + c;
            const float y = s->row[x * BNN_TILE + c];
            if (is_whole_stem(stem)) ((int16_t *)stem->pooled)[to] = (int16_t)y;
            else ((float *)stem->pooled)[to] = y;
        }
}

void bnn_stem_keep(struct stem_call *call, int is_summed)
{
    const struct strip_work work = {call, is_summed ? add_sums : NULL, keep_windows, NULL, BNN_zone_activate};
    for (call->tile = 0; call->tile < bnn_words(call->stem->real.conv.block.outputs); call->tile++) bnn_stem_strips(&work);
}

static struct conv_sums sum_rows(struct stem_call *call, void (*add)(const struct strip *s, size_t row, size_t rows))
{
    const struct strip_work work = {call, add, NULL, NULL, BNN_zone_statistics};
    for (call->tile = 0; call->tile < bnn_words(call->stem->real.conv.block.outputs); call->tile++) bnn_stem_strips(&work);
    return bnn_conv_reduce_sums(&call->real.conv);
}

static void measure_first(struct stem_call *call, int first)
{
    const struct bnn_stem *stem = call->stem;
    const struct bnn_block *b = &stem->real.conv.block;
    const double n = (double)(call->real.conv.batch * bnn_positions(&stem->real.conv.window));
    bnn_conv_clear_sums(&call->real.conv);
    bnn_stem_keep(call, 1);
    struct conv_sums all = bnn_conv_reduce_sums(&call->real.conv);
    for (size_t o = 0; o < b->outputs; o++)
        b->mean[o] = (is_whole_stem(stem) ? (double)all.whole[0][o] : all.real[0][o]) / n;
    if (b->norm != BNN_norm_l2) all = sum_rows(call, add_deviations);
    bnn_real_follow(b, is_whole_stem(stem), n, &all, first);
    if (!b->magnitude) return;
    memset(all.real[0], 0, b->outputs * sizeof *all.real[0]);
    all = sum_rows(call, add_magnitudes);
    for (size_t o = 0; o < b->outputs; o++) b->magnitude[o] = all.real[0][o] / n;
}

/* A pass over the pooled values of all images. */
struct pooled {
    const struct stem_call *call;
    void (*look)(const struct strip *s, const struct stem_gains *z, size_t image, size_t row, size_t tile);
};

static void pooled_image(const void *context, size_t image)
{
    const struct pooled *pooled = context;
    const struct bnn_block *b = &pooled->call->stem->real.conv.block;
    const struct strip s = bnn_stem_strip(pooled->call, bnn_scratch_of(b, bnn_thread()));
    for (size_t tile = 0; tile < bnn_words(b->outputs); tile++) {
        const struct stem_gains z = bnn_stem_gains(pooled->call->stem, tile);
        for (size_t row = 0; row < pooled->call->stem->pooled_height; row++) {
            TIMED(b, BNN_zone_activate, {
                bnn_stem_load(&s, image, row, tile);
                pooled->look(&s, &z, image, row, tile);
            });
        }
    }
}

static void pooled_pass(const struct stem_call *call,
                        void (*look)(const struct strip *s, const struct stem_gains *z, size_t image, size_t row, size_t tile))
{
    const struct conv_call *conv = &call->real.conv;
    bnn_for(conv->threads, conv->batch, pooled_image, &(struct pooled){call, look});
}

/* Pooled values of a tile, behind the first norm and ReLU. */
static void find_values(const struct strip *s, const struct stem_gains *z, size_t x, size_t width, float *u)
{
    const float *y = s->row + x * BNN_TILE;
    for (size_t c = 0; c < width; c++) u[c] = y[c] * z->first.scale[c] + z->first.shift[c];
    bnn_stem_activate(s->call->stem, width, u);
}

static void add_pooled(const struct strip *s, const struct stem_gains *z, size_t image, size_t row, size_t tile)
{
    const struct bnn_stem *stem = s->call->stem;
    const size_t width = bnn_tile_width(stem->real.conv.block.outputs, tile);
    double sum[BNN_TILE] = {0.0}, squares[BNN_TILE] = {0.0};
    float u[BNN_TILE];
    (void)image, (void)row;
    for (size_t x = 0; x < stem->pooled_width; x++) {
        find_values(s, z, x, width, u);
        for (size_t c = 0; c < width; c++) sum[c] += (double)u[c], squares[c] += (double)u[c] * (double)u[c];
    }
    for (size_t c = 0; c < width; c++) {
        bnn_stem_add(stem, &s->real.sums, 0, tile * BNN_TILE + c, sum[c]);
        bnn_stem_add(stem, &s->real.sums, 1, tile * BNN_TILE + c, squares[c]);
    }
}

static void add_pooled_deviations(const struct strip *s, const struct stem_gains *z, size_t image, size_t row, size_t tile)
{
    const struct bnn_stem *stem = s->call->stem;
    const size_t width = bnn_tile_width(stem->real.conv.block.outputs, tile);
    const double n = (double)(s->call->real.conv.batch * bnn_stem_windows(stem)), factor = is_whole_stem(stem) ? n : 1.0;
    const double *mean = stem->second->mean + tile * BNN_TILE;
    double sum[BNN_TILE] = {0.0};
    float u[BNN_TILE];
    (void)image, (void)row;
    for (size_t x = 0; x < stem->pooled_width; x++) {
        find_values(s, z, x, width, u);
        for (size_t c = 0; c < width; c++) {
            const double distance = (double)u[c] * factor - bnn_stem_centre(stem, mean[c], n);
            sum[c] += distance < 0.0 ? -distance : distance;
        }
    }
    for (size_t c = 0; c < width; c++) bnn_stem_add(stem, &s->real.sums, 2, tile * BNN_TILE + c, sum[c]);
}

static void add_pooled_magnitudes(const struct strip *s, const struct stem_gains *z, size_t image, size_t row, size_t tile)
{
    const struct bnn_stem *stem = s->call->stem;
    const size_t width = bnn_tile_width(stem->real.conv.block.outputs, tile);
    double *sum = s->real.sums.real[0] + tile * BNN_TILE;
    float u[BNN_TILE];
    (void)image, (void)row;
    for (size_t x = 0; x < stem->pooled_width; x++) {
        find_values(s, z, x, width, u);
        for (size_t c = 0; c < width; c++)
            sum[c] += (double)bnn_absolute(u[c] * z->second.scale[c] + z->second.shift[c]);
    }
}

static void measure_second(const struct stem_call *call, int first)
{
    const struct bnn_block *b = call->stem->second;
    const int whole = is_whole_stem(call->stem);
    const double n = (double)(call->real.conv.batch * bnn_stem_windows(call->stem));
    bnn_conv_clear_sums(&call->real.conv);
    pooled_pass(call, add_pooled);
    struct conv_sums all = bnn_conv_reduce_sums(&call->real.conv);
    for (size_t o = 0; o < b->outputs; o++) b->mean[o] = (whole ? (double)all.whole[0][o] : all.real[0][o]) / n;
    if (b->norm != BNN_norm_l2) {
        pooled_pass(call, add_pooled_deviations);
        all = bnn_conv_reduce_sums(&call->real.conv);
    }
    bnn_real_follow(b, whole, n, &all, first);
    if (!b->magnitude) return;
    memset(all.real[0], 0, b->outputs * sizeof *all.real[0]);
    pooled_pass(call, add_pooled_magnitudes);
    all = bnn_conv_reduce_sums(&call->real.conv);
    for (size_t o = 0; o < b->outputs; o++) b->magnitude[o] = all.real[0][o] / n;
}

static void put(const struct strip *s, const struct stem_gains *z, size_t image, size_t row, size_t tile)
{
    const struct bnn_stem *stem = s->call->stem;
    bnn_stem_put(s, z, (image * bnn_stem_windows(stem) + row * stem->pooled_width), tile, stem->real.conv.block.stream.out);
}

void bnn_stem_put(const struct strip *s, const struct stem_gains *z, size_t first, size_t tile, void *out)
{
    const struct bnn_stem *stem = s->call->stem;
    const struct bnn_block *b = &stem->real.conv.block;
    const size_t width = bnn_tile_width(b->outputs, tile), at = first * b->outputs + tile * BNN_TILE;
    const int whole = is_whole_stem(stem);
    for (size_t x = 0; x < stem->pooled_width; x++) {
        float room[BNN_TILE], *u = whole ? room : s->more + x * BNN_TILE;
        find_values(s, z, x, width, u);
        for (size_t c = 0; stem->second && c < width; c++) u[c] = u[c] * z->second.scale[c] + z->second.shift[c];
        for (size_t c = 0; stem->second && whole && c < width; c++)
            u[c] = bnn_round(bnn_clip(u[c] * (float)BNN_STREAM_ONE, (float)BNN_STREAM_LIMIT));
        for (size_t c = 0; whole && c < width; c++) ((int16_t *)out)[at + x * b->outputs + c] = (int16_t)u[c];
    }
    if (whole) return;
    const struct bnn_stream_place place = {at, b->outputs, stem->pooled_width, width};
    bnn_stream_put_f32(s->real.k, b->gradient_type, s->more, place, NULL, out);
}

void bnn_stem_forward(const struct bnn_kernels *k, const struct bnn_stem *stem, size_t batch, int first, int threads)
{
    struct stem_call call = bnn_stem_call(k, stem, batch, NULL, threads);
    bnn_real_prepack(&call.real);
    measure_first(&call, first);
    if (stem->second) measure_second(&call, first);
    pooled_pass(&call, put);
}

void bnn_stem_apply(const struct bnn_kernels *k, const struct bnn_stem *stem, size_t batch, int threads)
{
    struct stem_call call = bnn_stem_call(k, stem, batch, NULL, threads);
    bnn_stem_keep(&call, 0);
    pooled_pass(&call, put);
}
