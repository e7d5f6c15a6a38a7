#include "counting.h"

#include <stdlib.h>

#include "../common/zone.h"

#define SIZES BNN_COUNTED_SIZES
/* Places to remember what was gone over, a power of two. */
#define SEEN 16384
/* What comes again so soon lies in a first-level cache, and takes no room in another. */
#define SOON 32768

struct operation {
    const char *name;
    size_t count;
    const char *sizes[SIZES];
};

struct seen {
    const void *address;
    uint64_t bytes, when;
};

/* Entries of `bytes` each that are found by their hash; the key is an entry's beginning. */
struct notes {
    unsigned char *entries;
    uint32_t *slots; /* [2 * room]: number of an entry + 1 */
    size_t bytes, key_bytes, count, room;
};

static struct share {
    struct notes calls, arrays;
    struct seen *seen; /* [SEEN] */
    uint64_t gone_over;
} shares[BNN_MOST_THREADS];
static uintptr_t watched[2], own[2];
static _Atomic int failed;

/* Notes -------------------------------------------------------------------------------------------------------------- */

static size_t hash(const void *key, size_t bytes)
{
    uint64_t value = 1;
    uint32_t word;
    for (size_t i = 0; i < bytes; i += sizeof word) {
        memcpy(&word, (const unsigned char *)key + i, sizeof word);
        value = (value ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        value ^= value >> 29;
    }
    return (size_t)value;
}

/* The slot of a key: its own, or the free one where it belongs. */
static uint32_t *slot_of(const struct notes *n, const void *key)
{
    const size_t last = 2 * n->room - 1;
    size_t at = hash(key, n->key_bytes) & last;
    while (n->slots[at] && memcmp(n->entries + (n->slots[at] - 1) * n->bytes, key, n->key_bytes)) at = (at + 1) & last;
    return n->slots + at;
}

static int grow(struct notes *n)
{
    const size_t room = n->room ? 2 * n->room : 256;
    unsigned char *entries = realloc(n->entries, room * n->bytes);
    uint32_t *slots = calloc(2 * room, sizeof *slots);
    if (entries) n->entries = entries;
    if (!entries || !slots) {
        free(slots);
        failed = 1;
        return 0;
    }
    free(n->slots);
    n->slots = slots, n->room = room;
    for (size_t i = 0; i < n->count; i++) *slot_of(n, entries + i * n->bytes) = (uint32_t)(i + 1);
    return 1;
}

/* The entry that begins with the key of `fresh`, which is taken if there is none; NULL without memory. */
static void *find(struct notes *n, const void *fresh, size_t bytes, size_t key_bytes)
{
    n->bytes = bytes, n->key_bytes = key_bytes;
    if (n->count == n->room && !grow(n)) return NULL;
    uint32_t *slot = slot_of(n, fresh);
    if (!*slot) {
        memcpy(n->entries + n->count * bytes, fresh, bytes);
        *slot = (uint32_t)++n->count;
    }
    return n->entries + (*slot - 1) * bytes;
}

static void note_call(size_t op, const uint64_t *sizes)
{
    struct bnn_counted fresh = {.zone = bnn_zone(), .op = op};
    memcpy(fresh.sizes, sizes, sizeof fresh.sizes);
    struct bnn_counted *found =
        find(&shares[bnn_thread()].calls, &fresh, sizeof fresh, offsetof(struct bnn_counted, calls));
    if (found) found->calls++;
}

/* Memory ------------------------------------------------------------------------------------------------------------- */

static int is_watched(uintptr_t address)
{
    return address >= watched[0] && address < watched[1] && !(address >= own[0] && address < own[1]);
}

/* The level of an array that is gone over now, see bnn_moved. */
static unsigned level_of(struct share *s, const void *address, uint64_t bytes)
{
    if (!s->seen && !(s->seen = calloc(SEEN, sizeof *s->seen))) {
        failed = 1;
        return BNN_COUNTED_LEVELS - 1;
    }
    /* Relative addresses: notes are the same wherever the memory lies. */
    const uint64_t key[2] = {(uintptr_t)address - watched[0], bytes};
    struct seen *place = &s->seen[hash(key, sizeof key) & (SEEN - 1)];
    const int again = place->address == address && place->bytes == bytes;
    const uint64_t since = s->gone_over - place->when + bytes;
    unsigned level = again ? 0 : BNN_COUNTED_LEVELS - 1;
    while (again && level < BNN_COUNTED_LEVELS - 2 && since > UINT64_C(1) << level) level++;
    if (!again || since > SOON) s->gone_over += bytes;
    *place = (struct seen){address, bytes, s->gone_over};
    return level;
}

static struct bnn_moved *note_array(struct share *s, size_t op, size_t array, const void *address)
{
    const uintptr_t low = (uintptr_t)address;
    const struct bnn_moved fresh = {.zone = bnn_zone(), .op = op, .array = array, .low = low, .high = low};
    return find(&s->arrays, &fresh, sizeof fresh, offsetof(struct bnn_moved, low));
}

static void add(struct share *s, struct bnn_moved *moved, const void *address, size_t span, size_t bytes, unsigned times)
{
    const uintptr_t low = (uintptr_t)address;
    if (low < moved->low) moved->low = low;
    if (low + span > moved->high) moved->high = low + span;
    moved->bytes[level_of(s, address, bytes)] += times * bytes;
}

/* Notes that a call goes over `rows` of `row` bytes, `step` apart, and moves each byte `times` times. */
static void touch(size_t op, size_t array, const void *address, size_t rows, size_t row, size_t step, unsigned times)
{
    if (!rows || !is_watched((uintptr_t)address)) return;
    struct share *s = &shares[bnn_thread()];
    struct bnn_moved *moved = note_array(s, op, array, address);
    if (moved) add(s, moved, address, (rows - 1) * step + row, rows * row, times);
}

/* The same of rows that lie anywhere, either all watched or none. */
static void touch_rows(size_t op, size_t array, const void *const *addresses, size_t rows, size_t row)
{
    if (!rows || !is_watched((uintptr_t)addresses[0])) return;
    struct share *s = &shares[bnn_thread()];
    struct bnn_moved *moved = note_array(s, op, array, addresses[0]);
    for (size_t i = 0; moved && i < rows; i++) add(s, moved, addresses[i], row, row, 1);
}

/* Results ------------------------------------------------------------------------------------------------------------ */

static void leave_zeros(void *results, size_t bytes)
{
    if (results) memset(results, 0, bytes);
}

#define leave_one(result) ((void)(*(result) < 1 ? (*(result) = 1) : 0))

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "counting_kernels.inc"
#pragma GCC diagnostic pop

/* For whoever asks ---------------------------------------------------------------------------------------------------- */

const struct bnn_kernels *bnn_counting_kernels(void) { return &counting; }

const char *bnn_counted_op(size_t op) { return op < OPERATIONS ? operations[op].name : NULL; }

const char *bnn_counted_size(size_t op, size_t number)
{
    return number < operations[op].count ? operations[op].sizes[number] : NULL;
}

void bnn_start_counting(const void *first, const void *end, const void *own_first, const void *own_end)
{
    bnn_stop_counting();
    watched[0] = (uintptr_t)first, watched[1] = (uintptr_t)end;
    own[0] = (uintptr_t)own_first, own[1] = (uintptr_t)own_end;
}

int bnn_stop_counting(void)
{
    const int good = !failed;
    for (size_t i = 0; i < BNN_MOST_THREADS; i++) {
        struct share *s = &shares[i];
        free(s->calls.entries), free(s->calls.slots), free(s->arrays.entries), free(s->arrays.slots), free(s->seen);
        *s = (struct share){0};
    }
    failed = 0;
    watched[0] = watched[1] = 0;
    return good;
}

static const void *entry(const struct notes *n, size_t i) { return i < n->count ? n->entries + i * n->bytes : NULL; }

const struct bnn_counted *bnn_counted(size_t share, size_t i)
{
    return share < BNN_MOST_THREADS ? entry(&shares[share].calls, i) : NULL;
}

const struct bnn_moved *bnn_counted_moved(size_t share, size_t i)
{
    return share < BNN_MOST_THREADS ? entry(&shares[share].arrays, i) : NULL;
}
