#include "augment.h"

#include "common/rng.h"

void bnn_augment_draw(struct bnn_augment *augment, uint64_t seed, uint64_t epoch)
{
    for (uint64_t draw = 0; draw < BNN_AUGMENT_DRAWS; draw++)
        augment->keys[draw] = bnn_key(seed, BNN_STREAM_AUGMENT, draw, epoch);
}

static int64_t draw_shift(uint32_t record, uint64_t key, uint32_t largest)
{
    const uint64_t choices = 2 * (uint64_t)largest + 1;
    return (int64_t)(bnn_hash32(record, key) * choices >> 32) - largest;
}

/* Copies one item of `bytes` to each of `count` places. */
static void repeat(int8_t *to, const int8_t *item, size_t count, size_t bytes)
{
    for (size_t i = 0; i < count; i++, to += bytes)
        if (to != item) memcpy(to, item, bytes);
}

/* Moves `count` items of `bytes` by `shift` places, towards the end if it is positive; what leaves is lost. */
static void shift_items(int8_t *x, size_t count, size_t bytes, int64_t shift, int edge)
{
    const size_t by = bnn_min((size_t)(shift < 0 ? -shift : shift), count);
    if (!by) return;
    int8_t *free = shift > 0 ? x : x + (count - by) * bytes;
    /* The first or last item stays where it is until the freed places are filled, so it can be repeated from there. */
    const int8_t *item = shift > 0 ? x : x + (count - 1) * bytes;
    if (shift > 0) memmove(x + by * bytes, x, (count - by) * bytes);
    else memmove(x, x + by * bytes, (count - by) * bytes);
    if (edge) repeat(free, item, by, bytes);
    else memset(free, 0, by * bytes);
}

static void mirror_row(int8_t *row, size_t width, size_t channels)
{
    int8_t *left = row, *right = row + (width - 1) * channels;
    for (; left < right; left += channels, right -= channels)
        for (size_t c = 0; c < channels; c++) {
            const int8_t value = left[c];
            left[c] = right[c];
            right[c] = value;
        }
}

void bnn_augment_image(const struct bnn_augment *augment, uint32_t record, int8_t *x)
{
    const size_t row_bytes = augment->width * augment->channels;
    const int64_t dy = draw_shift(record, augment->keys[0], augment->rows);
    const int64_t dx = draw_shift(record, augment->keys[1], augment->columns);
    const int mirror = augment->mirror && bnn_hash32(record, augment->keys[2]) >> 31;
    for (size_t i = 0; i < augment->height; i++) {
        if (mirror) mirror_row(x + i * row_bytes, augment->width, augment->channels);
        shift_items(x + i * row_bytes, augment->width, augment->channels, dx, augment->edge);
    }
    shift_items(x, augment->height, row_bytes, dy, augment->edge);
}
