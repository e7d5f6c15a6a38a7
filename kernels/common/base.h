/* base.h: words, tiles and helpers that every kernel shares.
 *
 * Bit convention (Courbariaux & Bengio's sign): bit 1 stands for -1, bit 0 for +1, sgn(0) = +1.
 * Rows of bits start on a 64-bit word; the bits past the last column of a row are 0.
 * Hence for two rows a, b of `depth` bits: dot = depth - 2 * popcount(a ^ b).
 */
#ifndef BNN_BASE_H
#define BNN_BASE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#define BNN_X86 1
#else
#define BNN_X86 0
#endif
/* 64-bit ARM, where NEON is part of the baseline. */
#if defined(__aarch64__)
#define BNN_ARM64 1
#else
#define BNN_ARM64 0
#endif

#define BNN_WORD_BITS 64
/* Columns that a product kernel works on at a time: one word of packed signs. */
#define BNN_TILE 64
/* Bytes of scratch that any product kernel may use: 512 depths x 64 columns of int8, or 64 words x 64 columns. */
#define BNN_PANEL_BYTES 32768
/* Depth of one int8 panel: 4 * 128, so that four int8 reductions share one 32-bit lane. */
#define BNN_PANEL_DEPTH 512
/* Words of one bit panel: 64 columns x 64 words x 8 bytes = BNN_PANEL_BYTES. */
#define BNN_PANEL_WORDS 64

#define BNN_RESTRICT restrict

/* The number of a class.  Other uint16_t are the bits of a float16. */
typedef uint16_t bnn_label;

/* Behind a kernel's array: its elements, or rows and columns; of packed signs columns are bits.  BNN_UPDATED: it is read as
 * well as written; BNN_TYPED: the same, and its type is known at run time.  For signatures.py; nothing to a compiler. */
#define BNN_SHAPE(...)
#define BNN_UPDATED(...)
#define BNN_TYPED(type, ...)

static inline size_t bnn_min(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t bnn_max(size_t a, size_t b) { return a > b ? a : b; }
static inline size_t bnn_ceil_div(size_t a, size_t b) { return (a + b - 1) / b; }
static inline size_t bnn_round_up(size_t a, size_t b) { return bnn_ceil_div(a, b) * b; }
static inline size_t bnn_words(size_t bits) { return bnn_ceil_div(bits, BNN_WORD_BITS); }
/* Columns of a tile. */
static inline size_t bnn_tile_width(size_t columns, size_t tile) { return bnn_min(BNN_TILE, columns - tile * BNN_TILE); }

/* The word with the lowest `bits` bits set, 0 <= bits <= 64. */
static inline uint64_t bnn_low_bits(size_t bits)
{
    return bits >= BNN_WORD_BITS ? ~UINT64_C(0) : (UINT64_C(1) << bits) - 1;
}

#endif
