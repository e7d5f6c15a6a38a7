/* Steps of blocks of the method `efficient`. */
#include "pi_blocks.h"

#include "conv/conv.h"
#include "dense/dense.h"
#include "head/head.h"
#include "pi_room.h"
#include "real_conv/real_conv.h"
#include "stem/stem.h"

/* Some keys: gradients are rounded stochastically. */
static const struct bnn_block_step step = {
    .limit = 31, .dy_key = 1, .dx_key = 1, .magnitude_correction = 1.0f,
    .real = {.optimizer = BNN_adam, .latent_type = BNN_f32, .momentum_type = BNN_f32, .range = 1.0f, .gradient_scale = 1.0f}};

/* Sizes of windows, and what follows them in `sizes`: outputs, batch, threads; then those of the kind. */
enum { WINDOW = 10, OUTPUTS = WINDOW, BATCH, THREADS, OWN };

static struct bnn_window window_of(const size_t *n)
{
    return (struct bnn_window){n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], (enum bnn_pool)n[9]};
}

static size_t inputs_of(const struct bnn_window *w) { return w->height * w->width; }

static const struct bnn_origin *origins_of(const struct bnn_window *w)
{
    struct bnn_origin *origins = zeros(bnn_positions(w) * sizeof *origins);
    bnn_window_origins(w, origins);
    return origins;
}

static void add_norm(struct bnn_block *b)
{
    float **const real[] = {&b->gamma, &b->beta, &b->grad_gamma, &b->grad_beta, &b->gamma_adam1, &b->gamma_adam2,
                            &b->beta_adam1, &b->beta_adam2, &b->running_mean, &b->running_spread};
    for (size_t i = 0; i < sizeof real / sizeof *real; i++) *real[i] = floats(b->outputs);
    b->mean = zeros(b->outputs * 8), b->inverse = zeros(b->outputs * 8);
}

/* Scales are known, as behind a run's first step. */
static struct bnn_block block(size_t inputs, size_t outputs)
{
    static struct bnn_scale scales[3] = {{1.0f, 1.0f}, {1.0f, 1.0f}, {1.0f, 1.0f}};
    struct bnn_block b = {.inputs = inputs, .outputs = outputs, .norm = BNN_norm_l2, .mask = BNN_mask_none,
                          .gradient_type = BNN_i8, .g_scale = scales, .dy_scale = scales + 1, .dx_scale = scales + 2};
    add_norm(&b);
    return b;
}

static void add_binary_weights(struct bnn_block *b)
{
    const size_t weights = b->inputs * b->outputs;
    b->latent_type = BNN_i8, b->integer_update = 1;
    b->latent = zeros(weights), b->momentum1 = zeros(weights);
    b->w_u1 = zeros(b->outputs * 8 * (b->inputs + 1)), b->w_t_u1 = zeros(b->inputs * 8 * bnn_words(b->outputs));
    b->dw_magnitude = floats(b->outputs), b->dw_sums = zeros(b->outputs * 8);
}

static void add_real_weights(struct bnn_block *b)
{
    const size_t bytes = b->inputs * b->outputs * sizeof(float);
    b->latent_type = BNN_f32, b->dw_type = BNN_f32;
    b->latent = zeros(bytes), b->momentum1 = zeros(bytes), b->momentum2 = zeros(bytes);
}

/* What a binary block reads and makes: [rows_in][bytes_in], [rows_out][O]. */
static void add_activations(struct bnn_block *b, size_t rows_in, size_t rows_out, int first, int last)
{
    if (first) b->x_i8 = zeros(rows_in);
    else b->x_u1 = zeros(rows_in * 8);
    if (last) b->out_f32 = zeros(rows_out * b->outputs * 4);
    else b->out_u1 = zeros(rows_out * bnn_words(b->outputs) * 8);
    b->mask = BNN_mask_recompute;
}

/* A stream of int16 that a block reads, and one that it makes, with their gradients. */
static void read_stream(struct bnn_block *b, size_t values, int adds)
{
    b->stream.in = zeros(2 * values), b->stream.g_in = zeros(2 * values), b->stream.adds = adds;
}

static void make_stream(struct bnn_block *b, size_t values)
{
    b->stream.out = zeros(2 * values), b->stream.g_out = zeros(2 * values);
}

static void add_scratch(struct bnn_block *b, size_t bytes, size_t threads)
{
    b->scratch_stride = bytes, b->scratch = zeros(threads * bytes);
}

/* inputs, outputs, batch, threads, first, last */
static void dense(const struct bnn_kernels *k, const size_t *n)
{
    const size_t inputs = n[0], outputs = n[1], batch = n[2], threads = n[3];
    const int first = (int)n[4], last = (int)n[5];
    struct bnn_dense d = {.block = block(inputs, outputs)};
    struct bnn_block *b = &d.block;
    add_binary_weights(b);
    add_activations(b, batch * (first ? inputs : bnn_words(inputs)), batch, first, last);
    b->g = zeros(batch * outputs), d.dy_t = zeros(batch * outputs);
    if (!first) b->dx = zeros(batch * inputs);
    add_scratch(b, bnn_dense_scratch(outputs, batch, BNN_i8), threads);
    bnn_dense_forward(k, &d, batch, 0, (int)threads);
    bnn_dense_backward(k, &d, batch, &step, (int)threads);
    bnn_dense_update(k, &d, &step, (int)threads);
}

/* Where a convolution's gradients are: in the region that all share, or in a stream and a dY of its own. */
static void add_gradients(struct bnn_conv *c, size_t batch, int is_residual, int adds)
{
    struct bnn_block *b = &c->block;
    const struct bnn_window *w = &c->window;
    const size_t in = batch * inputs_of(w), values_in = in * w->channels, values = batch * bnn_positions(w) * b->outputs;
    if (!is_residual) {
        b->g = b->dx = zeros(bnn_max(values, values_in));
        return;
    }
    b->g = zeros(values);
    read_stream(b, values_in, adds), make_stream(b, values);
    b->stream.mask = zeros(in * bnn_words(w->channels) * 8), b->stream.addend = b->stream.out;
    b->dx = b->stream.g_in;
}

/* Behind the window's: first, y kept forward, y kept backward, limit, flattened, whether taps are skipped; of a residual one whether
 * it adds to the gradient of what it reads */
static void conv(const struct bnn_kernels *k, const size_t *n, int is_residual)
{
    const size_t outputs = n[OUTPUTS], batch = n[BATCH], threads = n[THREADS], *own = n + OWN;
    const int first = (int)own[0];
    struct bnn_conv c = {.window = window_of(n)};
    const struct bnn_window *w = &c.window;
    const size_t positions = bnn_positions(w), taps = bnn_taps(w), inputs = inputs_of(w);
    struct bnn_block *b = &c.block;
    *b = block(taps * w->channels, outputs);
    add_binary_weights(b);
    add_gradients(&c, batch, is_residual, (int)own[6]);
    if (is_residual) b->x_u1 = zeros(batch * inputs * bnn_words(w->channels) * 8);
    else add_activations(b, batch * inputs * (first ? w->channels : bnn_words(w->channels)), batch * bnn_out_positions(w), first, 0);
    c.origins = origins_of(w);
    if (w->pool != BNN_pool_none) c.argmax = zeros(batch * positions * bnn_words(outputs) * 8);
    if (own[1]) c.y_forward = zeros(2 * batch * bnn_norm_positions(w) * outputs);
    if (own[2]) c.y_backward = zeros(2 * batch * bnn_norm_positions(w) * outputs);
    c.group = bnn_conv_group(w, (int)threads);
    if (w->pool == BNN_pool_before_sign || w->pool == BNN_pool_after_sign)
        c.window_gradient = zeros(c.group * bnn_windows(w) * outputs);
    struct bnn_block_step of_conv = step;
    of_conv.limit = (int)own[3];
    if (first) b->dx = NULL;
    else {
        int32_t *neighbours = zeros(inputs * taps * sizeof *neighbours);
        bnn_window_neighbours(w, neighbours), c.neighbours = neighbours;
        c.tables = zeros(bnn_conv_tables(&c, of_conv.limit)), c.lookup = zeros(bnn_conv_lookup(&c));
        if (own[5]) c.tap_sums = zeros(taps * outputs * 4);
    }
    if (own[4]) c.flat_u1 = zeros(batch * 8 * bnn_words(bnn_out_positions(w) * outputs));
    add_scratch(b, bnn_conv_scratch(&c), threads);
    bnn_conv_forward(k, &c, batch, 0, (int)threads);
    bnn_conv_backward(k, &c, batch, &of_conv, (int)threads);
    bnn_conv_update(k, &c, &of_conv, (int)threads);
}

/* A real convolution, without what it reads and makes. */
static struct bnn_real_conv real_of(const size_t *n)
{
    struct bnn_real_conv r = {.conv.window = window_of(n)};
    const struct bnn_window *w = &r.conv.window;
    struct bnn_block *b = &r.conv.block;
    *b = block(bnn_taps(w) * w->channels, n[OUTPUTS]);
    add_real_weights(b);
    r.conv.origins = origins_of(w);
    r.w_rows = zeros(b->inputs * b->outputs), r.w_columns = zeros(b->inputs * b->outputs), r.w_unit = floats(b->outputs);
    return r;
}

/* Behind the window's: height, width and pooling side of the stream that it reads, all 0 where it reads pixels; whether it adds to that
 * one's gradient */
static void real_conv(const struct bnn_kernels *k, const size_t *n)
{
    const size_t batch = n[BATCH], threads = n[THREADS], *own = n + OWN;
    struct bnn_real_conv r = real_of(n);
    const struct bnn_window *w = &r.conv.window;
    struct bnn_block *b = &r.conv.block;
    const size_t values = batch * inputs_of(w) * w->channels;
    make_stream(b, batch * bnn_positions(w) * b->outputs);
    if (own[0]) {
        r.stream_height = own[0], r.stream_width = own[1], r.pooled = own[2];
        read_stream(b, batch * own[0] * own[1] * w->channels, (int)own[3]);
        r.x_i8 = zeros(values), r.amax = floats(2);
    } else b->x_i8 = zeros(values);
    add_scratch(b, bnn_real_conv_scratch(&r), threads);
    bnn_real_conv_forward(k, &r, batch, 0, (int)threads);
    bnn_real_conv_backward(k, &r, batch, &step, (int)threads);
    bnn_update(k, b, &step, b->inputs, (int)threads);
}

/* Behind the window's: height and width of what is pooled, rows and columns by which the first window sticks out, whether there are a
 * ReLU and a second norm */
static void stem(const struct bnn_kernels *k, const size_t *n)
{
    const size_t batch = n[BATCH], threads = n[THREADS], *own = n + OWN;
    struct bnn_stem s = {.real = real_of(n), .pooled_height = own[0], .pooled_width = own[1], .pad_top = own[2],
                         .pad_left = own[3], .relu = (int)own[4]};
    const struct bnn_window *w = &s.real.conv.window;
    struct bnn_block *b = &s.real.conv.block, second = {.outputs = b->outputs, .norm = b->norm,
                                                        .gradient_type = b->gradient_type, .g_scale = b->g_scale};
    const size_t values = batch * own[0] * own[1] * b->outputs;
    make_stream(b, values);
    b->x_i8 = zeros(batch * inputs_of(w) * w->channels);
    s.pooled = zeros(2 * values), s.affine = zeros(6 * b->outputs * sizeof *s.affine);
    if (own[5]) add_norm(&second), s.second = &second;
    add_scratch(b, bnn_stem_scratch(&s), threads);
    bnn_stem_forward(k, &s, batch, 0, (int)threads);
    bnn_stem_backward(k, &s, batch, &step, (int)threads);
    bnn_update(k, b, &step, b->inputs, (int)threads);
    if (s.second) bnn_update(k, s.second, &step, b->inputs, (int)threads);
}

/* channels, outputs, batch, threads, positions, whether there is a ReLU */
static void head(const struct bnn_kernels *k, const size_t *n)
{
    const size_t channels = n[0], outputs = n[1], batch = n[2], threads = n[3];
    struct bnn_head h = {.block = block(channels, outputs), .positions = n[4], .relu = (int)n[5]};
    struct bnn_block *b = &h.block;
    add_real_weights(b);
    b->gamma = NULL; /* beta is the bias */
    read_stream(b, batch * h.positions * channels, 0);
    b->out_f32 = zeros(batch * outputs * sizeof *b->out_f32), b->g = floats(batch * outputs);
    h.features = zeros(batch * channels * sizeof *h.features);
    h.turned = zeros(channels * outputs * sizeof *h.turned), h.weights = b->latent;
    add_scratch(b, bnn_head_scratch(&h), threads);
    bnn_head_forward(k, &h, batch, (int)threads);
    bnn_head_backward(k, &h, batch, &step, (int)threads);
    bnn_update(k, b, &step, b->inputs, (int)threads);
}

static void binary_conv(const struct bnn_kernels *k, const size_t *n) { conv(k, n, 0); }
static void residual(const struct bnn_kernels *k, const size_t *n) { conv(k, n, 1); }

static const struct {
    const char *name;
    void (*run)(const struct bnn_kernels *k, const size_t *sizes);
} kinds[] = {{"dense", dense}, {"conv", binary_conv}, {"residual", residual}, {"real_conv", real_conv}, {"stem", stem}, {"head", head}};

int run_block(const struct bnn_kernels *k, const char *kind, const size_t *sizes)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (!strcmp(kind, kinds[i].name)) {
            kinds[i].run(k, sizes);
            return 1;
        }
    return 0;
}
