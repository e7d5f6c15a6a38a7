/* dY in place of g: sums of the cancelled gradient over the batch, coefficients per channel, then one affine function per
 * value.  Where pooling comes after the norm dY has four times the values of g, and groups of images are spread from the
 * last to the first, so that no image is overwritten before it is read. */
#include "../block/gradient.h"
#include "pass.h"

/* A pass over pieces of images first ... first + images - 1. */
struct backward {
    const struct conv_call *call;
    const struct bnn_thresholds *thresholds;
    enum source source;
    int sums;             /* the pass for sums; otherwise the one for dY */
    int measure;          /* find only the amax of dY: int8 */
    size_t first, images;
    const void *pooled;   /* pooling after the norm: g, from row `pooled_first` on */
    size_t pooled_first;
    struct bnn_norm_affine affine;
};

/* A tile's part of sums per channel. */
static struct bnn_norm_sums norm_sums(const struct bnn_block *b, const struct conv_sums *s, size_t base)
{
    if (b->gradient_type == BNN_i8) return (struct bnn_norm_sums){s->whole[0] + base, s->whole[1] + base, s->whole[2] + base};
    return (struct bnn_norm_sums){s->real[0] + base, s->real[1] + base, s->whole[2] + base};
}

/* g of a piece that pooling after the norm spreads, into n->g. */
static void spread(const struct backward *back, const struct pass *s, const struct bnn_norm_tile *n)
{
    const struct bnn_kernels *k = s->k;
    const struct bnn_block *b = &s->c->block;
    const size_t width = bnn_tile_width(b->outputs, n->tile), windows = n->rows / BNN_POOL_ROWS;
    const size_t at = (s->piece.out_first - back->pooled_first) * b->outputs + n->tile * BNN_TILE;
    if (!s->piece.windows) {
        const size_t bytes = b->gradient_type == BNN_i8 ? sizeof(int8_t) : sizeof(float);
        for (size_t r = 0; r < n->rows; r++) memset((unsigned char *)n->g + r * n->g_stride * bytes, 0, width * bytes);
        return;
    }
    bnn_conv_choose(s, n->tile, n->thresholds);
    if (b->gradient_type == BNN_i8) {
        k->pool_spread_i8((const int8_t *)back->pooled + at, windows, width, b->outputs, s->argmax, 1, n->g, n->g_stride);
    } else {
        bnn_load_gradient(k, b->gradient_type, back->pooled, at, b->outputs, windows, width, s->pooled, BNN_TILE);
        k->pool_spread_f32(s->pooled, windows, width, BNN_TILE, s->argmax, 1, n->g, n->g_stride);
    }
}

/* Sums of a tile of a piece, whose y is in the scratch, or its dY; the amax of an int8 dY. */
static float visit(const struct backward *back, const struct pass *s, size_t tile)
{
    const struct bnn_kernels *k = s->k;
    const struct bnn_block *b = &s->c->block;
    const size_t base = tile * BNN_TILE;
    const int whole = b->gradient_type == BNN_i8, is_after = is_pooled_after_norm(s->c);
    /* dY may be written where it belongs only in its turn: a pass that only looks spreads g aside. */
    const int in_place = whole && !(back->sums || back->measure);
    struct bnn_norm_tile n = {tile, s->piece.norm_rows, s->piece.norm_first * b->outputs + base, back->thresholds + tile,
                              s->tile, whole ? (void *)s->bytes : s->real, BNN_TILE, NULL};
    if (!is_after || in_place) bnn_norm_load(k, b, &n, s->real);
    if (is_after) spread(back, s, &n);
    if (back->sums) {
        const struct bnn_norm_sums sums = norm_sums(b, &s->sums, base);
        bnn_norm_sum(k, b, &n, &sums);
        return 0.0f;
    }
    /* What is worked on where it lies has been cancelled by the pass for sums, unless it has been spread since. */
    if (is_after || !whole) bnn_norm_cancel(k, b, &n);
    bnn_norm_factor(k, b, &n);
    const struct bnn_norm_affine affine = {back->affine.a + base, back->affine.b + base, back->affine.c + base};
    return bnn_norm_write(k, b, &n, &affine, back->call->step, back->measure);
}

static double visit_pieces(const void *context, struct bnn_share pieces)
{
    const struct backward *back = context;
    const struct bnn_conv *c = back->call->c;
    const struct bnn_block *b = &c->block;
    struct pass s = bnn_conv_pass(back->call->k, c);
    float largest = 0.0f, amax;
    for (size_t number = pieces.first; number < pieces.end; number++) {
        s.piece = bnn_piece(c, back->first, back->images, number);
        if (back->source != READ) TIMED(b, BNN_zone_gather, bnn_im2col(c, s.piece.first, s.piece.rows, s.patch));
        for (size_t tile = 0; tile < bnn_words(b->outputs); tile++) {
            TIMED(b, BNN_zone_recompute, bnn_conv_y(&s, tile, back->source, c->y_backward, back->sums));
            TIMED(b, BNN_zone_norm_backward, amax = visit(back, &s, tile));
            largest = amax > largest ? amax : largest;
        }
    }
    return largest;
}

static float pass_over(const struct backward *back)
{
    return (float)bnn_max_of_shares(back->call->threads, bnn_pieces(back->call->c, back->images), visit_pieces, back);
}

/* dY of all images, or only its amax; in groups from the last to the first where it takes more space than g. */
static float output_gradients(const void *context, int measure)
{
    struct backward back = *(const struct backward *)context;
    const struct bnn_conv *c = back.call->c;
    const struct bnn_block *b = &c->block;
    const size_t rows = bnn_out_positions(&c->window), row_bytes = b->outputs * bnn_type_bytes(b->gradient_type);
    float largest = 0.0f;
    back.measure = measure;
    if (measure || !is_pooled_after_norm(c)) return pass_over(&back);
    back.pooled = c->window_gradient;
    for (size_t end = back.images, group; end > 0; end -= group) {
        group = bnn_min(c->group, end);
        back.first = end - group, back.images = group, back.pooled_first = back.first * rows;
        memcpy(c->window_gradient, (const unsigned char *)b->g + back.pooled_first * row_bytes, group * rows * row_bytes);
        const float amax = pass_over(&back);
        largest = amax > largest ? amax : largest;
    }
    return largest;
}

/* Once for all passes. */
static void mask_image(const void *context, size_t image)
{
    const struct conv_call *call = context;
    const struct bnn_block *b = &call->c->block;
    const size_t rows = bnn_out_positions(&call->c->window);
    TIMED(b, BNN_zone_norm_backward, bnn_mask_gradient(call->k, b, image * rows, rows, 0, b->outputs));
}

void bnn_conv_output_gradient(const struct conv_call *call)
{
    const struct bnn_conv *c = call->c;
    const struct bnn_block *b = &c->block;
    struct backward back = {.call = call, .sums = 1, .images = call->batch, .pooled = b->g,
                            .source = c->y_backward ? MULTIPLY_AND_KEEP : MULTIPLY};
    if (b->mask == BNN_mask_stored || b->mask == BNN_mask_retained) bnn_for(call->threads, call->batch, mask_image, call);
    TIMED(b, BNN_zone_norm_backward, back.thresholds = bnn_conv_thresholds(c));
    bnn_conv_clear_sums(call);
    pass_over(&back);
    const struct conv_sums all = bnn_conv_reduce_sums(call);
    const struct bnn_norm_sums sums = norm_sums(b, &all, 0);
    back.affine = (struct bnn_norm_affine){all.real[0], all.real[1], all.real[2]};
    bnn_norm_coefficients(b, 0, b->outputs, (double)(call->batch * bnn_norm_positions(&c->window)), &sums, &back.affine);
    back.sums = 0;
    back.source = c->y_backward ? READ : MULTIPLY;
    if (b->gradient_type == BNN_i8)
        bnn_make_scaled(b->dy_scale, call->step->current_scales, (float)call->step->limit, output_gradients, &back);
    else
        output_gradients(&back, 0);
}
