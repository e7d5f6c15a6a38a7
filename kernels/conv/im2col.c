/* im2col patches: what a window sees, position by position, taps outside the image as zeros.  Bits of narrow windows
 * stand one behind the other; otherwise every tap begins a word. */
#include "pass.h"

/* One row of a window: `bytes` a tap, `taps` of them from column x on, of an image row of `width`. */
static inline void copy_taps(unsigned char *to, const unsigned char *row, ptrdiff_t x, size_t taps, size_t width,
                             size_t bytes)
{
    const size_t left = x < 0 ? bnn_min((size_t)-x, taps) : 0;
    const ptrdiff_t left_over = (ptrdiff_t)width - x;
    const size_t right = left_over < (ptrdiff_t)taps ? taps - (size_t)(left_over > 0 ? left_over : 0) : 0;
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

static inline void copy_patches(const struct bnn_conv *c, size_t first, size_t rows, const unsigned char *images,
                               size_t pixel_bytes, unsigned char *to)
{
    const struct bnn_window *w = &c->window;
    const size_t positions = bnn_positions(w), row_bytes = w->width * pixel_bytes, run = w->kernel * pixel_bytes;
    size_t image = first / positions, place = first % positions;
    for (size_t r = 0; r < rows; r++) {
        const struct bnn_origin origin = c->origins[place];
        const unsigned char *from = images + image * w->height * row_bytes;
        if (is_inside(w, origin)) {
            copy_window(to, from + (size_t)origin.y * row_bytes + (size_t)origin.x * pixel_bytes, w->kernel, run, row_bytes);
            to += w->kernel * run;
        } else {
            for (size_t ky = 0; ky < w->kernel; ky++, to += run) {
                const size_t y = (size_t)(origin.y + (ptrdiff_t)ky);
                if (y < w->height) copy_taps(to, from + y * row_bytes, origin.x, w->kernel, w->width, pixel_bytes);
                else memset(to, 0, run);
            }
        }
        if (++place == positions) place = 0, image++;
    }
}

/* `count` words of every tap, `all` words apart, zeros where it lies outside. */
static inline void copy_words_of_taps(const struct bnn_window *w, struct bnn_origin origin, const uint64_t *image, size_t all,
                               const size_t count, uint64_t *words)
{
    const ptrdiff_t kernel = (ptrdiff_t)w->kernel, width = (ptrdiff_t)w->width;
    /* Taps first ... end - 1 of a row lie in the image. */
    const ptrdiff_t first = origin.x < 0 ? -origin.x : 0, end = origin.x + kernel > width ? width - origin.x : kernel;
    memset(words, 0, (size_t)(kernel * kernel) * count * sizeof *words);
    for (ptrdiff_t ky = 0; ky < kernel; ky++, words += (size_t)kernel * count) {
        if ((size_t)(origin.y + ky) >= w->height) continue;
        const uint64_t *row = image + ((origin.y + ky) * width + origin.x + first) * (ptrdiff_t)all;
        for (ptrdiff_t kx = first; kx < end; kx++, row += all)
            memcpy(words + (size_t)kx * count, row, count * sizeof *words);
    }
}

/* The taps of a window, whose words lie in `rows`, without gaps between them.  Loops are unrolled where sizes are known. */
static inline __attribute__((always_inline)) void join_window(const uint64_t **rows, const size_t kernel,
                                                              const size_t channels, uint64_t *to)
{
    uint64_t joined = 0;
    size_t filled = 0;
    _Pragma("GCC unroll 3") for (size_t ky = 0; ky < kernel; ky++)
        _Pragma("GCC unroll 3") for (size_t kx = 0; kx < kernel; kx++) {
            const uint64_t word = rows[ky][kx];
            joined |= word << filled;
            filled += channels;
            if (filled < BNN_WORD_BITS) continue;
            filled -= BNN_WORD_BITS;
            *to++ = joined;
            joined = filled ? word >> (channels - filled) : 0;
        }
    if (filled) *to = joined;
}

/* Runs JOIN(kernel, channels) with sizes that are known at compile time, where they are usual. */
#define WITH_USUAL_SIZES(w, JOIN)                                      \
    if ((w)->kernel == 3 && (w)->channels == 16) JOIN(3, 16);          \
    else if ((w)->kernel == 3 && (w)->channels == 32) JOIN(3, 32);     \
    else JOIN((w)->kernel, (w)->channels)

static inline __attribute__((always_inline)) void join_rows(const uint64_t *words, size_t rows, const size_t kernel,
                                                            const size_t channels, uint64_t *joined)
{
    const size_t length = bnn_words(kernel * kernel * channels);
    for (size_t r = 0; r < rows; r++, words += kernel * kernel, joined += length) {
        const uint64_t *at[BNN_EDGE_KERNEL];
        for (size_t ky = 0; ky < kernel; ky++) at[ky] = words + ky * kernel;
        join_window(at, kernel, channels, joined);
    }
}

void bnn_join_taps(const struct bnn_window *w, const uint64_t *words, size_t rows, uint64_t *joined)
{
#define JOIN(KERNEL, CHANNELS) join_rows(words, rows, KERNEL, CHANNELS, joined)
    WITH_USUAL_SIZES(w, JOIN);
#undef JOIN
}

/* Narrow patches. */
static inline __attribute__((always_inline)) void join_patches(const struct bnn_conv *c, size_t first, size_t rows,
                                                               const size_t kernel, const size_t channels, uint64_t *to)
{
    const struct bnn_window *w = &c->window;
    const size_t positions = bnn_positions(w), image_words = w->height * w->width;
    const size_t length = bnn_words(kernel * kernel * channels);
    const uint64_t *image = c->block.x_u1 + first / positions * image_words;
    size_t place = first % positions;
    for (size_t r = 0; r < rows; r++, to += length) {
        const struct bnn_origin origin = c->origins[place];
        uint64_t words[BNN_EDGE_KERNEL * BNN_EDGE_KERNEL];
        const uint64_t *at[BNN_EDGE_KERNEL];
        const int inside = is_inside(w, origin);
        if (!inside) copy_words_of_taps(w, origin, image, 1, 1, words);
        for (size_t ky = 0; ky < kernel; ky++)
            at[ky] = inside ? image + ((size_t)origin.y + ky) * w->width + (size_t)origin.x : words + ky * kernel;
        join_window(at, kernel, channels, to);
        if (++place == positions) place = 0, image += image_words;
    }
}

void bnn_im2col(const struct bnn_conv *c, size_t first, size_t rows, void *patch)
{
    const struct bnn_block *b = &c->block;
    const size_t channels = c->window.channels;
    if (b->x_i8) {
        copy_patches(c, first, rows, (const unsigned char *)b->x_i8, channels, patch);
    } else if (!is_narrow(&c->window)) {
        copy_patches(c, first, rows, (const unsigned char *)b->x_u1, bnn_words(channels) * sizeof(uint64_t), patch);
    } else {
#define JOIN(KERNEL, CHANNELS) join_patches(c, first, rows, KERNEL, CHANNELS, patch)
        WITH_USUAL_SIZES(&c->window, JOIN);
#undef JOIN
    }
}

/* Words of taps of a window that lies inside.  Sizes that are known at compile time are copied without loops. */
static inline __attribute__((always_inline)) void copy_words_inside(const struct bnn_window *w, struct bnn_origin origin,
                                                                const uint64_t *image, size_t all, const size_t count,
                                                                const size_t kernel, uint64_t *words)
{
    const size_t row_words = w->width * all;
    const uint64_t *row = image + (size_t)origin.y * row_words + (size_t)origin.x * all;
    for (size_t ky = 0; ky < kernel; ky++, row += row_words, words += kernel * count)
        for (size_t kx = 0; kx < kernel; kx++) memcpy(words + kx * count, row + kx * all, count * sizeof *words);
}

static inline __attribute__((always_inline)) void copy_all_words(const struct bnn_conv *c, size_t first, size_t rows, size_t word,
                                                             const size_t count, const size_t kernel, uint64_t *words)
{
    const struct bnn_window *w = &c->window;
    const size_t positions = bnn_positions(w), all = bnn_words(w->channels), step = bnn_taps(w) * count;
    const size_t image_words = w->height * w->width * all;
    const uint64_t *image = c->block.x_u1 + first / positions * image_words + word;
    size_t place = first % positions;
    for (size_t r = 0; r < rows; r++, words += step) {
        const struct bnn_origin origin = c->origins[place];
        if (is_inside(w, origin)) copy_words_inside(w, origin, image, all, count, kernel, words);
        else copy_words_of_taps(w, origin, image, all, count, words);
        if (++place == positions) place = 0, image += image_words;
    }
}

void bnn_im2col_words(const struct bnn_conv *c, size_t first, size_t rows, size_t word, size_t count, uint64_t *words)
{
    const size_t kernel = c->window.kernel;
    if (kernel == 3 && count == 1) copy_all_words(c, first, rows, word, 1, 3, words);
    else if (kernel == 3 && count == 2) copy_all_words(c, first, rows, word, 2, 3, words);
    else copy_all_words(c, first, rows, word, count, kernel, words);
}
