/* portable.c: the look-ups one by one.  Table [group][4][16] signed bytes, panel [tap][group][4][64] indices. */
#include "lookup.h"

enum { TABLES = 4, ENTRIES = 16, DEPTHS = 4 };

void bnn_lookup_tables_i8_portable(const int8_t *a, size_t rows, size_t a_stride, size_t depth,
                                   enum bnn_lookup_part part, uint8_t *tables, size_t stride_bytes)
{
    for (size_t row = 0; row < rows; row++)
        for (size_t k = 0; k < bnn_lookup_groups(depth) * BNN_LOOKUP_GROUP; k += DEPTHS)
            for (unsigned entry = 0; entry < ENTRIES; entry++) {
                int sum = 0; /* |sum| <= 4 * 31 */
                for (unsigned i = 0; i < DEPTHS && k + i < depth; i++) {
                    const int value = bnn_lookup_part(a[row * a_stride + k + i], part);
                    sum += entry >> i & 1 ? -value : value;
                }
                tables[row * stride_bytes + k / DEPTHS * ENTRIES + entry] = (uint8_t)sum;
            }
}

void bnn_lookup_lay_u1_portable(const uint64_t *b, size_t b_stride_words, size_t depth, size_t columns, uint8_t *panel)
{
    memset(panel, 0, bnn_lookup_groups(depth) * BNN_LOOKUP_PANEL_BYTES);
    for (size_t k = 0; k < depth; k++)
        for (size_t j = 0; j < columns; j++)
            panel[k / DEPTHS * BNN_TILE + j] |= (uint8_t)((b[k * b_stride_words] >> j & 1) << k % DEPTHS);
}

void bnn_lookup_gemm_i32_portable(const uint8_t *const *tables, size_t rows, size_t taps, size_t groups,
                                  const uint8_t *panel, size_t columns, int weight, int32_t *c, size_t c_stride,
                                  int add)
{
    for (size_t row = 0; row < rows; row++, c += c_stride) {
        int32_t sum_i32[BNN_TILE] = {0};
        const uint8_t *index = panel;
        for (size_t tap = 0; tap < taps; tap++) {
            const int8_t *table = (const int8_t *)tables[row * taps + tap];
            for (size_t step = 0; step < groups * TABLES; step++, table += ENTRIES, index += BNN_TILE)
                for (size_t j = 0; j < BNN_TILE; j++) sum_i32[j] += table[index[j]];
        }
        for (size_t j = 0; j < columns; j++) c[j] = (add ? c[j] : 0) + weight * sum_i32[j];
    }
}
