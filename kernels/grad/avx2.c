/* avx2.c: products of int8 values with signs (by bytes) or with int8 values (by 16-bit words).
 *
 * One step takes a double word of a: four int8 depths, or two depths widened to int16.  It is spread over a vector and
 * multiplied with eight columns of the panel, [16 columns][steps][column][4 bytes]: such quads or pairs of b.
 *   signs   the panel holds the bits as bytes 0 and 1; c = sum_k a - 2 * sum_k a*bit
 *           vpmaddubsw adds two of the four products, vpaddw accumulates them in 16 bits: a lane grows by 256 at most a
 *           step, and the 128 steps of a piece reach -32768 ... 32512; vpmaddwd by -2 joins the two lanes of a column
 *   int8    vpmaddwd adds both products in 32 bits, vpaddd accumulates
 * A tile is ROWS rows by two vectors: 12 accumulators, 2 vectors of the panel, 1 of a, 1 product.  Its rows are first
 * copied to a buffer that pads them with zeros.
 *
 *   instruction          MAC   per cycle on Zen 4 (ymm)            per tile and step
 *   vpmaddubsw           32    2                                   12
 *   vpmaddwd             16    2                                   12
 *   vpaddw, vpaddd       -     4                                   12
 *   vpbroadcastd, load   -     2 loads                              8
 *   The limits are 64 MAC a cycle (signs) and 32 (int8).
 */
#if defined(__x86_64__)
#pragma GCC target("avx2,bmi,bmi2,popcnt")
#include <immintrin.h>

#include "grad.h"

enum { ROWS = 6, RUN = 85 * ROWS, LANES = 8, GROUP = 2 * LANES, STEP_BYTES = 4, GROUP_BYTES = GROUP * STEP_BYTES };
enum { STEPS = BNN_PANEL_BYTES / (BNN_TILE * STEP_BYTES), A_BYTES = STEPS * STEP_BYTES };
enum kind { SIGNS, BYTES };
#define UNROLL _Pragma("GCC unroll 8")

/* A block of b in the panel, up to 64 columns wide and STEPS long. */
struct block {
    int8_t *panel;
    size_t depth, steps, width;
};

/* Rows of a, padded with zeros to whole vectors, and their sums (for signs). */
struct rows {
    int8_t value[ROWS][A_BYTES] __attribute__((aligned(32)));
    int32_t sum[ROWS];
};

/* The first count < 32 of 32 bytes, the others 0. */
static inline __m256i load_part(const int8_t *from, size_t count)
{
    const __m256i lane = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    if (count % 4 == 0)
        return _mm256_maskload_epi32((const int *)from, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count / 4), lane));
    int8_t whole[32] = {0};
    memcpy(whole, from, count);
    return _mm256_loadu_si256((const __m256i *)whole);
}

static void copy_bytes(const int8_t *a, size_t depth, int8_t *to, int32_t *sum)
{
    const __m256i flip_u8x32 = _mm256_set1_epi8((char)0x80);
    __m256i sum_i64x4 = _mm256_setzero_si256();
    size_t k = 0;
    for (; k < depth; k += 32) {
        const __m256i a_i8x32 = depth - k >= 32 ? _mm256_loadu_si256((const __m256i *)(a + k)) : load_part(a + k, depth - k);
        _mm256_store_si256((__m256i *)(to + k), a_i8x32);
        /* vpsadbw adds bytes without sign: a + 128. */
        const __m256i offset_u8x32 = _mm256_xor_si256(a_i8x32, flip_u8x32);
        sum_i64x4 = _mm256_add_epi64(sum_i64x4, _mm256_sad_epu8(offset_u8x32, _mm256_setzero_si256()));
    }
    const __m128i half = _mm_add_epi64(_mm256_castsi256_si128(sum_i64x4), _mm256_extracti128_si256(sum_i64x4, 1));
    *sum = _mm_cvtsi128_si32(half) + _mm_extract_epi32(half, 2) - 128 * (int32_t)k;
}

static void copy_widened(const int8_t *a, size_t depth, int8_t *to)
{
    for (size_t k = 0; k < depth; k += 16) {
        const __m128i a_i8x16 = depth - k >= 16 ? _mm_loadu_si128((const __m128i *)(a + k))
                                                : _mm256_castsi256_si128(load_part(a + k, depth - k));
        _mm256_store_si256((__m256i *)(to + 2 * k), _mm256_cvtepi8_epi16(a_i8x16));
    }
}

/* sum + product, in place: gcc 12 copies and spills sums of intrinsics that outlive a loop. */
static inline __attribute__((always_inline)) __m256i add_product(const enum kind kind, __m256i sum, __m256i a, __m256i b)
{
    if (kind == SIGNS) __asm__("vpaddw %1, %0, %0" : "+x"(sum) : "x"(_mm256_maddubs_epi16(b, a)));
    else __asm__("vpaddd %1, %0, %0" : "+x"(sum) : "x"(_mm256_madd_epi16(b, a)));
    return sum;
}

static inline __m256i spread(const int8_t *a)
{
    int32_t step;
    memcpy(&step, a, sizeof step);
    return _mm256_set1_epi32(step);
}

/* Up to 16 columns of c for some prepared rows of a, set or added to; `panel`: of these columns. */
static inline __attribute__((always_inline)) void tile(const enum kind kind, const int rows, const struct rows *a,
                                                       const int8_t *panel, size_t steps, size_t width,
                                                       int32_t *c, size_t c_stride, int add)
{
    __m256i sum[ROWS][2];
    UNROLL for (int row = 0; row < rows; row++) sum[row][0] = sum[row][1] = _mm256_setzero_si256();
    const int8_t *value = a->value[0];
    for (size_t step = 0; step < steps; step++, value += STEP_BYTES, panel += GROUP_BYTES) {
        const __m256i b0 = _mm256_load_si256((const __m256i *)panel);
        const __m256i b1 = _mm256_load_si256((const __m256i *)(panel + 32));
        UNROLL for (int row = 0; row < rows; row++) {
            const __m256i a_row = spread(value + row * A_BYTES);
            sum[row][0] = add_product(kind, sum[row][0], a_row, b0);
            sum[row][1] = add_product(kind, sum[row][1], a_row, b1);
        }
    }
    const __m256i lane = _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0);
    UNROLL for (int v = 0; v < 2; v++) {
        const int left = (int)width - LANES * v;
        const __m256i live = _mm256_cmpgt_epi32(_mm256_set1_epi32(left), lane);
        UNROLL for (int row = 0; row < rows; row++) {
            __m256i result = sum[row][v];
            if (kind == SIGNS)
                result = _mm256_add_epi32(_mm256_madd_epi16(result, _mm256_set1_epi16(-2)), _mm256_set1_epi32(a->sum[row]));
            int32_t *to = c + row * c_stride + LANES * v;
            if (left >= LANES) {
                if (add) result = _mm256_add_epi32(result, _mm256_loadu_si256((const __m256i *)to));
                _mm256_storeu_si256((__m256i *)to, result);
            } else if (left > 0) {
                if (add) result = _mm256_add_epi32(result, _mm256_maskload_epi32(to, live));
                _mm256_maskstore_epi32(to, live, result);
            }
        }
    }
}

/* All rows of a against the block; every switch arm is a tile with its size known at compile time. */
static inline __attribute__((always_inline)) void all_rows(const enum kind kind, const int8_t *a, size_t rows,
                                                           size_t a_stride, const struct block *block,
                                                           int32_t *c, size_t c_stride, int add)
{
    struct rows some;
    for (size_t row0 = 0; row0 < rows; row0 += ROWS) {
        const size_t count = bnn_min(ROWS, rows - row0);
        for (size_t row = 0; row < count; row++) {
            if (kind == SIGNS) copy_bytes(a + (row0 + row) * a_stride, block->depth, some.value[row], &some.sum[row]);
            else copy_widened(a + (row0 + row) * a_stride, block->depth, some.value[row]);
        }
        for (size_t j = 0; j < block->width; j += GROUP) {
            const int8_t *panel = block->panel + j * STEP_BYTES * block->steps;
            int32_t *to = c + row0 * c_stride + j;
            switch (count) {
            case 6: tile(kind, 6, &some, panel, block->steps, block->width - j, to, c_stride, add); break;
            case 5: tile(kind, 5, &some, panel, block->steps, block->width - j, to, c_stride, add); break;
            case 4: tile(kind, 4, &some, panel, block->steps, block->width - j, to, c_stride, add); break;
            case 3: tile(kind, 3, &some, panel, block->steps, block->width - j, to, c_stride, add); break;
            case 2: tile(kind, 2, &some, panel, block->steps, block->width - j, to, c_stride, add); break;
            case 1: tile(kind, 1, &some, panel, block->steps, block->width - j, to, c_stride, add); break;
            }
        }
    }
}

/* b [depth][words] bits: bytes 0 and 1.  The bytes of four words are interleaved, so that a double word has eight columns of
 * four depths; it is spread over a vector in which each byte keeps its own bit. */
static void lay_signs(const uint64_t *b, size_t b_stride_words, const struct block *block)
{
    const __m256i bit = _mm256_set_epi32((int32_t)0x80808080, 0x40404040, 0x20202020, 0x10101010,
                                         0x08080808, 0x04040404, 0x02020202, 0x01010101);
    for (size_t step = 0; step < block->steps; step++) {
        __m128i word[4];
        for (size_t i = 0; i < 4; i++)
            word[i] = 4 * step + i < block->depth ? _mm_loadl_epi64((const __m128i *)(b + (4 * step + i) * b_stride_words))
                                                  : _mm_setzero_si128();
        const __m128i pair01 = _mm_unpacklo_epi8(word[0], word[1]), pair23 = _mm_unpacklo_epi8(word[2], word[3]);
        int8_t bytes[32];
        _mm_storeu_si128((__m128i *)bytes, _mm_unpacklo_epi16(pair01, pair23));
        _mm_storeu_si128((__m128i *)(bytes + 16), _mm_unpackhi_epi16(pair01, pair23));
        for (size_t j = 0; j < block->width; j += LANES) {
            const __m256i own = _mm256_and_si256(spread(bytes + j / 2), bit);
            int8_t *to = block->panel + (j / GROUP * block->steps + step) * GROUP_BYTES + j % GROUP * STEP_BYTES;
            _mm256_store_si256((__m256i *)to, _mm256_min_epu8(own, _mm256_set1_epi8(1)));
        }
        /* The second half of the last group is multiplied but never stored: it may hold anything. */
    }
}

/* b [depth][columns] int8: pairs of depths as int16. */
static void lay_bytes(const int8_t *b, size_t b_stride, const struct block *block)
{
    for (size_t step = 0; step < block->steps; step++)
        for (size_t j = 0; j < block->width; j += LANES) {
            const int8_t *row0 = b + 2 * step * b_stride + j;
            const size_t count = bnn_min(LANES, block->width - j), second = 2 * step + 1 < block->depth ? count : 0;
            __m128i low, high;
            if (second == LANES) {
                low = _mm_loadl_epi64((const __m128i *)row0);
                high = _mm_loadl_epi64((const __m128i *)(row0 + b_stride));
            } else {
                low = _mm256_castsi256_si128(load_part(row0, count));
                high = _mm256_castsi256_si128(load_part(second ? row0 + b_stride : row0, second));
            }
            int8_t *to = block->panel + (j / GROUP * block->steps + step) * GROUP_BYTES + j % GROUP * STEP_BYTES;
            _mm256_store_si256((__m256i *)to, _mm256_cvtepi8_epi16(_mm_unpacklo_epi8(low, high)));
        }
}

/* The size of equal parts of `whole`, each a multiple of `unit` and at most `limit` (which is such a multiple). */
static inline size_t part_of(size_t whole, size_t limit, size_t unit)
{
    const size_t parts = bnn_max(1, bnn_ceil_div(whole, limit));
    return bnn_max(unit, bnn_round_up(bnn_ceil_div(whole, parts), unit));
}

/* Walks b in blocks; LAY fills the panel from row k0, column j of b.  Long products go by runs of rows whose c stays in
 * the second-level cache from one piece of the depth to the next. */
#define GEMM(KIND, PER_STEP, LAY)                                                                                    \
    const size_t piece = part_of(depth, PER_STEP * STEPS, PER_STEP), run = piece < depth ? part_of(rows, RUN, ROWS) : rows; \
    reuse = reuse && columns <= BNN_TILE && depth <= piece;                                                          \
    for (size_t row = 0; row < rows; row += run)                                                                     \
        for (size_t j = 0; j < columns; j += BNN_TILE)                                                               \
            for (size_t k0 = 0; k0 == 0 || k0 < depth; k0 += piece) {                                                \
                const size_t length = bnn_min(piece, depth - k0), width = bnn_min(BNN_TILE, columns - j);            \
                const struct block block = {panel, length, bnn_ceil_div(length, PER_STEP), width};                   \
                if (!reuse) LAY;                                                                                     \
                all_rows(KIND, a + row * a_stride + k0, bnn_min(run, rows - row), a_stride, &block,                  \
                         c + row * c_stride + j, c_stride, k0 != 0);                                                 \
            }

void bnn_gemm_i8_u1_i32_avx2(const int8_t *a, size_t rows, size_t a_stride, const uint64_t *b,
                             size_t b_stride_words, size_t columns, size_t depth,
                             int32_t *c, size_t c_stride, void *panel, int reuse)
{
    GEMM(SIGNS, 4, lay_signs(b + k0 * b_stride_words + j / BNN_TILE, b_stride_words, &block))
}

void bnn_gemm_i8_i8_i32_avx2(const int8_t *a, size_t rows, size_t a_stride, const int8_t *b,
                             size_t b_stride, size_t columns, size_t depth,
                             int32_t *c, size_t c_stride, void *panel, int reuse)
{
    GEMM(BYTES, 2, lay_bytes(b + k0 * b_stride + j, b_stride, &block))
}
#endif
