#include "batch_reader.h"

#include <errno.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/rng.h"

enum { ROUNDS = 4 };

static uint32_t mix(uint32_t x)
{
    x ^= x >> 16;
    x *= UINT32_C(0x21f0aaad);
    x ^= x >> 15;
    x *= UINT32_C(0xd35a2d97);
    return x ^ (x >> 15);
}

/* Half of the smallest even number of bits, at least 2, whose domain holds range(n). */
static unsigned half_bits(uint32_t n)
{
    unsigned bits = n > 1 ? 32 - (unsigned)__builtin_clz(n - 1) : 0;
    return bits > 1 ? (bits + 1) / 2 : 1;
}

uint32_t bnn_permute(uint32_t index, uint32_t n, uint64_t key)
{
    const unsigned half = half_bits(n);
    const uint32_t mask = (UINT32_C(1) << half) - 1;
    uint32_t keys[ROUNDS];
    uint64_t state = key;
    for (int round = 0; round < ROUNDS; round++) keys[round] = (uint32_t)(bnn_splitmix64(&state) >> 32);
    uint32_t x = index;
    do {
        uint32_t left = x >> half, right = x & mask;
        for (int round = 0; round < ROUNDS; round++) {
            uint32_t mixed = left ^ (mix(right + keys[round]) & mask);
            left = right;
            right = mixed;
        }
        x = left << half | right;
    } while (x >= n); /* cycle walking: the domain has fewer than 4n values */
    return x;
}

uint32_t bnn_record_at(const struct bnn_batch_reader *reader, uint32_t position)
{
    if (reader->shuffle) position = bnn_permute(position, reader->count, reader->epoch_key);
    position += reader->first;
    return reader->split ? bnn_permute(position, reader->total, reader->split_key) : position;
}

enum { LARGEST_LABEL_BYTES = 2 };

/* Reads a record: one plain read where the bytes behind the image may be overwritten. */
static ssize_t read_record(const struct bnn_batch_reader *reader, uint32_t record, int8_t *image, uint16_t *label,
                           int room)
{
    const off_t at = (off_t)(reader->offset + (uint64_t)record * (reader->image_bytes + reader->label_bytes));
    uint8_t bytes[LARGEST_LABEL_BYTES] = {0};
    struct iovec parts[2] = {{image, reader->image_bytes}, {bytes, reader->label_bytes}};
    ssize_t got;
    do got = room ? pread(reader->file, image, reader->image_bytes + reader->label_bytes, at)
                  : preadv(reader->file, parts, 2, at);
    while (got < 0 && errno == EINTR);
    if (room) memcpy(bytes, image + reader->image_bytes, reader->label_bytes);
    *label = (uint16_t)(bytes[0] | bytes[1] << 8);
    return got;
}

enum bnn_read_status bnn_read_batch(const struct bnn_batch_reader *reader, uint32_t first, size_t rows, int8_t *x,
                                    uint16_t *labels, uint32_t *record)
{
    for (size_t row = 0; row < rows; row++, x += reader->image_bytes) {
        *record = bnn_record_at(reader, first + (uint32_t)row);
        /* The label lands on the next rows, which are read after it: pread costs less than preadv. */
        const int room = (rows - row - 1) * reader->image_bytes >= reader->label_bytes;
        const ssize_t got = read_record(reader, *record, x, labels + row, room);
        if (got < 0) return BNN_read_unreadable;
        if (got != (ssize_t)(reader->image_bytes + reader->label_bytes)) return BNN_read_short;
        if (labels[row] >= reader->classes) return BNN_read_label;
        for (size_t i = 0; i < reader->image_bytes; i++) x[i] = (int8_t)((uint8_t)x[i] ^ 0x80);
        if (reader->augmented) bnn_augment_image(&reader->augment, *record, x);
    }
    return BNN_read_good;
}
