#include "residual.h"

#include "gradient.h"

/* What an amax becomes in int16: of a whole step, and of a first part to which others will be added. */
static const float OF_STEP = 8191.0f, OF_FIRST = 1023.0f;

static void mask_f32(const float *r, size_t columns, uint64_t *mask)
{
    for (size_t word = 0; word < bnn_words(columns); word++) {
        mask[word] = 0;
        for (size_t c = 0; c < bnn_tile_width(columns, word); c++) {
            const float value = r[word * BNN_TILE + c];
            mask[word] |= (uint64_t)(value >= -1.0f && value <= 1.0f) << c;
        }
    }
}

static void mask_f16(const struct bnn_kernels *k, const uint16_t *r, size_t columns, uint64_t *mask)
{
    float value[BNN_TILE];
    for (size_t word = 0; word < bnn_words(columns); word++) {
        const size_t width = bnn_tile_width(columns, word);
        k->convert_f16_f32(r + word * BNN_TILE, width, 1, width, value, BNN_TILE);
        mask_f32(value, width, mask + word);
    }
}

void bnn_stream_signs(const struct bnn_kernels *k, enum bnn_type type, const void *r, size_t rows, size_t columns,
                      uint64_t *signs, uint64_t *mask)
{
    const size_t words = bnn_words(columns);
    switch (type) {
    case BNN_i16: k->pack_i16_u1(r, rows, columns, columns, signs, words); break;
    case BNN_f16: k->pack_f16_u1(r, rows, columns, columns, signs, words); break;
    default: k->pack_f32_u1(r, rows, columns, columns, signs, words);
    }
    if (mask && type == BNN_i16) k->stream_within_i16_u1(r, rows, columns, columns, mask, words);
    for (size_t row = 0; mask && type != BNN_i16 && row < rows; row++) {
        if (type == BNN_f16) mask_f16(k, (const uint16_t *)r + row * columns, columns, mask + row * words);
        else mask_f32((const float *)r + row * columns, columns, mask + row * words);
    }
}

void bnn_stream_put(const struct bnn_kernels *k, enum bnn_type type, const int32_t *y, const float *scale,
                    const float *shift, struct bnn_stream_place p, const void *addend, void *out, float *real)
{
    if (type != BNN_i16) {
        k->normalise_i32_f32(y, p.rows, p.width, BNN_TILE, scale, shift, real, BNN_TILE);
        bnn_stream_put_f32(k, type, real, p, addend, out);
        return;
    }
    int16_t *to = (int16_t *)out + p.at;
    k->stream_add_i16(y, p.rows, p.width, BNN_TILE, scale, shift, addend != NULL, to, p.stride);
}

/* values += what lies there. */
static void add_stored(const struct bnn_kernels *k, enum bnn_type type, const void *stored, struct bnn_stream_place p,
                       float *values)
{
    float there[BNN_TILE];
    for (size_t row = 0; row < p.rows; row++) {
        bnn_load_gradient(k, type, stored, p.at + row * p.stride, p.stride, 1, p.width, there, BNN_TILE);
        for (size_t c = 0; c < p.width; c++) values[row * BNN_TILE + c] += there[c];
    }
}

void bnn_stream_put_f32(const struct bnn_kernels *k, enum bnn_type type, float *z, struct bnn_stream_place p,
                        const void *addend, void *out)
{
    if (addend) add_stored(k, type, addend, p, z);
    bnn_store_gradient(k, type, out, p.at, p.stride, p.rows, p.width, z);
}

void bnn_stream_take(const struct bnn_kernels *k, const int32_t *values, float multiplier, struct bnn_stream_place p,
                     const uint64_t *mask, size_t words, int adds, int16_t *g, uint64_t key, int32_t *largest)
{
    static const uint64_t all = ~UINT64_C(0);
    k->stream_gradient_i16(values, p.rows, p.width, BNN_TILE, multiplier, mask ? mask : &all, mask ? words : 0, adds,
                           g + p.at, p.stride, key, (uint32_t)p.at, largest);
}

void bnn_stream_take_f32(const struct bnn_kernels *k, enum bnn_type type, float *values, struct bnn_stream_place p,
                         const uint64_t *mask, size_t words, int adds, void *g)
{
    if (mask) k->mask_f32(mask, words, p.rows, p.width, values, BNN_TILE);
    if (adds) add_stored(k, type, g, p, values);
    bnn_store_gradient(k, type, g, p.at, p.stride, p.rows, p.width, values);
}

void bnn_stream_cancel_f32(const float *r, struct bnn_stream_place p, float *values)
{
    for (size_t row = 0; row < p.rows; row++)
        for (size_t c = 0; c < p.width; c++) {
            const float value = r[p.at + row * p.stride + c];
            if (!(value >= -1.0f && value <= 1.0f)) values[row * BNN_TILE + c] = 0.0f;
        }
}

void bnn_make_stream(struct bnn_scale *scale, int current, int adds, bnn_make_gradient *make, const void *context)
{
    if (!adds) {
        if (current || scale->next == 0.0f) scale->next = make(context, 1) / OF_FIRST;
        scale->used = scale->next > 0.0f ? scale->next : 1.0f;
        scale->next = 0.0f;
    }
    const float wanted = make(context, 0) / OF_STEP;
    if (wanted > scale->next) scale->next = wanted;
}
