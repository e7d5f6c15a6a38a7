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

/* Threads that have an iteration to do. */
static int needed(int threads, size_t count)
{
    return count < (size_t)threads ? (count ? (int)count : 1) : threads;
}

struct loop {
    size_t count;
    bnn_share_body *body;
    const void *context;
};

static void run_loop(const void *context)
{
    const struct loop *loop = context;
    loop->body(loop->context, run_of(loop->count));
}

void bnn_for_shares(int threads, size_t count, bnn_share_body *body, const void *context)
{
    bnn_run(needed(threads, count), run_loop, &(struct loop){count, body, context});
}

struct each {
    bnn_body *body;
    const void *context;
};

static void run_each(const void *context, struct bnn_share share)
{
    const struct each *each = context;
    for (size_t index = share.first; index < share.end; index++) each->body(each->context, index);
}

void bnn_for(int threads, size_t count, bnn_body *body, const void *context)
{
    bnn_for_shares(threads, count, run_each, &(struct each){body, context});
}

struct search {
    bnn_share_measure *body;
    const void *context;
    double *largest; /* [threads] */
};

static void search_share(const void *context, struct bnn_share share)
{
    const struct search *search = context;
    search->largest[bnn_thread()] = search->body(search->context, share);
}

double bnn_max_of_shares(int threads, size_t count, bnn_share_measure *body, const void *context)
{
    double of_share[BNN_MOST_THREADS], largest = 0.0;
    const int shares = needed(threads, count);
    bnn_for_shares(threads, count, search_share, &(struct search){body, context, of_share});
    for (int i = 0; i < shares; i++) largest = of_share[i] > largest ? of_share[i] : largest;
    return largest;
}
