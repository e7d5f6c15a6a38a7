/* dY in place of g: sums of the cancelled gradient over the batch, coefficients per channel, then one affine function per
 * value.  Where pooling comes after the norm dY has four times the values of g, and groups of images are spread from the
 * last to the first, so that no image is overwritten before it is read. */
#include "tile.h"

/* A pass over pieces of images first ... first + images - 1. */
struct backward {
    const struct bnn_kernels *k;
    const struct bnn_conv *c;
    const struct bnn_dense_step *step;
    enum source source;
    int sums;             /* the pass for sums; otherwise the one for dY */
    int measure;          /* find only the largest |dY|: int8 */
    double unit;          /* of the coefficients of the affine function */
    size_t first, images;
    const void *pooled;   /* pooling after the norm: g, from row `pooled_first` on */
    size_t pooled_first;
    const double *affine[3];
};

static int is_after(const struct bnn_conv *c)
{
    return c->window.pool == BNN_pool_before_sign || c->window.pool == BNN_pool_after_sign;
}

/* y becomes the factor t of the affine function: y itself, sgn(y - mu) or sgn(z). */
static void factor(const struct bnn_kernels *k, const struct bnn_dense *d, const struct thresholds *t, size_t tile,
                   size_t rows, int32_t *y)
{
    struct thresholds own = *t;
    if (d->norm == BNN_norm_l2) return;
    if (d->norm == BNN_norm_l1)
        for (size_t o = 0; o < tile_width(d->outputs, tile); o++) {
            const struct bnn_channel plain = {d->mean[tile * BNN_TILE + o], 1.0, 1.0, 0.0};
            bnn_channel_threshold(&plain, &own.threshold[o], &own.flip[o]);
        }
    k->sign_tile_i32(y, rows, tile_width(d->outputs, tile), BNN_TILE, own.threshold, own.flip);
}

/* Zeros where z, float32, is outside [-1, 1]. */
#define CANCEL(TYPE)                                                                                           \
    do {                                                                                                       \
        TYPE *to = (TYPE *)g;                                                                                  \
        for (size_t i = 0; i < count; i++) to[i] = z[i] >= -1.0f && z[i] <= 1.0f ? to[i] : (TYPE)0;            \
    } while (0)

/* The straight-through mask where it does not come from y: zeros in g, once for all passes. */
static void cancel_outside(const struct bnn_kernels *k, const struct bnn_conv *c, size_t image)
{
    const struct bnn_dense *d = &c->dense;
    const size_t rows = bnn_out_positions(&c->window), words = bnn_words(d->outputs), count = rows * d->outputs;
    void *g = (unsigned char *)d->g + image * count * bnn_type_bytes(d->gradient_type);
    if (d->mask == BNN_mask_retained) {
        const float *z = d->out_f32 + image * count;
        if (d->gradient_type == BNN_i8) CANCEL(int8_t);
        else if (d->gradient_type == BNN_f16) CANCEL(uint16_t);
        else CANCEL(float);
        return;
    }
    const uint64_t *bits = d->mask_u1 + image * rows * words;
    if (d->gradient_type == BNN_i8) {
        k->mask_i8(bits, words, rows, d->outputs, g, d->outputs);
    } else if (d->gradient_type == BNN_f32) {
        k->mask_f32(bits, words, rows, d->outputs, g, d->outputs);
    } else {
        for (size_t r = 0; r < rows; r++)
            for (size_t o = 0; o < d->outputs; o++)
                ((uint16_t *)g)[r * d->outputs + o] &= (uint16_t)-(bits[r * words + o / BNN_WORD_BITS] >> o % BNN_WORD_BITS & 1);
    }
}
#undef CANCEL

/* An interval that holds every y. */
#define EIGHT(x) x, x, x, x, x, x, x, x
static const int32_t lowest[BNN_TILE] = {EIGHT(EIGHT(INT32_MIN))}, highest[BNN_TILE] = {EIGHT(EIGHT(INT32_MAX))};
#undef EIGHT

/* g of a piece, int8: where it lies, or spread into `room`. */
static int8_t *incoming_i8(const struct bnn_kernels *k, const struct bnn_conv *c, const struct backward *b,
                           const struct pass *s, const struct piece *piece, size_t tile, int8_t *room, size_t *stride)
{
    const size_t outputs = c->dense.outputs, width = tile_width(outputs, tile);
    if (!is_after(c)) {
        *stride = outputs;
        return (int8_t *)c->dense.g + piece->norm_first * outputs + tile * BNN_TILE;
    }
    if (piece->windows)
        k->pool_spread_i8((const int8_t *)b->pooled + (piece->out_first - b->pooled_first) * outputs + tile * BNN_TILE,
                          piece->rows / BNN_POOL_ROWS, width, outputs, s->choice, 1, room, *stride);
    else
        for (size_t r = 0; r < piece->rows; r++) memset(room + r * *stride, 0, width);
    return room;
}

static float visit_i8(const struct bnn_kernels *k, const struct bnn_conv *c, const struct backward *b,
                      const struct pass *s, const struct piece *piece, size_t tile)
{
    const struct bnn_dense *d = &c->dense;
    const size_t width = tile_width(d->outputs, tile), rows = piece->norm_rows, base = tile * BNN_TILE;
    const size_t at = piece->norm_first * d->outputs + base;
    const struct thresholds *t = bnn_conv_thresholds(c, tile);
    const int32_t *low = d->mask == BNN_mask_recompute ? t->low : lowest, *high = low == lowest ? highest : t->high;
    int64_t ignored[2][BNN_TILE] = {{0}}, *sum_g = b->sums ? s->sums[0] + base : ignored[0];
    int64_t *sum_gt = b->sums ? s->sums[1] + base : ignored[1];
    float largest = 0.0f;
    if (is_after(c) && piece->windows) bnn_conv_choose(k, c, s, piece, tile, t);
    /* dY may be written where it belongs only in its turn; a pass that only looks spreads g aside. */
    const int in_place = !is_after(c) || !(b->sums || b->measure);
    size_t stride = in_place ? d->outputs : BNN_TILE;
    int8_t *g = incoming_i8(k, c, b, s, piece, tile, in_place ? (int8_t *)d->g + at : s->bytes, &stride);
    const int signs_first = d->norm == BNN_norm_l1_binary; /* its second sum is over g*t */
    if (b->sums && !signs_first) k->norm_cancel_i8(s->tile, rows, width, BNN_TILE, low, high, g, stride, sum_g, sum_gt);
    else if (b->sums || is_after(c)) /* without pooling after the norm g was cancelled by the pass for sums */
        k->norm_cancel_i8(s->tile, rows, width, BNN_TILE, low, high, g, stride, ignored[0], ignored[1]);
    factor(k, d, t, tile, rows, s->tile);
    if (b->sums) {
        if (signs_first) k->norm_cancel_i8(s->tile, rows, width, BNN_TILE, lowest, highest, g, stride, sum_g, sum_gt);
        if (d->norm == BNN_norm_l1)
            k->norm_sums_i32(s->tile, rows, width, BNN_TILE, s->sums[2] + base, ignored[1]);
        return 0.0f;
    }
    float a[BNN_TILE], slope[BNN_TILE], c0[BNN_TILE];
    for (size_t o = 0; o < width; o++) {
        a[o] = (float)(b->affine[0][base + o] * b->unit);
        slope[o] = (float)(b->affine[1][base + o] * b->unit);
        c0[o] = (float)(b->affine[2][base + o] * b->unit);
    }
    if (b->measure) k->norm_measure_i8(s->tile, rows, width, BNN_TILE, a, slope, c0, g, stride, &largest);
    else
        k->norm_affine_i8(s->tile, rows, width, BNN_TILE, a, slope, c0, g, stride, b->step->limit, b->step->dy_key,
                          (uint32_t)at, &largest);
    return largest;
}

static void visit_real(const struct bnn_kernels *k, const struct bnn_conv *c, const struct backward *b,
                       const struct pass *s, const struct piece *piece, size_t tile)
{
    const struct bnn_dense *d = &c->dense;
    const size_t width = tile_width(d->outputs, tile), rows = piece->norm_rows, base = tile * BNN_TILE;
    const size_t at = piece->norm_first * d->outputs + base;
    const struct thresholds *t = bnn_conv_thresholds(c, tile);
    int64_t ignored[BNN_TILE] = {0};
    if (!is_after(c)) {
        bnn_load_gradient(k, d->gradient_type, d->g, at, d->outputs, rows, width, s->real, BNN_TILE);
    } else if (piece->windows) {
        const size_t windows = piece->rows / BNN_POOL_ROWS;
        bnn_conv_choose(k, c, s, piece, tile, t);
        bnn_load_gradient(k, d->gradient_type, b->pooled, (piece->out_first - b->pooled_first) * d->outputs + base,
                          d->outputs, windows, width, s->pooled, BNN_TILE);
        k->pool_spread_f32(s->pooled, windows, width, BNN_TILE, s->choice, 1, s->real, BNN_TILE);
    } else {
        memset(s->real, 0, rows * BNN_TILE * sizeof *s->real);
    }
    if (d->mask == BNN_mask_recompute) k->norm_cancel_f32(s->tile, rows, width, BNN_TILE, t->low, t->high, s->real, BNN_TILE);
    if (b->sums && d->norm != BNN_norm_l1_binary)
        k->norm_sums_f32(s->tile, rows, width, BNN_TILE, s->real, BNN_TILE, s->real_sums[0] + base, s->real_sums[1] + base);
    factor(k, d, t, tile, rows, s->tile);
    if (b->sums) {
        if (d->norm == BNN_norm_l1_binary)
            k->norm_sums_f32(s->tile, rows, width, BNN_TILE, s->real, BNN_TILE, s->real_sums[0] + base,
                             s->real_sums[1] + base);
        if (d->norm == BNN_norm_l1) k->norm_sums_i32(s->tile, rows, width, BNN_TILE, s->sums[2] + base, ignored);
        return;
    }
    float a[BNN_TILE], slope[BNN_TILE], c0[BNN_TILE];
    for (size_t o = 0; o < width; o++) {
        a[o] = (float)b->affine[0][base + o];
        slope[o] = (float)b->affine[1][base + o];
        c0[o] = (float)b->affine[2][base + o];
    }
    k->norm_affine_f32(s->tile, rows, width, BNN_TILE, a, slope, c0, s->real, BNN_TILE);
    bnn_store_gradient(k, d->gradient_type, d->g, at, d->outputs, rows, width, s->real);
}

static double pass_piece(const void *context, size_t number)
{
    const struct backward *b = context;
    const struct bnn_kernels *k = b->k;
    const struct bnn_conv *c = b->c;
    const struct bnn_dense *d = &c->dense;
    const struct pass s = bnn_conv_pass(c, bnn_conv_own(c, bnn_thread()));
    const struct piece piece = bnn_piece(c, b->first, b->images, number);
    float largest = 0.0f;
    if (b->source != READ) TIMED(d, BNN_phase_gather, bnn_gather(c, &piece, s.patch));
    for (size_t tile = 0; tile < bnn_words(d->outputs); tile++) {
        float of_tile = 0.0f;
        TIMED(d, BNN_phase_recompute, bnn_conv_y(k, c, &s, &piece, tile, b->source, c->y_backward, b->sums));
        TIMED(d, BNN_phase_norm_backward, {
            if (d->gradient_type == BNN_i8) of_tile = visit_i8(k, c, b, &s, &piece, tile);
            else visit_real(k, c, b, &s, &piece, tile);
        });
        largest = of_tile > largest ? of_tile : largest;
    }
    return largest;
}

static float pass_over(const struct backward *b, int threads)
{
    return (float)bnn_for_max(threads, bnn_pieces(b->c, b->images), pass_piece, b);
}

/* Coefficients into the first thread's real sums, gradients of gamma and beta. */
static void coefficients(const struct bnn_conv *c, size_t batch, int threads, struct backward *b)
{
    const struct bnn_dense *d = &c->dense;
    const struct pass all = bnn_conv_add_sums(c, threads);
    const double n = (double)(batch * bnn_norm_positions(&c->window));
    const int integer = d->gradient_type == BNN_i8;
    const double unit = integer ? (double)d->g_scale->used : 1.0;
    for (size_t o = 0; o < d->outputs; o++) {
        const struct bnn_channel channel = channel_of(d, o, d->mean[o], d->inverse[o]);
        const double sum_g = integer ? (double)all.sums[0][o] : all.real_sums[0][o];
        const double sum_gt = integer ? (double)all.sums[1][o] : all.real_sums[1][o];
        const struct bnn_affine affine =
            bnn_channel_backward(d->norm, &channel, n, sum_g, sum_gt, d->norm == BNN_norm_l1 ? (double)all.sums[2][o] / n : 0.0,
                                 d->magnitude ? d->magnitude[o] : 0.0);
        all.real_sums[0][o] = affine.a, all.real_sums[1][o] = affine.b, all.real_sums[2][o] = affine.c;
        d->grad_beta[o] = (float)(affine.grad_beta * unit);
        if (d->gamma) d->grad_gamma[o] = (float)(affine.grad_gamma * unit);
    }
    for (int i = 0; i < 3; i++) b->affine[i] = all.real_sums[i];
}

/* dY of all images; in groups from the last to the first where it takes more room than g. */
static float write_all(struct backward *b, size_t batch, int threads)
{
    const struct bnn_conv *c = b->c;
    if (!is_after(c)) return pass_over(b, threads);
    const size_t rows = bnn_out_positions(&c->window), row_bytes = c->dense.outputs * bnn_type_bytes(c->dense.gradient_type);
    float largest = 0.0f;
    b->pooled = c->window_gradient;
    for (size_t end = batch, group; end > 0; end -= group) {
        group = bnn_min(c->group, end);
        b->first = end - group, b->images = group, b->pooled_first = b->first * rows;
        memcpy(c->window_gradient, (const unsigned char *)c->dense.g + b->pooled_first * row_bytes, group * rows * row_bytes);
        const float of_group = pass_over(b, threads);
        largest = of_group > largest ? of_group : largest;
    }
    return largest;
}

static void mask_image(const void *context, size_t image)
{
    const struct conv_call *call = context;
    TIMED(&call->c->dense, BNN_phase_norm_backward, cancel_outside(call->k, call->c, image));
}

void bnn_conv_output_gradient(const struct bnn_kernels *k, const struct bnn_conv *c, size_t batch,
                              const struct bnn_dense_step *step, int threads)
{
    const struct bnn_dense *d = &c->dense;
    struct backward b = {.k = k, .c = c, .step = step, .sums = 1, .images = batch, .pooled = d->g,
                         .source = c->y_backward ? MULTIPLY_AND_KEEP : MULTIPLY};
    if (d->mask == BNN_mask_stored || d->mask == BNN_mask_retained)
        bnn_for(threads, batch, mask_image, &(struct conv_call){.k = k, .c = c});
    TIMED(d, BNN_phase_norm_backward, bnn_conv_find_thresholds(c, threads));
    bnn_conv_clear_sums(c, threads);
    pass_over(&b, threads);
    coefficients(c, batch, threads, &b);
    b.sums = 0;
    b.source = c->y_backward ? READ : MULTIPLY;
    if (d->gradient_type != BNN_i8) {
        write_all(&b, batch, threads);
        return;
    }
    if (step->current_scales || d->dy_scale->next == 0.0f) {
        b.measure = 1, b.unit = (double)d->g_scale->used;
        bnn_follow(d->dy_scale, pass_over(&b, threads), (float)step->limit);
        b.measure = 0;
    }
    d->dy_scale->used = d->dy_scale->next > 0.0f ? d->dy_scale->next : 1.0f;
    b.unit = (double)d->g_scale->used / (double)d->dy_scale->used;
    bnn_follow(d->dy_scale, write_all(&b, batch, threads) * d->dy_scale->used, (float)step->limit);
}
