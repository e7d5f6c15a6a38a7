/* X from a stream: rounded, or as it is, after the mean of its positions. */
#include "../block/gradient.h"
#include "../common/number.h"
#include "real_pass.h"

/* What a pass over the rows of X does. */
struct input {
    const struct real_call *call;
    int measure; /* find only the amax of the sums */
};

/* Sums of the pooled positions of `count` X from row `row`, column `first` of an image on: [count][I]. */
static void sum_i16(const struct bnn_real_conv *r, const int16_t *image, size_t row, size_t first, size_t count, int32_t *sums)
{
    const size_t channels = r->conv.window.channels, side = r->pooled;
    const int16_t *from = image + (side * row * r->stream_width + side * first) * channels;
    memset(sums, 0, count * channels * sizeof *sums);
    for (size_t i = 0; i < side; i++, from += r->stream_width * channels)
        for (size_t x = 0; x < count; x++)
            for (size_t j = 0; j < side; j++)
                for (size_t c = 0; c < channels; c++) sums[x * channels + c] += from[(side * x + j) * channels + c];
}

/* The same of floats, divided. */
static void mean_real(const struct real_call *call, const void *image, size_t row, size_t x, float *out)
{
    const struct bnn_real_conv *r = call->r;
    const size_t channels = r->conv.window.channels, side = r->pooled;
    const enum bnn_type type = r->conv.block.gradient_type;
    const float part = 1.0f / (float)(side * side);
    float value[BNN_TILE];
    for (size_t base = 0; base < channels; base += BNN_TILE) {
        const size_t width = bnn_min(BNN_TILE, channels - base);
        memset(out + base, 0, width * sizeof *out);
        for (size_t tap = 0; tap < side * side; tap++) {
            const size_t at = (side * row + tap / side) * r->stream_width + side * x + tap % side;
            bnn_load_gradient(call->k, type, image, at * channels + base, channels, 1, width, value, BNN_TILE);
            for (size_t c = 0; c < width; c++) out[base + c] += value[c];
        }
        for (size_t c = 0; c < width; c++) out[base + c] *= part;
    }
}

/* X of lines of all images; the largest sum. */
static int32_t input_rows(const struct input *input, struct bnn_share share)
{
    const struct real_call *call = input->call;
    const struct bnn_real_conv *r = call->r;
    const struct bnn_window *w = &r->conv.window;
    const struct real_pass s = bnn_real_pass(call->k, r, bnn_scratch_of(&r->conv.block, bnn_thread()));
    const size_t image_values = r->stream_height * r->stream_width * w->channels;
    const enum bnn_type type = bnn_stream_type(r->conv.block.gradient_type);
    const float multiplier = is_whole(r) ? 1.0f / r->amax[1] : 0.0f;
    int32_t largest = 0;
    for (size_t line = share.first; line < share.end; line++) {
        const size_t image = line / w->height, row = line % w->height;
        const char *from = (const char *)r->conv.block.stream.in + image * image_values * bnn_type_bytes(type);
        for (size_t x = 0; x < w->width; x++) {
            const size_t at = (line * w->width + x) * w->channels;
            if (!is_whole(r)) {
                mean_real(call, from, row, x, r->x_f32 + at);
                continue;
            }
            sum_i16(r, (const int16_t *)from, row, x, 1, s.product);
            if (input->measure) call->k->largest_i32(s.product, 1, w->channels, w->channels, &largest);
            else call->k->requantise_i32_i8(s.product, 1, w->channels, w->channels, multiplier, r->x_i8 + at, w->channels, 0, 0);
        }
    }
    return largest;
}

static double input_share(const void *context, struct bnn_share share)
{
    const struct input *input = context;
    int32_t largest;
    TIMED(&input->call->r->conv.block, BNN_zone_gather, largest = input_rows(input, share));
    return largest;
}

void bnn_real_input(const struct real_call *call, int first)
{
    const struct bnn_real_conv *r = call->r;
    const size_t lines = call->conv.batch * r->conv.window.height;
    const struct input input = {call, 1};
    if (is_whole(r)) {
        r->amax[1] = 1.0f;
        const float amax = (float)bnn_max_of_shares(call->conv.threads, lines, input_share, &input);
        r->amax[0] = first ? amax : 0.9f * r->amax[0] + 0.1f * amax;
        r->amax[1] = amax > 0.0f ? amax / 127.0f : 1.0f;
    }
    bnn_real_round(call);
}

void bnn_real_round(const struct real_call *call)
{
    const struct input input = {call, 0};
    bnn_max_of_shares(call->conv.threads, call->conv.batch * call->r->conv.window.height, input_share, &input);
}
