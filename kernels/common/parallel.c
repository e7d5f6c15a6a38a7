#include "parallel.h"

struct bnn_share bnn_own_share(size_t count, size_t unit)
{
    const size_t all = (size_t)bnn_threads(), each = ((count + all - 1) / all + unit - 1) / unit * unit;
    const size_t first = each * (size_t)bnn_thread(), end = first + each;
    return (struct bnn_share){first < count ? first : count, end < count ? end : count};
}

/* Sums of floats over a share depend on where shares begin: this stays as it is. */
static struct bnn_share run_of(size_t count)
{
    const size_t all = (size_t)bnn_threads(), own = (size_t)bnn_thread(), each = count / all, longer = count % all;
    const size_t first = each * own + (own < longer ? own : longer);
    return (struct bnn_share){first, first + each + (own < longer)};
}

struct loop {
    size_t count;
    bnn_body *body;
    const void *context;
};

static void run_loop(const void *context)
{
    const struct loop *loop = context;
    const struct bnn_share share = run_of(loop->count);
    for (size_t index = share.first; index < share.end; index++) loop->body(loop->context, index);
}

/* Threads that have an iteration to do. */
static int needed(int threads, size_t count)
{
    return count < (size_t)threads ? (count ? (int)count : 1) : threads;
}

void bnn_for(int threads, size_t count, bnn_body *body, const void *context)
{
    bnn_run(needed(threads, count), run_loop, &(struct loop){count, body, context});
}

struct search {
    size_t count;
    bnn_measure *body;
    const void *context;
    double *largest; /* [threads] */
};

static void run_search(const void *context)
{
    const struct search *search = context;
    const struct bnn_share share = run_of(search->count);
    double largest = 0.0;
    for (size_t index = share.first; index < share.end; index++) {
        const double value = search->body(search->context, index);
        largest = value > largest ? value : largest;
    }
    search->largest[bnn_thread()] = largest;
}

double bnn_for_max(int threads, size_t count, bnn_measure *body, const void *context)
{
    double of_share[BNN_MOST_THREADS], largest = 0.0;
    const int shares = needed(threads, count);
    bnn_run(shares, run_search, &(struct search){count, body, context, of_share});
    for (int i = 0; i < shares; i++) largest = of_share[i] > largest ? of_share[i] : largest;
    return largest;
}
