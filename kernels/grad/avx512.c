/* avx512.c: products of int8 values with signs or int8 values by four-way dot products.
 *
 * The panel holds b as int8 (signs as +-1), four depths of a column side by side: [depth/4][columns][4].  vpdpbusd wants
 * one unsigned operand: a ^ 0x80 = a + 128 as a byte, so that with the column sums of the panel
 *     sum_k a*b = sum_k (a + 128)*b - 128 * sum_k b.
 * The second term is where the accumulators start.  32-bit sums wrap and are right modulo 2^32.
 * A tile is ROWS rows of a by four vectors of 16 columns: 24 accumulators, 4 vectors of the panel, 1 of a, 1 constant.
 *
 *   instruction            MAC      per cycle on Zen 4                      per tile and four depths
 *   vpdpbusd zmm           64       1 (two 256-bit pipes)                   24
 *   vpxord zmm, m32{1to16} -        1 load, half a cycle of any vector pipe  6
 *   vmovdqa64 zmm, m512    -        1 load                                   4
 *   The limit is 64 MAC a cycle.  Building a panel costs about 20 cycles per four depths of 64 columns, once for all rows.
 */
#if defined(__x86_64__)
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx512vpopcntdq,avx2,bmi,bmi2,popcnt")
#include <immintrin.h>

#include "grad.h"

enum { ROWS = 6, RUN = 85 * ROWS, QUAD = 4, LANES = 16, WIDE = BNN_TILE / LANES };
#define UNROLL _Pragma("GCC unroll 8")

/* A block of b in the panel: `depth` rows of `width` columns, in `vectors` (1 or WIDE) vectors per four depths, of
 * which the `live` lanes are columns of b. */
struct block {
    int8_t *panel;
    size_t depth, width;
    int vectors;
    __mmask16 live[WIDE];
};

static inline int32_t load_quad(const int8_t *a)
{
    int32_t quad;
    memcpy(&quad, a, sizeof quad);
    return quad;
}

/* The last 1, 2 or 3 values of a row; the missing ones count as 0, which the panel's zeros cancel. */
static inline int32_t load_some(const int8_t *a, size_t count)
{
    const size_t middle = count / 2, last = count - 1;
    return (int32_t)((uint8_t)a[0] | (uint32_t)(uint8_t)a[middle] << 8 * middle | (uint32_t)(uint8_t)a[last] << 8 * last);
}

/* sum += four products per lane.  gcc 12 copies and spills the sums around the intrinsic; an operand that is changed in
 * place stays where it is. */
static inline __m512i dot4(__m512i sum_i32x16, __m512i a_u8x64, __m512i b_i8x64)
{
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum_i32x16) : "v"(a_u8x64), "vm"(b_i8x64));
    return sum_i32x16;
}

/* c[rows][vectors*16] = start + a * panel, or that added to c. */
static inline __attribute__((always_inline)) void tile(const int rows, const int vectors, const int8_t *a,
                                                       size_t a_stride, const struct block *block,
                                                       const __m512i *start, int32_t *c, size_t c_stride, int add)
{
    const __m512i flip_u8x64 = _mm512_set1_epi8((char)0x80);
    const size_t whole = block->depth / QUAD * QUAD, some = block->depth % QUAD;
    const int8_t *panel = block->panel, *a_row[ROWS];
    __m512i sum_i32x16[ROWS][WIDE];
    UNROLL for (int row = 0; row < rows; row++) {
        a_row[row] = a + row * a_stride;
        UNROLL for (int v = 0; v < vectors; v++) sum_i32x16[row][v] = start[v];
    }
#define STEP(LOAD)                                                                                   \
    do {                                                                                             \
        __m512i b_i8x64[WIDE];                                                                       \
        UNROLL for (int v = 0; v < vectors; v++) b_i8x64[v] = _mm512_load_si512(panel + 64 * v);     \
        UNROLL for (int row = 0; row < rows; row++) {                                                \
            const __m512i a_u8x64 = _mm512_xor_si512(_mm512_set1_epi32(LOAD), flip_u8x64);           \
            UNROLL for (int v = 0; v < vectors; v++)                                                 \
                sum_i32x16[row][v] = dot4(sum_i32x16[row][v], a_u8x64, b_i8x64[v]);                  \
        }                                                                                            \
    } while (0)
    for (size_t k = 0; k < whole; k += QUAD, panel += 64 * vectors) STEP(load_quad(a_row[row] + k));
    if (some) STEP(load_some(a_row[row] + whole, some));
#undef STEP
    UNROLL for (int row = 0; row < rows; row++)
        UNROLL for (int v = 0; v < vectors; v++) {
            int32_t *to = c + row * c_stride + LANES * v;
            const __m512i before = _mm512_maskz_loadu_epi32(add ? block->live[v] : 0, to);
            _mm512_mask_storeu_epi32(to, block->live[v], _mm512_add_epi32(sum_i32x16[row][v], before));
        }
}

/* All rows of a against the block; every switch arm is a tile with its sizes known at compile time. */
static inline __attribute__((always_inline)) void all_rows(const int vectors, const int8_t *a, size_t rows,
                                                           size_t a_stride, const struct block *block, int32_t *c,
                                                           size_t c_stride, int add)
{
    __m512i start[WIDE];
    for (int v = 0; v < vectors; v++) start[v] = _mm512_setzero_si512();
    for (size_t k = 0; k < block->depth; k += QUAD)
        for (int v = 0; v < vectors; v++)
            start[v] = dot4(start[v], _mm512_set1_epi8((char)128),
                            _mm512_load_si512(block->panel + k * LANES * vectors + 64 * v));
    for (int v = 0; v < vectors; v++) start[v] = _mm512_sub_epi32(_mm512_setzero_si512(), start[v]);
    for (; rows >= ROWS; rows -= ROWS, a += ROWS * a_stride, c += ROWS * c_stride)
        tile(ROWS, vectors, a, a_stride, block, start, c, c_stride, add);
    switch (rows) {
    case 5: tile(5, vectors, a, a_stride, block, start, c, c_stride, add); break;
    case 4: tile(4, vectors, a, a_stride, block, start, c, c_stride, add); break;
    case 3: tile(3, vectors, a, a_stride, block, start, c, c_stride, add); break;
    case 2: tile(2, vectors, a, a_stride, block, start, c, c_stride, add); break;
    case 1: tile(1, vectors, a, a_stride, block, start, c, c_stride, add); break;
    }
}

static void multiply(const int8_t *a, size_t rows, size_t a_stride, const struct block *block,
                     int32_t *c, size_t c_stride, int add)
{
    if (block->vectors == 1) all_rows(1, a, rows, a_stride, block, c, c_stride, add);
    else all_rows(WIDE, a, rows, a_stride, block, c, c_stride, add);
}

/* The size of equal parts of `whole`, each a multiple of `unit` and at most `limit` (which is such a multiple). */
static inline size_t part_of(size_t whole, size_t limit, size_t unit)
{
    const size_t parts = bnn_max(1, bnn_ceil_div(whole, limit));
    return bnn_max(unit, bnn_round_up(bnn_ceil_div(whole, parts), unit));
}

static inline struct block block_at(void *panel, size_t depth, size_t width)
{
    const uint64_t live = bnn_low_bits(width);
    return (struct block){panel, depth, width, width <= LANES ? 1 : WIDE,
                          {(__mmask16)live, (__mmask16)(live >> 16), (__mmask16)(live >> 32), (__mmask16)(live >> 48)}};
}

/* b [depth][words] bits: bytes +1 and -1.  A vector holds bit c of four words in bytes 4c ... 4c + 3: the words' bytes are
 * interleaved, the two that hold its 16 columns are spread over the bytes, and each byte tests its own bit. */
static void lay_signs(const uint64_t *b, size_t b_stride_words, const struct block *block)
{
    const __m512i spread = _mm512_set_epi32(0x07060504, 0x07060504, 0x07060504, 0x07060504, 0x07060504, 0x07060504,
                                            0x07060504, 0x07060504, 0x03020100, 0x03020100, 0x03020100, 0x03020100,
                                            0x03020100, 0x03020100, 0x03020100, 0x03020100);
    const __m512i bit = _mm512_set4_epi64(0x8080808040404040, 0x2020202010101010, 0x0808080804040404, 0x0202020201010101);
    for (size_t k = 0; k < block->depth; k += QUAD) {
        const size_t live = bnn_min(QUAD, block->depth - k);
        /* Depths past the end are 0, neither +1 nor -1. */
        const __m512i plus = _mm512_set1_epi32((int32_t)(0x01010101 & bnn_low_bits(8 * live)));
        const __m512i minus = _mm512_set1_epi32((int32_t)(uint32_t)bnn_low_bits(8 * live));
        __m128i word[QUAD];
        for (size_t i = 0; i < QUAD; i++)
            word[i] = i < live ? _mm_loadl_epi64((const __m128i *)(b + (k + i) * b_stride_words)) : _mm_setzero_si128();
        const __m128i pair01 = _mm_unpacklo_epi8(word[0], word[1]), pair23 = _mm_unpacklo_epi8(word[2], word[3]);
        const __m128i low = _mm_unpacklo_epi16(pair01, pair23), high = _mm_unpackhi_epi16(pair01, pair23);
        const __m128i bytes[WIDE] = {low, _mm_unpackhi_epi64(low, low), high, _mm_unpackhi_epi64(high, high)};
        for (int v = 0; v < block->vectors; v++) {
            __m512i own = _mm512_shuffle_epi8(_mm512_broadcastq_epi64(bytes[v]), spread);
            _mm512_store_si512(block->panel + k * LANES * block->vectors + 64 * v,
                               _mm512_mask_blend_epi8(_mm512_test_epi8_mask(own, bit), plus, minus));
        }
    }
}

/* b [depth][columns] int8: four rows become one by interleaving bytes, after the groups of four columns were dealt to the
 * 128-bit lanes in which the interleaving leaves them in order. */
static void lay_bytes(const int8_t *b, size_t b_stride, const struct block *block)
{
    const __m512i deal = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
    const __mmask64 columns = bnn_low_bits(block->width);
    for (size_t k = 0; k < block->depth; k += QUAD) {
        __m512i row[QUAD];
        for (size_t i = 0; i < QUAD; i++)
            row[i] = _mm512_permutexvar_epi32(
                deal, _mm512_maskz_loadu_epi8(k + i < block->depth ? columns : 0, b + (k + i) * b_stride));
        const __m512i low01 = _mm512_unpacklo_epi8(row[0], row[1]), low23 = _mm512_unpacklo_epi8(row[2], row[3]);
        const __m512i high01 = _mm512_unpackhi_epi8(row[0], row[1]), high23 = _mm512_unpackhi_epi8(row[2], row[3]);
        const __m512i quads[WIDE] = {_mm512_unpacklo_epi16(low01, low23), _mm512_unpackhi_epi16(low01, low23),
                                     _mm512_unpacklo_epi16(high01, high23), _mm512_unpackhi_epi16(high01, high23)};
        for (int v = 0; v < block->vectors; v++)
            _mm512_store_si512(block->panel + k * LANES * block->vectors + 64 * v, quads[v]);
    }
}

/* Walks b in blocks; LAY fills the panel from row k0, column j of b.  Long products go by runs of rows whose c stays in
 * the second-level cache from one piece of the depth to the next. */
#define GEMM(LAY)                                                                                                     \
    const size_t step = part_of(depth, BNN_PANEL_DEPTH, QUAD), run = step < depth ? part_of(rows, RUN, ROWS) : rows;  \
    reuse = reuse && columns <= BNN_TILE && depth <= BNN_PANEL_DEPTH;                                                 \
    for (size_t row = 0; row < rows; row += run)                                                                      \
        for (size_t j = 0; j < columns; j += BNN_TILE)                                                                \
            for (size_t k0 = 0; k0 == 0 || k0 < depth; k0 += step) {                                                  \
                const struct block block = block_at(panel, bnn_min(step, depth - k0), bnn_min(BNN_TILE, columns - j)); \
                if (!reuse) LAY;                                                                                      \
                multiply(a + row * a_stride + k0, bnn_min(run, rows - row), a_stride, &block,                         \
                         c + row * c_stride + j, c_stride, k0 != 0);                                                  \
            }

void bnn_gemm_i8_u1_i32_avx512(const int8_t *a, size_t rows, size_t a_stride, const uint64_t *b,
                               size_t b_stride_words, size_t columns, size_t depth,
                               int32_t *c, size_t c_stride, void *panel, int reuse)
{
    GEMM(lay_signs(b + k0 * b_stride_words + j / BNN_TILE, b_stride_words, &block))
}

void bnn_gemm_i8_i8_i32_avx512(const int8_t *a, size_t rows, size_t a_stride, const int8_t *b,
                               size_t b_stride, size_t columns, size_t depth,
                               int32_t *c, size_t c_stride, void *panel, int reuse)
{
    GEMM(lay_bytes(b + k0 * b_stride + j, b_stride, &block))
}
#endif
