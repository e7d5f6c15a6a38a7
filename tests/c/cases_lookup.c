/* cases_lookup.c: products by look-up.  Tables and panels are an instruction set's own: what is compared are products. */
#include "cases.h"

enum { GROUP = 16, ENTRIES = 16, DEPTHS = 4, COLUMNS = 64 };

void naive_lookup_tables_i8(const int8_t *a, size_t rows, size_t a_stride, size_t depth, enum bnn_lookup_part part,
                            uint8_t *tables, size_t stride_bytes)
{
    for (size_t r = 0; r < rows; r++)
        for (size_t k0 = 0; k0 < bnn_round_up(depth, GROUP); k0 += DEPTHS)
            for (size_t n = 0; n < ENTRIES; n++) {
                int sum = 0;
                for (size_t i = 0; i < DEPTHS && k0 + i < depth; i++) {
                    const int value = a[r * a_stride + k0 + i], low = value % 4;
                    const int which = part == BNN_lookup_whole ? value : part == BNN_lookup_low ? low : (value - low) / 4;
                    sum += n >> i & 1 ? -which : which;
                }
                tables[r * stride_bytes + k0 / DEPTHS * ENTRIES + n] = (uint8_t)(int8_t)sum;
            }
}

void naive_lookup_lay_u1(const uint64_t *b, size_t b_stride_words, size_t depth, size_t columns, uint8_t *panel)
{
    for (size_t k0 = 0; k0 < bnn_round_up(depth, GROUP); k0 += DEPTHS)
        for (size_t j = 0; j < COLUMNS; j++) {
            unsigned index = 0;
            for (size_t i = 0; i < DEPTHS && k0 + i < depth && j < columns; i++)
                index |= (unsigned)naive_bit(b, b_stride_words, k0 + i, j) << i;
            panel[k0 / DEPTHS * COLUMNS + j] = (uint8_t)index;
        }
}

void naive_lookup_gemm_i32(const uint8_t *const *tables, size_t rows, size_t taps, size_t groups, const uint8_t *panel,
                           size_t columns, int weight, int32_t *c, size_t c_stride, int add)
{
    const size_t steps = groups * GROUP / DEPTHS;
    for (size_t r = 0; r < rows; r++)
        for (size_t j = 0; j < columns; j++) {
            int32_t sum = 0;
            for (size_t t = 0; t < taps; t++)
                for (size_t s = 0; s < steps; s++)
                    sum += ((const int8_t *)tables[r * taps + t])[s * ENTRIES + panel[(t * steps + s) * COLUMNS + j]];
            c[r * c_stride + j] = (add ? c[r * c_stride + j] : 0) + weight * sum;
        }
}

/* What belongs together. */
struct set {
    bnn_lookup_tables_i8_fn *tables;
    bnn_lookup_lay_u1_fn *lay;
    bnn_lookup_gemm_i32_fn *gemm;
};

#define SET(isa) {bnn_lookup_tables_i8_##isa, bnn_lookup_lay_u1_##isa, bnn_lookup_gemm_i32_##isa}
static const struct set sets[] = {
    {naive_lookup_tables_i8, naive_lookup_lay_u1, naive_lookup_gemm_i32},
    SET(portable),
#if BNN_X86
    SET(avx2),
    SET(avx512),
#endif
#if BNN_ARM64
    SET(neon),
    SET(neondot),
#endif
};
enum { SETS = sizeof sets / sizeof *sets };

struct product {
    size_t rows, taps, columns, depth;
    enum bnn_lookup_part part;
    const int8_t *a; /* [tables][depth] */
    size_t a_stride;
    const uint64_t *b; /* [taps][depth] */
    size_t b_stride;
    const size_t *order; /* [rows][taps]: rows of a */
    size_t tables;
    int weight, add;
};

static void multiply(const struct set *set, const struct product *p, int32_t *c, size_t c_stride)
{
    const size_t groups = bnn_lookup_groups(p->depth), bytes = bnn_lookup_table_bytes(p->depth);
    const size_t stride = bytes + 64 * (check_random() % 2), panel_bytes = groups * BNN_LOOKUP_PANEL_BYTES;
    uint8_t *tables = check_lines(check_span(p->tables, bytes, stride)), *panel = check_lines(p->taps * panel_bytes);
    const uint8_t **rows = check_block(p->rows * p->taps, sizeof *rows);
    for (size_t i = 0; i < p->rows * p->taps; i++) rows[i] = bytes ? tables + p->order[i] * stride : tables;
    set->tables(p->a, p->tables, p->a_stride, p->depth, p->part, tables, stride);
    for (size_t tap = 0; tap < p->taps; tap++)
        set->lay(p->b + tap * p->depth * p->b_stride, p->b_stride, p->depth, p->columns, panel + tap * panel_bytes);
    set->gemm(rows, p->rows, p->taps, groups, panel, p->columns, p->weight, c, c_stride, p->add);
}

/* Values within +-limit: any, or all at one end, or each at one of the two. */
static int8_t *values(size_t count, int limit, size_t kind)
{
    int8_t *block = check_block(count, 1);
    for (size_t i = 0; i < count; i++) {
        const int end = check_random() % 2 ? limit : -limit;
        block[i] = (int8_t)(kind == 0 ? check_between(-limit, limit) : kind == 1 ? limit : kind == 2 ? -limit : end);
    }
    return block;
}

/* After the usual shapes, depths and taps that add up to more look-ups than narrow sums may hold. */
static void compare(const struct set *run, const struct set *expected)
{
    static const struct {
        size_t taps, depth;
    } deep[] = {{1, 2047}, {1, 2048}, {1, 2049}, {2, 5000}, {9, 250}, {25, 96}, {150, 16}};
    for (size_t i = 0; i < check_shapes + 2 * sizeof deep / sizeof *deep; i++, check_release()) {
        const int more = i >= check_shapes;
        const struct shape s = check_product(more ? 0 : i, 100000);
        struct product p = {.rows = s.rows, .taps = 1 + i % 3, .columns = s.columns % (COLUMNS + 1), .depth = s.depth};
        if (more)
            p = (struct product){.rows = 5, .columns = i % 2 ? COLUMNS : 33, .taps = deep[(i - check_shapes) / 2].taps,
                                 .depth = deep[(i - check_shapes) / 2].depth};
        const size_t kind = i / 3 % 4, a_stride = check_stride(p.depth), b_stride = check_stride(1);
        p.tables = p.rows ? 1 + check_random() % (p.rows * p.taps) : 0;
        p.part = (enum bnn_lookup_part)(i % 3);
        p.a = values(check_span(p.tables, p.depth, a_stride), p.part == BNN_lookup_whole ? 31 : 127, kind);
        p.a_stride = a_stride;
        p.b = check_bits(p.taps * p.depth, p.columns ? p.columns : 1, b_stride, (enum fill)(kind ? i / 2 % FILL_count : 0));
        p.b_stride = b_stride;
        size_t *order = check_block(p.rows * p.taps, sizeof *order);
        for (size_t j = 0; j < p.rows * p.taps; j++) order[j] = check_random() % p.tables;
        p.order = order;
        p.weight = i % 2 ? 4 : 1, p.add = i / 2 % 2;
        const size_t c_stride = check_stride(p.columns), count = check_span(p.rows, p.columns, c_stride);
        int32_t *got = check_i32(count, FILL_random, 1000), *want = check_copy(got, count, 4);
        multiply(run, &p, got, c_stride);
        multiply(expected, &p, want, c_stride);
        CHECK_SAME(got, want, count);
    }
}

#define TEST(OP, FIELD)                                                     \
    void test_##OP(bnn_##OP##_fn *run, bnn_##OP##_fn *expected)             \
    {                                                                       \
        size_t ours = 0, theirs = 0;                                        \
        while (ours < SETS - 1 && sets[ours].FIELD != run) ours++;          \
        while (theirs < SETS - 1 && sets[theirs].FIELD != expected) theirs++; \
        check_that(sets[ours].FIELD == run && sets[theirs].FIELD == expected); \
        compare(&sets[ours], &sets[theirs]);                                \
    }

TEST(lookup_tables_i8, tables)
TEST(lookup_lay_u1, lay)
TEST(lookup_gemm_i32, gemm)
