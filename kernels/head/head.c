#include "head.h"

#include "../block/gradient.h"
#include "../common/number.h"

/* What the threads of a loop know of the call that shares it out. */
struct call {
    const struct bnn_kernels *k;
    const struct bnn_head *h;
    const struct bnn_block_step *step;
    size_t batch;
    int threads, measure; /* find only the amax of the stream's gradient */
};

/* Samples, and rows of W, that a share works on at a time. */
enum { ROWS = 16, OUTPUTS = 4 };

static enum bnn_type type_of(const struct bnn_head *h) { return bnn_stream_type(h->block.gradient_type); }

static const void *image_of(const struct bnn_head *h, size_t image)
{
    const size_t values = h->positions * h->block.inputs;
    return (const char *)h->block.stream.in + image * values * bnn_type_bytes(type_of(h));
}

/* Sums of int16 are exact, in units of 1/BNN_STREAM_ONE; of floats in the order of positions. */
static void features_i16(const int16_t *r, size_t positions, size_t channels, size_t width, int relu, float *features)
{
    int64_t sum[BNN_TILE] = {0};
    for (size_t p = 0; p < positions; p++, r += channels)
        for (size_t c = 0; c < width; c++) sum[c] += relu && r[c] < 0 ? 0 : r[c];
    for (size_t c = 0; c < width; c++) features[c] = (float)((double)sum[c] / ((double)BNN_STREAM_ONE * (double)positions));
}

void bnn_features(const struct bnn_kernels *k, enum bnn_type type, const void *stream, size_t positions, size_t channels,
                  int relu, float *features)
{
    float value[BNN_TILE];
    for (size_t base = 0; base < channels; base += BNN_TILE) {
        const size_t width = bnn_min(BNN_TILE, channels - base);
        double sum[BNN_TILE] = {0.0};
        if (type == BNN_i16) {
            features_i16((const int16_t *)stream + base, positions, channels, width, relu, features + base);
            continue;
        }
        for (size_t p = 0; p < positions; p++) {
            bnn_load_gradient(k, type, stream, p * channels + base, channels, 1, width, value, BNN_TILE);
            for (size_t c = 0; c < width; c++) sum[c] += relu && value[c] < 0.0f ? 0.0 : (double)value[c];
        }
        for (size_t c = 0; c < width; c++) features[base + c] = (float)(sum[c] / (double)positions);
    }
}

void bnn_scores(const struct bnn_kernels *k, const float *features, size_t rows, size_t channels, const float *weights,
                const float *bias, size_t outputs, float *logits)
{
    k->gemm_f32(features, rows, channels, 1, weights, outputs, outputs, channels, logits, outputs);
    for (size_t row = 0; row < rows; row++)
        for (size_t o = 0; o < outputs; o++) logits[row * outputs + o] += bias[o];
}

static void sum_image(const void *context, size_t image)
{
    const struct call *call = context;
    const struct bnn_head *h = call->h;
    TIMED(&h->block, BNN_zone_gather,
          bnn_features(call->k, type_of(h), image_of(h, image), h->positions, h->block.inputs, h->relu,
                       h->features + image * h->block.inputs));
}

static void score_rows(const void *context, size_t number)
{
    const struct call *call = context;
    const struct bnn_head *h = call->h;
    const struct bnn_block *b = &h->block;
    const size_t first = number * ROWS, rows = bnn_min(ROWS, call->batch - first);
    TIMED(b, BNN_zone_forward, bnn_scores(call->k, h->features + first * b->inputs, rows, b->inputs, h->turned, b->beta,
                                          b->outputs, b->out_f32 + first * b->outputs));
}

/* Latents as float32, where they are something else. */
static void load_weights(const struct call *call)
{
    const struct bnn_block *b = &call->h->block;
    if (b->latent_type == BNN_f16)
        call->k->convert_f16_f32(b->latent, b->inputs, b->outputs, b->inputs, call->h->weights, b->inputs);
}

void bnn_head_forward(const struct bnn_kernels *k, const struct bnn_head *h, size_t batch, int threads)
{
    const struct bnn_block *b = &h->block;
    const struct call call = {.k = k, .h = h, .batch = batch, .threads = threads};
    TIMED(b, BNN_zone_pack, {
        load_weights(&call);
        for (size_t o = 0; o < b->outputs; o++)
            for (size_t c = 0; c < b->inputs; c++) h->turned[c * b->outputs + o] = h->weights[o * b->inputs + c];
    });
    bnn_for(threads, batch, sum_image, &call);
    bnn_for(threads, bnn_ceil_div(batch, ROWS), score_rows, &call);
}

/* A thread's scratch. */
struct scratch {
    float *gradient; /* [ROWS][C] of features, or [OUTPUTS][C] of W */
    float *row;      /* [BNN_TILE] */
    int32_t *whole;  /* [BNN_TILE] */
    size_t size;
};

static struct scratch carve(const struct bnn_head *h, unsigned char *base)
{
    unsigned char *at = base;
    struct scratch s;
    s.gradient = bnn_cut(&at, ROWS * h->block.inputs * sizeof *s.gradient);
    s.row = bnn_cut(&at, BNN_TILE * sizeof *s.row);
    s.whole = bnn_cut(&at, BNN_TILE * sizeof *s.whole);
    s.size = (size_t)(at - base);
    return s;
}

size_t bnn_head_scratch(const struct bnn_head *h) { return carve(h, BNN_NOWHERE).size; }

/* Where ReLU let a tile of the stream pass at one position, as bits; everywhere without. */
static uint64_t passed(const struct call *call, const void *image, size_t at, size_t width)
{
    float value[BNN_TILE];
    uint64_t bits = 0;
    if (!call->h->relu) return ~UINT64_C(0);
    if (type_of(call->h) == BNN_i16) {
        for (size_t c = 0; c < width; c++) bits |= (uint64_t)(((const int16_t *)image)[at + c] > 0) << c;
        return bits;
    }
    bnn_load_gradient(call->k, type_of(call->h), image, at, width, 1, width, value, BNN_TILE);
    for (size_t c = 0; c < width; c++) bits |= (uint64_t)(value[c] > 0.0f) << c;
    return bits;
}

/* A tile of an image's gradient, from that of its features divided by the positions, at all positions. */
static void spread_tile(const struct call *call, const struct scratch *s, size_t image, size_t base, const float *gradient,
                        int32_t *largest)
{
    const struct bnn_head *h = call->h;
    const struct bnn_block *b = &h->block;
    const size_t width = bnn_min(BNN_TILE, b->inputs - base);
    /* As integers of a 65536th of the scale, which are rounded once, as every int16 gradient is. */
    const float fine = 65536.0f;
    for (size_t c = 0; b->gradient_type == BNN_i8 && c < width; c++)
        s->whole[c] = (int32_t)bnn_clip(gradient[base + c] / b->dx_scale->used * fine, 1073741824.0f);
    for (size_t p = 0; p < h->positions; p++) {
        const size_t at = p * b->inputs + base;
        const uint64_t bits = passed(call, image_of(h, image), at, width);
        const struct bnn_stream_place place = {image * h->positions * b->inputs + at, b->inputs, 1, width};
        if (b->gradient_type == BNN_i8) {
            bnn_stream_take(call->k, s->whole, 1.0f / fine, place, &bits, 1, 0, b->stream.g_in, call->step->dx_key, largest);
            continue;
        }
        memcpy(s->row, gradient + base, width * sizeof *s->row);
        bnn_stream_take_f32(call->k, b->gradient_type, s->row, place, &bits, 1, 0, b->stream.g_in);
    }
}

/* The gradient of the stream of some images; its amax: as it is measured, or in units of its scale. */
static double spread_rows(const void *context, struct bnn_share share)
{
    const struct call *call = context;
    const struct bnn_head *h = call->h;
    const struct bnn_block *b = &h->block;
    const struct scratch s = carve(h, bnn_scratch_of(b, bnn_thread()));
    const float part = 1.0f / (float)h->positions;
    float amax = 0.0f;
    int32_t largest = 0;
    for (size_t number = share.first; number < share.end; number++) {
        const size_t first = number * ROWS, rows = bnn_min(ROWS, call->batch - first);
        TIMED(b, BNN_zone_input_gradient,
              call->k->gemm_f32((const float *)b->g + first * b->outputs, rows, b->outputs, 1, h->weights, b->inputs, b->inputs,
                                b->outputs, s.gradient, b->inputs));
        for (size_t i = 0; i < rows * b->inputs; i++) {
            s.gradient[i] *= part;
            amax = bnn_absolute(s.gradient[i]) > amax ? bnn_absolute(s.gradient[i]) : amax;
        }
        for (size_t row = 0; !call->measure && row < rows; row++)
            for (size_t base = 0; base < b->inputs; base += BNN_TILE)
                TIMED(b, BNN_zone_requantise,
                      spread_tile(call, &s, first + row, base, s.gradient + row * b->inputs, &largest));
    }
    return call->measure ? (double)amax : (double)largest;
}

static float stream_gradients(const void *context, int measure)
{
    struct call call = *(const struct call *)context;
    const struct bnn_scale *scale = call.h->block.dx_scale;
    call.measure = measure;
    const double amax = bnn_max_of_shares(call.threads, bnn_ceil_div(call.batch, ROWS), spread_rows, &call);
    return (float)(measure || !scale ? amax : amax * (double)scale->used);
}

/* Rows of W by their gradient, a product over the batch. */
static void update_rows(const void *context, size_t number)
{
    const struct call *call = context;
    const struct bnn_head *h = call->h;
    const struct bnn_block *b = &h->block;
    const struct scratch s = carve(h, bnn_scratch_of(b, bnn_thread()));
    const size_t first = number * OUTPUTS, rows = bnn_min(OUTPUTS, b->outputs - first), at = first * b->inputs;
    const size_t moment = at * bnn_type_bytes(call->step->real.momentum_type);
    TIMED(b, BNN_zone_weight_gradient,
          call->k->gemm_f32((const float *)b->g + first, rows, 1, b->outputs, h->features, b->inputs, b->inputs, call->batch,
                            s.gradient, b->inputs));
    TIMED(b, BNN_zone_update,
          call->k->update_real((char *)b->latent + at * bnn_type_bytes(b->latent_type), (char *)b->momentum1 + moment,
                               (char *)b->momentum2 + moment, b->inputs, s.gradient, b->inputs, rows, b->inputs,
                               (uint32_t)at, &call->step->real));
}

void bnn_head_backward(const struct bnn_kernels *k, const struct bnn_head *h, size_t batch,
                       const struct bnn_block_step *step, int threads)
{
    const struct bnn_block *b = &h->block;
    const struct call call = {.k = k, .h = h, .step = step, .batch = batch, .threads = threads};
    TIMED(b, BNN_zone_pack, load_weights(&call));
    if (b->gradient_type == BNN_i8) bnn_make_stream(b->dx_scale, step->current_scales, 0, stream_gradients, &call);
    else stream_gradients(&call, 0);
    memset(b->grad_beta, 0, b->outputs * sizeof *b->grad_beta);
    for (size_t row = 0; row < batch; row++)
        for (size_t o = 0; o < b->outputs; o++) b->grad_beta[o] += ((const float *)b->g)[row * b->outputs + o];
    /* The weights' last use is over. */
    bnn_for(threads, bnn_ceil_div(b->outputs, OUTPUTS), update_rows, &call);
}
