/* batch_reader.h: a batch from a flat file of records, read by position into the batch buffer; nothing else is kept in
 * memory.
 *
 * A record is image_bytes of uint8 pixels followed by a label of one or two bytes, the lower first.
 * Pixel p becomes the int8 x = p - 128.
 * The images of a training part may then be shifted and mirrored (augment.h).
 * Position -> record goes through up to two keyed permutations, computed, not stored (arithmetic: bnntrain/data/order.py).
 */
#ifndef BNN_BATCH_READER_H
#define BNN_BATCH_READER_H

#include "augment.h"

struct bnn_batch_reader {
    int file;
    uint64_t offset;      /* of record 0 in the file */
    size_t image_bytes;
    size_t label_bytes;   /* 1 or 2 */
    unsigned classes;     /* labels are below this, at most 65536 */
    uint32_t total;       /* records in the file */
    int split;            /* positions go through the permutation of all records with split_key */
    uint64_t split_key;
    uint32_t first;       /* first split position of this part: the held-out samples come before the others */
    uint32_t count;       /* positions of this part */
    int shuffle;          /* positions first go through the permutation of `count` with epoch_key */
    uint64_t epoch_key;
    int augmented;        /* images are changed as `augment` says */
    struct bnn_augment augment;
};

/* Image of `index` under the keyed permutation of range(n), 1 <= n, index < n. */
uint32_t bnn_permute(uint32_t index, uint32_t n, uint64_t key);

/* Record number of a position. */
uint32_t bnn_record_at(const struct bnn_batch_reader *reader, uint32_t position);

enum bnn_read_status { BNN_read_good, BNN_read_unreadable, BNN_read_short, BNN_read_label };

/* Reads positions first ... first + rows - 1 into x [rows][image_bytes] and labels [rows].
 * Otherwise *record is the one that is not good: unreadable (errno says why), past the end, or of no class. */
enum bnn_read_status bnn_read_batch(const struct bnn_batch_reader *reader, uint32_t first, size_t rows, int8_t *x,
                                    uint16_t *labels, uint32_t *record);

#endif
