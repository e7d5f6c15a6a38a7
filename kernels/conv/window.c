#include "window.h"

ptrdiff_t bnn_position_place(const struct bnn_window *w, size_t y, size_t x)
{
    if (w->pool == BNN_pool_none) return (ptrdiff_t)(y * w->out_width + x);
    const size_t pooled_height = w->out_height / 2, pooled_width = w->out_width / 2;
    if (y < 2 * pooled_height && x < 2 * pooled_width)
        return (ptrdiff_t)(BNN_POOL_ROWS * (y / 2 * pooled_width + x / 2) + 2 * (y % 2) + x % 2);
    if (bnn_pools_before_norm(w)) return -1;
    const size_t right = BNN_POOL_ROWS * pooled_height * pooled_width;
    if (y < 2 * pooled_height) return (ptrdiff_t)(right + y);
    return (ptrdiff_t)(right + (w->out_width % 2 ? 2 * pooled_height : 0) + x);
}

void bnn_window_origins(const struct bnn_window *w, struct bnn_origin *origins)
{
    for (size_t y = 0; y < w->out_height; y++)
        for (size_t x = 0; x < w->out_width; x++) {
            const ptrdiff_t place = bnn_position_place(w, y, x);
            if (place >= 0)
                origins[place] = (struct bnn_origin){(int32_t)(y * w->stride) - (int32_t)w->pad_top,
                                                 (int32_t)(x * w->stride) - (int32_t)w->pad_left};
        }
}

/* The position along one axis whose tap `tap` sees input `at`, or -1. */
static ptrdiff_t position_of(size_t at, size_t pad, size_t tap, size_t stride, size_t count)
{
    if (at + pad < tap || (at + pad - tap) % stride) return -1;
    const size_t position = (at + pad - tap) / stride;
    return position < count ? (ptrdiff_t)position : -1;
}

void bnn_window_neighbours(const struct bnn_window *w, int32_t *neighbours)
{
    for (size_t y = 0; y < w->height; y++)
        for (size_t x = 0; x < w->width; x++)
            for (size_t tap = 0; tap < bnn_taps(w); tap++) {
                const ptrdiff_t row = position_of(y, w->pad_top, tap / w->kernel, w->stride, w->out_height);
                const ptrdiff_t column = position_of(x, w->pad_left, tap % w->kernel, w->stride, w->out_width);
                const int inside = row >= 0 && column >= 0;
                *neighbours++ = inside ? (int32_t)bnn_position_place(w, (size_t)row, (size_t)column) : -1;
            }
}
