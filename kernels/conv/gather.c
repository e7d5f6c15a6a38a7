/* Patches: what a window sees, position by position, taps outside the image as zeros. */
#include "tile.h"

/* One row of a window: `bytes` a tap, `taps` of them from column x on, of an image row of `width`. */
static inline void copy_taps(unsigned char *to, const unsigned char *row, ptrdiff_t x, size_t taps, size_t width,
                             size_t bytes)
{
    const size_t left = x < 0 ? bnn_min((size_t)-x, taps) : 0;
    const ptrdiff_t room = (ptrdiff_t)width - x;
    const size_t right = room < (ptrdiff_t)taps ? taps - (size_t)(room > 0 ? room : 0) : 0;
    const size_t inside = taps - bnn_min(taps, left + right);
    memset(to, 0, left * bytes);
    memcpy(to + left * bytes, row + (ptrdiff_t)bytes * (x + (ptrdiff_t)left), inside * bytes);
    memset(to + (left + inside) * bytes, 0, (taps - left - inside) * bytes);
}

/* `rows` runs of `bytes`, a row of the image apart, one behind the other: a window that lies inside.  The sizes of usual
 * windows (3 taps of 3 bytes, of 1, 2, 4 and 8 words) are known at compile time, which spares a call for each. */
static inline void copy_window(unsigned char *to, const unsigned char *from, size_t rows, size_t bytes, size_t row_bytes)
{
#define COPY(BYTES)                                                                                    \
    for (size_t row = 0; row < rows; row++, to += bytes, from += row_bytes) memcpy(to, from, BYTES); \
    break
    switch (bytes) {
    case 9: COPY(9);
    case 24: COPY(24);
    case 48: COPY(48);
    case 96: COPY(96);
    case 192: COPY(192);
    default: COPY(bytes);
    }
#undef COPY
}

static inline void gather_rows(const struct bnn_conv *c, size_t first, size_t rows, const unsigned char *images,
                               size_t pixel_bytes, unsigned char *to)
{
    const struct bnn_window *w = &c->window;
    const size_t positions = bnn_positions(w), row_bytes = w->width * pixel_bytes, run = w->kernel * pixel_bytes;
    size_t image = first / positions, place = first % positions;
    for (size_t r = 0; r < rows; r++) {
        const struct bnn_site site = c->sites[place];
        const unsigned char *from = images + image * w->height * row_bytes;
        if (is_inside(w, site)) {
            copy_window(to, from + (size_t)site.y * row_bytes + (size_t)site.x * pixel_bytes, w->kernel, run, row_bytes);
            to += w->kernel * run;
        } else {
            for (size_t ky = 0; ky < w->kernel; ky++, to += run) {
                const size_t y = (size_t)(site.y + (ptrdiff_t)ky);
                if (y < w->height) copy_taps(to, from + y * row_bytes, site.x, w->kernel, w->width, pixel_bytes);
                else memset(to, 0, run);
            }
        }
        if (++place == positions) place = 0, image++;
    }
}

void bnn_gather(const struct bnn_conv *c, const struct piece *piece, void *patch)
{
    const struct bnn_dense *d = &c->dense;
    if (d->x_i8)
        gather_rows(c, piece->first, piece->rows, (const unsigned char *)d->x_i8, c->window.channels, patch);
    else
        gather_rows(c, piece->first, piece->rows, (const unsigned char *)d->x_u1,
                    bnn_words(c->window.channels) * sizeof(uint64_t), patch);
}

/* `count` words of every tap, `all` words apart, zeros where it lies outside. */
static inline void gather_taps(const struct bnn_window *w, struct bnn_site site, const uint64_t *image, size_t all,
                               const size_t count, uint64_t *words)
{
    const ptrdiff_t kernel = (ptrdiff_t)w->kernel, width = (ptrdiff_t)w->width;
    /* Taps first ... end - 1 of a row lie in the image. */
    const ptrdiff_t first = site.x < 0 ? -site.x : 0, end = site.x + kernel > width ? width - site.x : kernel;
    memset(words, 0, (size_t)(kernel * kernel) * count * sizeof *words);
    for (ptrdiff_t ky = 0; ky < kernel; ky++, words += (size_t)kernel * count) {
        if ((size_t)(site.y + ky) >= w->height) continue;
        const uint64_t *row = image + ((site.y + ky) * width + site.x + first) * (ptrdiff_t)all;
        for (ptrdiff_t kx = first; kx < end; kx++, row += all)
            memcpy(words + (size_t)kx * count, row, count * sizeof *words);
    }
}

/* The same of a window that lies inside.  Sizes that are known at compile time are copied without loops. */
static inline __attribute__((always_inline)) void gather_inside(const struct bnn_window *w, struct bnn_site site,
                                                                const uint64_t *image, size_t all, const size_t count,
                                                                const size_t kernel, uint64_t *words)
{
    const size_t row_words = w->width * all;
    const uint64_t *row = image + (size_t)site.y * row_words + (size_t)site.x * all;
    for (size_t ky = 0; ky < kernel; ky++, row += row_words, words += kernel * count)
        for (size_t kx = 0; kx < kernel; kx++) memcpy(words + kx * count, row + kx * all, count * sizeof *words);
}

static inline __attribute__((always_inline)) void gather_all(const struct bnn_conv *c, size_t first, size_t rows, size_t word,
                                                             const size_t count, const size_t kernel, uint64_t *words)
{
    const struct bnn_window *w = &c->window;
    const size_t positions = bnn_positions(w), all = bnn_words(w->channels), step = bnn_taps(w) * count;
    const size_t image_words = w->height * w->width * all;
    const uint64_t *image = c->dense.x_u1 + first / positions * image_words + word;
    size_t place = first % positions;
    for (size_t r = 0; r < rows; r++, words += step) {
        const struct bnn_site site = c->sites[place];
        if (is_inside(w, site)) gather_inside(w, site, image, all, count, kernel, words);
        else gather_taps(w, site, image, all, count, words);
        if (++place == positions) place = 0, image += image_words;
    }
}

void bnn_gather_words(const struct bnn_conv *c, size_t first, size_t rows, size_t word, size_t count, uint64_t *words)
{
    const size_t kernel = c->window.kernel;
    if (kernel == 3 && count == 1) gather_all(c, first, rows, word, 1, 3, words);
    else if (kernel == 3 && count == 2) gather_all(c, first, rows, word, 2, 3, words);
    else gather_all(c, first, rows, word, count, kernel, words);
}

size_t bnn_pieces(const struct bnn_conv *c, size_t images)
{
    const size_t positions = bnn_positions(&c->window), pooled = BNN_POOL_ROWS * bnn_windows(&c->window);
    if (c->window.pool == BNN_pool_none || pooled == positions) return bnn_ceil_div(images * positions, BNN_CONV_ROWS);
    return images * (bnn_ceil_div(pooled, BNN_CONV_ROWS) + bnn_ceil_div(positions - pooled, BNN_CONV_ROWS));
}

struct piece bnn_piece(const struct bnn_conv *c, size_t first_image, size_t images, size_t number)
{
    const struct bnn_window *w = &c->window;
    const size_t positions = bnn_positions(w), windows = bnn_windows(w), pooled = BNN_POOL_ROWS * windows;
    struct piece p = {.windows = w->pool != BNN_pool_none};
    if (!p.windows || pooled == positions) {
        p.first = number * BNN_CONV_ROWS;
        p.rows = bnn_min(BNN_CONV_ROWS, images * positions - p.first);
        p.first += first_image * positions;
        p.out_first = p.windows ? p.first / BNN_POOL_ROWS : p.first;
    } else { /* an image at a time: first its windows, then what is left over */
        const size_t of_windows = bnn_ceil_div(pooled, BNN_CONV_ROWS);
        const size_t of_image = of_windows + bnn_ceil_div(positions - pooled, BNN_CONV_ROWS);
        const size_t image = first_image + number / of_image, part = number % of_image;
        p.windows = part < of_windows;
        const size_t start = p.windows ? part * BNN_CONV_ROWS : pooled + (part - of_windows) * BNN_CONV_ROWS;
        p.rows = bnn_min(BNN_CONV_ROWS, (p.windows ? pooled : positions) - start);
        p.first = image * positions + start;
        p.out_first = image * windows + start / BNN_POOL_ROWS;
    }
    const int before = w->pool == BNN_pool_before_norm;
    p.norm_first = before ? p.first / BNN_POOL_ROWS : p.first;
    p.norm_rows = before ? p.rows / BNN_POOL_ROWS : p.rows;
    return p;
}
