/* check.h: operands, shapes and comparisons for the kernel tests.
 *
 * Every operand is a block of exactly the bytes that the contract names: without padding after the last row.  With
 * AddressSanitizer it is a block of malloc, at an odd number of elements; without, it ends where an inaccessible page
 * begins, which also stops the masked loads that the sanitizer does not see.
 */
#ifndef CHECK_H
#define CHECK_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* How random operands are filled. */
enum fill { FILL_random, FILL_zeros, FILL_ones, FILL_lowest, FILL_highest, FILL_count };

struct shape {
    size_t rows, columns, depth;
};

/* The i-th of `check_shapes` shapes: each size of each dimension with random others.  In a product rows*columns*depth, in a
 * plane rows*columns are at most `limit`; a 0 counts as 1. */
extern const size_t check_shapes;
struct shape check_product(size_t i, size_t limit);
struct shape check_plane(size_t i, size_t limit);

/* Pseudo-random numbers; the same in every run. */
uint64_t check_random(void);
int64_t check_between(int64_t low, int64_t high);
double check_uniform(double low, double high);

/* Blocks of `count` elements of `size` bytes, released together.  A copy has the same bytes, at its own address. */
void *check_block(size_t count, size_t size);
void *check_copy(const void *block, size_t count, size_t size);
/* Scratch from an address divisible by 64; bytes are a multiple of that. */
void *check_lines(size_t bytes);
void *check_panel(void);
#define COPY(block, count) check_copy(block, count, sizeof *(block))
void check_release(void);

/* Filled blocks: int8, int32 within +-limit, int16, float32 within +-limit, rows of bits with zero tails, and sums that wait
 * for more. */
int8_t *check_i8(size_t count, enum fill fill);
int32_t *check_i32(size_t count, enum fill fill, int32_t limit);
int16_t *check_i16(size_t count, enum fill fill);
float *check_f32(size_t count, double limit);
uint64_t *check_bits(size_t rows, size_t columns, size_t stride_words, enum fill fill);
int64_t *check_sums(size_t count);

/* Elements from the first of row 0 to the last of the last row. */
static inline size_t check_span(size_t rows, size_t width, size_t stride)
{
    return rows && width ? (rows - 1) * stride + width : 0;
}

/* A stride a little above the width. */
size_t check_stride(size_t width);

/* Each call is one case; the first failures of an operation name their shape. */
void check_same(const void *got, const void *expected, size_t bytes);
void check_that(int good);
#define CHECK_SAME(got, expected, count) check_same(got, expected, (count) * sizeof *(got))

/* Results so far of the current operation.  check_exact: floats must agree bit for bit, as between instruction sets. */
extern size_t check_passed, check_failed;
extern int check_exact;

#endif
