/* dY tile by tile, from it dW of 64 output channels after the other, and dX.
 *
 * dY of a value is rounded by the same random number in every pass that makes it again. */
#include "../block/gradient.h"
#include "../block/weights.h"
#include "../common/number.h"
#include "real_pass.h"

struct backward {
    const struct real_call *call;
    struct bnn_norm_affine affine;
    int measure;   /* find only the amax of an int8 dY */
    size_t output; /* dW: the tile of output channels */
};

static struct bnn_norm_sums sums_of(const struct bnn_real_conv *r, const struct conv_sums *s, size_t base)
{
    if (is_whole(r)) return (struct bnn_norm_sums){s->whole[0] + base, s->whole[1] + base, s->whole[2] + base};
    return (struct bnn_norm_sums){s->real[0] + base, s->real[1] + base, s->whole[2] + base};
}

/* A tile of integers on its way back. */
static struct bnn_norm_tile whole_tile(const struct real_pass *s, size_t tile, const struct bnn_thresholds *t)
{
    const struct bnn_block *b = &s->r->conv.block;
    const size_t at = s->first * b->outputs + tile * BNN_TILE;
    return (struct bnn_norm_tile){.tile = tile, .rows = s->rows, .at = at, .thresholds = t, .y = s->tile,
                                  .g = (int8_t *)s->dy + tile * BNN_TILE, .g_stride = b->outputs,
                                  .stream = (const int16_t *)b->stream.g_out + at};
}

/* y of floats becomes the factor t of bnn_channel_backward. */
static void factor_f32(const struct bnn_block *b, size_t tile, size_t rows, float *y)
{
    const struct bnn_gains z = bnn_gains_of(b, tile);
    for (size_t row = 0; b->norm != BNN_norm_l2 && row < rows; row++, y += BNN_TILE)
        for (size_t c = 0; c < bnn_tile_width(b->outputs, tile); c++) {
            const int below = b->norm == BNN_norm_l1 ? (double)y[c] < b->mean[tile * BNN_TILE + c]
                                                     : y[c] * z.scale[c] + z.shift[c] < 0.0f;
            y[c] = below ? -1.0f : 1.0f;
        }
}

static void load_g(const struct real_pass *s, size_t tile)
{
    const struct bnn_block *b = &s->r->conv.block;
    bnn_load_gradient(s->k, b->gradient_type, b->stream.g_out, s->first * b->outputs + tile * BNN_TILE, b->outputs, s->rows,
                      bnn_tile_width(b->outputs, tile), s->real, BNN_TILE);
}

static void add_sums_f32(const struct real_pass *s, size_t tile, const struct bnn_norm_sums *sums)
{
    const struct bnn_block *b = &s->r->conv.block;
    float *y = (float *)s->tile;
    double *sum_g = sums->g, *sum_gt = sums->gt;
    load_g(s, tile);
    if (b->norm == BNN_norm_l1_binary) factor_f32(b, tile, s->rows, y);
    for (size_t row = 0; row < s->rows; row++)
        for (size_t c = 0; c < bnn_tile_width(b->outputs, tile); c++) {
            const double g = (double)s->real[row * BNN_TILE + c], t = (double)y[row * BNN_TILE + c];
            sum_g[c] += g;
            sum_gt[c] += g * t;
            if (b->norm == BNN_norm_l1) sums->t[c] += t < b->mean[tile * BNN_TILE + c] ? -1 : 1;
        }
}

static void sum_pieces(const void *context, struct bnn_share pieces)
{
    const struct backward *back = context;
    const struct bnn_real_conv *r = back->call->r;
    const struct bnn_block *b = &r->conv.block;
    struct real_pass s = bnn_real_pass(back->call->k, r, bnn_scratch_of(b, bnn_thread()));
    for (size_t number = pieces.first; number < pieces.end; number++) {
        const struct piece piece = bnn_piece(&r->conv, 0, back->call->conv.batch, number);
        TIMED(b, BNN_zone_gather, bnn_real_move(&s, piece.first, piece.rows));
        for (size_t tile = 0; tile < bnn_words(b->outputs); tile++) {
            const struct bnn_norm_sums sums = sums_of(r, &s.sums, tile * BNN_TILE);
            TIMED(b, BNN_zone_recompute, bnn_real_y(&s, tile));
            TIMED(b, BNN_zone_norm_backward, {
                const struct bnn_thresholds t = bnn_thresholds_of(b, tile);
                const struct bnn_norm_tile n = whole_tile(&s, tile, &t);
                if (is_whole(r)) bnn_norm_sum(s.k, b, &n, &sums);
                else add_sums_f32(&s, tile, &sums);
            });
        }
    }
}

/* dY of a tile of the rows into s->dy; its amax, of integers. */
static float output_gradient(const struct backward *back, const struct real_pass *s, size_t tile)
{
    const struct bnn_block *b = &s->r->conv.block;
    const size_t base = tile * BNN_TILE, width = bnn_tile_width(b->outputs, tile);
    const struct bnn_norm_affine affine = {back->affine.a + base, back->affine.b + base, back->affine.c + base};
    if (is_whole(s->r)) {
        struct bnn_block_step step = *back->call->step;
        step.limit = 127; /* products of int8 are not cheaper with fewer bits */
        const struct bnn_thresholds t = bnn_thresholds_of(b, tile);
        const struct bnn_norm_tile n = whole_tile(s, tile, &t);
        bnn_norm_factor(s->k, b, &n);
        return bnn_norm_write(s->k, b, &n, &affine, &step, back->measure);
    }
    float *y = (float *)s->tile;
    load_g(s, tile);
    factor_f32(b, tile, s->rows, y);
    for (size_t row = 0; row < s->rows; row++)
        for (size_t c = 0; c < width; c++)
            ((float *)s->dy)[row * b->outputs + base + c] =
                (float)affine.a[c] * s->real[row * BNN_TILE + c] +
                ((float)affine.b[c] * y[row * BNN_TILE + c] + (float)affine.c[c]);
    return 0.0f;
}

static double weight_pieces(const void *context, struct bnn_share pieces)
{
    const struct backward *back = context;
    const struct bnn_real_conv *r = back->call->r;
    const struct bnn_block *b = &r->conv.block;
    struct real_pass s = bnn_real_pass(back->call->k, r, bnn_scratch_of(b, bnn_thread()));
    float largest = 0.0f, amax;
    for (size_t number = pieces.first; number < pieces.end; number++) {
        const struct piece piece = bnn_piece(&r->conv, 0, back->call->conv.batch, number);
        TIMED(b, BNN_zone_gather, bnn_real_move(&s, piece.first, piece.rows));
        TIMED(b, BNN_zone_recompute, bnn_real_y(&s, back->output));
        TIMED(b, BNN_zone_norm_backward, amax = output_gradient(back, &s, back->output));
        largest = amax > largest ? amax : largest;
        if (!back->measure)
            TIMED(b, BNN_zone_weight_gradient, bnn_real_add(&s, back->output));
    }
    return largest;
}

/* dW of all outputs, which move at once; or only the amax of dY. */
static float weight_gradients(const void *context, int measure)
{
    struct backward back = *(const struct backward *)context;
    const struct real_call *call = back.call;
    const struct bnn_block *b = &call->r->conv.block;
    float largest = 0.0f;
    back.measure = measure;
    for (back.output = 0; back.output < bnn_words(b->outputs); back.output++) {
        if (!measure) bnn_real_clear(call);
        const float amax = (float)bnn_max_of_shares(call->conv.threads, bnn_pieces(&call->r->conv, call->conv.batch),
                                                    weight_pieces, &back);
        largest = amax > largest ? amax : largest;
        if (!measure) bnn_real_update(call, back.output);
    }
    return largest;
}

/* Places of some X of a line in the stream that came in: those at one position of their pooling windows. */
static struct bnn_stream_place place_of(const struct real_pass *s, size_t line, size_t x, size_t tap, size_t channel)
{
    const struct bnn_real_conv *r = s->r;
    const size_t channels = r->conv.window.channels, side = r->pooled, height = r->conv.window.height;
    const size_t row = line / height * r->stream_height + side * (line % height) + tap / side;
    return (struct bnn_stream_place){(row * r->stream_width + side * x + tap % side) * channels + channel, side * channels,
                                     s->rows, bnn_min(BNN_TILE, channels - channel)};
}

/* What 1 of dX as it is summed up, of integers, is in the gradient of the stream that came in. */
static double unit_of(const struct bnn_real_conv *r)
{
    const double one = (double)(1 << bnn_real_conv_shift(r->conv.block.inputs)) * (double)r->amax[1];
    return (double)r->conv.block.dy_scale->used * (double)BNN_STREAM_ONE / one;
}

static void take_whole(const struct backward *back, const struct real_pass *s, size_t line, size_t x, size_t channel,
                       int32_t *largest)
{
    const struct bnn_real_conv *r = s->r;
    const struct bnn_block *b = &r->conv.block;
    const size_t channels = r->conv.window.channels, width = bnn_min(BNN_TILE, channels - channel);
    s->k->gemm_i8_i8_i32(s->dy, s->rows, b->outputs, (const int8_t *)r->w_rows + channel, channels, width, b->outputs, s->tile,
                         BNN_TILE, s->panel, 0);
    if (back->measure) {
        s->k->largest_i32(s->tile, s->rows, width, BNN_TILE, largest);
        return;
    }
    const float multiplier = (float)(unit_of(r) / (double)b->dx_scale->used);
    for (size_t tap = 0; tap < r->pooled * r->pooled; tap++)
        bnn_stream_take(s->k, s->tile, multiplier, place_of(s, line, x, tap, channel), NULL, 0, b->stream.adds, b->stream.g_in,
                        back->call->step->dx_key, largest);
}

static void take_real(const struct real_pass *s, size_t line, size_t x, size_t channel)
{
    const struct bnn_real_conv *r = s->r;
    const struct bnn_block *b = &r->conv.block;
    const size_t channels = r->conv.window.channels, width = bnn_min(BNN_TILE, channels - channel);
    const float part = 1.0f / (float)(r->pooled * r->pooled);
    float *product = (float *)s->tile;
    s->k->gemm_f32(s->dy, s->rows, b->outputs, 1, (const float *)r->w_rows + channel, channels, width, b->outputs, product,
                   BNN_TILE);
    for (size_t tap = 0; tap < r->pooled * r->pooled; tap++) {
        for (size_t i = 0; i < s->rows * BNN_TILE; i++) s->real[i] = product[i] * part;
        bnn_stream_take_f32(s->k, b->gradient_type, s->real, place_of(s, line, x, tap, channel), NULL, 0, b->stream.adds,
                            b->stream.g_in);
    }
}

/* dX of the rows of a pass, which are X from column x of a line on; the amax of integers. */
static int32_t take_rows(const struct backward *back, const struct real_pass *s, size_t line, size_t x)
{
    int32_t largest = 0;
    for (size_t channel = 0; channel < s->r->conv.window.channels; channel += BNN_TILE) {
        if (is_whole(s->r)) take_whole(back, s, line, x, channel, &largest);
        else take_real(s, line, x, channel);
    }
    return largest;
}

static double input_lines(const void *context, struct bnn_share share)
{
    const struct backward *back = context;
    const struct bnn_real_conv *r = back->call->r;
    const struct bnn_block *b = &r->conv.block;
    struct real_pass s = bnn_real_pass(back->call->k, r, bnn_scratch_of(b, bnn_thread()));
    const size_t columns = r->conv.window.width;
    struct backward whole = *back;
    int32_t largest = 0, of_rows;
    whole.measure = 0;
    for (size_t line = share.first; line < share.end; line++)
        for (size_t x = 0; x < columns; x += BNN_CONV_ROWS) {
            bnn_real_move(&s, line * columns + x, bnn_min(BNN_CONV_ROWS, columns - x));
            for (size_t tile = 0; tile < bnn_words(b->outputs); tile++) {
                TIMED(b, BNN_zone_recompute, bnn_real_y(&s, tile));
                TIMED(b, BNN_zone_norm_backward, output_gradient(&whole, &s, tile));
            }
            TIMED(b, BNN_zone_input_gradient, of_rows = take_rows(back, &s, line, x));
            largest = of_rows > largest ? of_rows : largest;
        }
    return largest;
}

/* dX of all; its amax in the values of the stream's gradient. */
static float input_gradients(const void *context, int measure)
{
    struct backward back = *(const struct backward *)context;
    const struct real_call *call = back.call;
    const struct bnn_real_conv *r = call->r;
    const struct bnn_block *b = &r->conv.block;
    back.measure = measure;
    const float largest = (float)bnn_max_of_shares(call->conv.threads, call->conv.batch * r->conv.window.height, input_lines,
                                                   &back);
    if (!is_whole(r)) return 0.0f;
    if (!measure) return largest * b->dx_scale->used;
    return largest * (float)unit_of(r);
}

/* What pooling leaves out at the end of a line or an image gets no gradient from here. */
static void clear_left_out(const struct bnn_real_conv *r, size_t batch)
{
    const struct bnn_block *b = &r->conv.block;
    const size_t values = r->stream_height * r->stream_width * r->conv.window.channels;
    if (b->stream.adds || (r->stream_height % r->pooled == 0 && r->stream_width % r->pooled == 0)) return;
    memset(b->stream.g_in, 0, batch * values * bnn_type_bytes(bnn_stream_type(b->gradient_type)));
}

void bnn_real_conv_backward(const struct bnn_kernels *k, const struct bnn_real_conv *r, size_t batch,
                            const struct bnn_block_step *step, int threads)
{
    const struct real_call call = bnn_real_call(k, r, batch, step, threads);
    const struct bnn_block *b = &r->conv.block;
    struct backward back = {.call = &call};
    bnn_real_prepack(&call);
    bnn_conv_clear_sums(&call.conv);
    bnn_for_shares(threads, bnn_pieces(&r->conv, batch), sum_pieces, &back);
    const struct conv_sums all = bnn_conv_reduce_sums(&call.conv);
    const struct bnn_norm_sums sums = sums_of(r, &all, 0);
    back.affine = (struct bnn_norm_affine){all.real[0], all.real[1], all.real[2]};
    bnn_norm_coefficients(b, 0, b->outputs, (double)(batch * bnn_positions(&r->conv.window)), &sums, &back.affine);
    if (is_whole(r)) bnn_make_scaled(b->dy_scale, step->current_scales, 127.0f, weight_gradients, &back);
    else weight_gradients(&back, 0);
    if (!b->stream.g_in) return;
    clear_left_out(r, batch);
    if (is_whole(r)) bnn_make_stream(b->dx_scale, step->current_scales, b->stream.adds, input_gradients, &back);
    else input_gradients(&back, 0);
}
