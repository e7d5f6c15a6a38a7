#define _GNU_SOURCE
#include "check.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../kernels/common/base.h"

#if defined(__linux__) && !defined(__SANITIZE_ADDRESS__)
#define GUARD_PAGES 1
#include <sys/mman.h>
#include <unistd.h>
#else
#define GUARD_PAGES 0
#endif

static const size_t sizes[] = {0,  1,  2,  3,   4,   5,   6,   7,   8,   15,  16,  17,   31,   32,
                               33, 63, 64, 65, 127, 128, 129, 255, 256, 257, 511, 512, 513, 1023, 1024, 1025};
enum { SIZES = sizeof sizes / sizeof *sizes, MORE = 60, MOST_BLOCKS = 64 };
const size_t check_shapes = 3 * SIZES + MORE;
size_t check_passed, check_failed;
int check_exact;
static struct shape current;

uint64_t check_random(void)
{
    static uint64_t state = 88172645463325252;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * UINT64_C(0x2545f4914f6cdd1d) >> 8 ^ state << 40;
}

int64_t check_between(int64_t low, int64_t high) { return low + (int64_t)(check_random() % (uint64_t)(high - low + 1)); }

double check_uniform(double low, double high) { return low + (high - low) * (double)(check_random() >> 11) * 0x1p-53; }

size_t check_stride(size_t width) { return width + check_random() % 4; }

static struct shape shape_of(size_t i, size_t limit, int dimensions)
{
    for (;;) {
        size_t d[3] = {0}, product = 1;
        /* Small partners, so that the large sizes find some. */
        for (int k = 0; k < dimensions; k++) d[k] = sizes[check_random() % (i < 3 * SIZES ? SIZES - 9 : SIZES)];
        if (i < 3 * SIZES) d[i % (size_t)dimensions] = sizes[i / 3];
        for (int k = 0; k < dimensions; k++) product *= bnn_max(1, d[k]);
        current = (struct shape){d[0], d[1], d[2]};
        if (product <= limit) return current;
    }
}

struct shape check_product(size_t i, size_t limit) { return shape_of(i, limit, 3); }
struct shape check_plane(size_t i, size_t limit) { return shape_of(i, limit, 2); }

static struct {
    void *base;
    size_t bytes;
} blocks[MOST_BLOCKS];
static size_t block_count;

void *check_block(size_t count, size_t size)
{
    const size_t bytes = count * size;
    if (block_count == MOST_BLOCKS) abort();
#if GUARD_PAGES
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), room = bnn_round_up(bytes, page) + page;
    char *base = mmap(NULL, room, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED || mprotect(base + room - page, page, PROT_NONE)) abort();
    blocks[block_count].base = base;
    blocks[block_count++].bytes = room;
    char *block = base + room - page - bytes;
#else
    const size_t offset = (check_random() % 4) * size;
    char *base = malloc(offset + bytes);
    if (!base) abort();
    blocks[block_count++].base = base;
    char *block = base + offset;
#endif
    for (size_t i = 0; i < bytes; i += 8) {
        const uint64_t random = check_random();
        memcpy(block + i, &random, bnn_min(8, bytes - i));
    }
    return block;
}

void *check_copy(const void *block, size_t count, size_t size)
{
    void *copy = check_block(count, size);
    memcpy(copy, block, count * size);
    return copy;
}

void *check_lines(size_t bytes)
{
#if GUARD_PAGES
    return check_block(bytes, 1);
#else
    if (block_count == MOST_BLOCKS) abort();
    void *lines = aligned_alloc(64, bytes);
    if (!lines) abort();
    blocks[block_count++].base = lines;
    memset(lines, 0x5a, bytes);
    return lines;
#endif
}

void *check_panel(void) { return check_lines(BNN_PANEL_BYTES); }

void check_release(void)
{
    while (block_count) {
        block_count--;
#if GUARD_PAGES
        munmap(blocks[block_count].base, blocks[block_count].bytes);
#else
        free(blocks[block_count].base);
#endif
    }
}

int8_t *check_i8(size_t count, enum fill fill)
{
    static const int8_t constant[FILL_count] = {0, 0, 1, -128, 127};
    int8_t *block = check_block(count, 1);
    if (fill != FILL_random) memset(block, constant[fill], count);
    return block;
}

int32_t *check_i32(size_t count, enum fill fill, int32_t limit)
{
    const int32_t constant[FILL_count] = {0, 0, 1, -limit, limit};
    int32_t *block = check_block(count, sizeof *block);
    for (size_t i = 0; i < count; i++)
        block[i] = fill != FILL_random ? constant[fill] : (int32_t)check_between(-(int64_t)limit, limit);
    return block;
}

int16_t *check_i16(size_t count, enum fill fill)
{
    static const int16_t constant[FILL_count] = {0, 0, 1, INT16_MIN, INT16_MAX};
    int16_t *block = check_block(count, sizeof *block);
    for (size_t i = 0; fill != FILL_random && i < count; i++) block[i] = constant[fill];
    return block;
}

float *check_f32(size_t count, double limit)
{
    float *block = check_block(count, sizeof *block);
    for (size_t i = 0; i < count; i++) block[i] = check_random() % 16 ? (float)check_uniform(-limit, limit) : 0.0f;
    return block;
}

uint64_t *check_bits(size_t rows, size_t columns, size_t stride_words, enum fill fill)
{
    const size_t words = bnn_words(columns);
    uint64_t *block = check_block(check_span(rows, words, stride_words), sizeof *block);
    for (size_t row = 0; row < rows; row++)
        for (size_t word = 0; word < words; word++) {
            uint64_t *at = &block[row * stride_words + word];
            if (fill == FILL_zeros || fill == FILL_highest) *at = 0;
            if (fill == FILL_ones || fill == FILL_lowest) *at = ~UINT64_C(0);
            *at &= bnn_low_bits(columns - word * BNN_WORD_BITS);
        }
    return block;
}

int64_t *check_sums(size_t count)
{
    int64_t *sums = check_block(count, sizeof *sums);
    for (size_t i = 0; i < count; i++) sums[i] = check_between(-1000000000000, 1000000000000);
    return sums;
}

void check_that(int good)
{
    if (good) {
        check_passed++;
    } else if (check_failed++ < 3) {
        printf("  wrong at rows %zu, columns %zu, depth %zu\n", current.rows, current.columns, current.depth);
    }
}

void check_same(const void *got, const void *expected, size_t bytes)
{
    check_that(bytes == 0 || !memcmp(got, expected, bytes));
}
