/* pool.c: the threads behind bnn_run.
 *
 * One pool serves the process.  Its threads are started when a job first asks for them, and stay.  A job is posted as one
 * word, its number and its count of shares.  A share is claimed by raising the number that stands in its place to the
 * job's: a thread that comes late, with the word of a job that is over, finds all shares of that job claimed.  Only who
 * holds a claim reads the job itself, which therefore cannot change meanwhile.
 *
 * Who has nothing to do looks for work for SPIN_NS, then sleeps.  Between two jobs of a step lie a few microseconds, and
 * waking up a thread takes tens of them: on a machine of one's own nobody goes to sleep in a step.  On a busy machine a
 * waiting thread soon leaves its core to whoever is being waited for.  The caller also takes shares that nobody has
 * begun, so that it seldom waits at all.
 *
 * A child of fork has none of the threads; the pool starts again there.  Two callers at once: the second does all shares
 * of its job alone, as does a caller for whom the system starts no thread. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include "parallel.h"

/* How long a wait goes on without sleeping: longer than threads of equal shares are mostly apart, shorter than a time
 * slice.  At a fifth of it a step of CNV or BinaryNet on two threads has some fifty sleeps instead of ten or twenty. */
#define SPIN_NS 1000000
/* Looks between two looks at the clock. */
#define LOOKS 64
/* Address space of a thread's stack; what kernels put there is some tens of KiB. */
#define STACK_BYTES ((size_t)1 << 20)
#define CACHE_LINE 64
/* A word: a job's number, which is never used again, and its shares. */
#define SHARE_BITS 16

/* Of a share, and of the thread that takes it first. */
struct place {
    _Alignas(CACHE_LINE) _Atomic uint64_t claimed; /* number of the last job whose share it was */
    _Atomic int sleeps;
    pthread_cond_t wanted;
};

static struct {
    atomic_flag taken; /* somebody's job is being done */
    pthread_mutex_t mutex;
    pthread_cond_t finished;
    int workers, refused; /* threads that there are; whether the system gives no more */
    int threads;          /* of the last job, the caller among them */
    bnn_job *job;
    const void *context;
    _Alignas(CACHE_LINE) _Atomic uint64_t word;
    _Atomic int spins; /* whether a wait begins with looking */
    _Alignas(CACHE_LINE) _Atomic int done; /* shares */
    _Atomic int caller_sleeps;
    struct place places[BNN_MOST_THREADS];
} pool = {.taken = ATOMIC_FLAG_INIT, .mutex = PTHREAD_MUTEX_INITIALIZER, .finished = PTHREAD_COND_INITIALIZER};

/* As libraries that are loaded late may have it, for a few bytes: without a call at every look. */
static _Thread_local struct {
    int share, shares;
} own __attribute__((tls_model("initial-exec"))) = {0, 1};

int bnn_thread(void) { return own.share; }
int bnn_threads(void) { return own.shares; }

static uint64_t number_of(uint64_t word) { return word >> SHARE_BITS; }
static int shares_of(uint64_t word) { return (int)(word & ((1 << SHARE_BITS) - 1)); }

/* Waiting ------------------------------------------------------------------------------------------------------------ */

static int64_t nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Tells the core that this is a wait. */
static inline void pause_core(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__ARM_ARCH_7A__)
    __asm__ volatile("yield");
#endif
}

/* What is waited for. */
typedef int condition(uint64_t argument, int share);

static int is_wanted(uint64_t seen, int share)
{
    const uint64_t word = atomic_load_explicit(&pool.word, memory_order_acquire);
    return word != seen && shares_of(word) > share;
}

static int is_finished(uint64_t shares, int share)
{
    (void)share;
    return atomic_load_explicit(&pool.done, memory_order_acquire) == (int)shares;
}

/* Looks for some time; returns whether the condition has come true. */
static inline int look(condition *is_true, uint64_t argument, int share)
{
    int64_t end = 0;
    do {
        for (int i = 0; i < LOOKS; i++) {
            if (is_true(argument, share)) return 1;
            if (!atomic_load_explicit(&pool.spins, memory_order_relaxed)) return 0;
            pause_core();
        }
        if (!end) end = nanoseconds() + SPIN_NS;
    } while (nanoseconds() < end);
    return 0;
}

/* Who goes to sleep says so before looking for the last time, and who makes a condition true does that before looking for
 * sleepers.  With a fence on either side one of the two sees the other.  (Sequentially consistent loads and stores would
 * do as well, but for QEMU's: it lets such a load of aarch64 overtake such a store.) */
static inline void wait_for(condition *is_true, uint64_t argument, int share, _Atomic int *sleeps, pthread_cond_t *alarm)
{
    if (look(is_true, argument, share)) return;
    pthread_mutex_lock(&pool.mutex);
    atomic_store_explicit(sleeps, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_seq_cst);
    while (!is_true(argument, share)) pthread_cond_wait(alarm, &pool.mutex);
    atomic_store_explicit(sleeps, 0, memory_order_relaxed);
    pthread_mutex_unlock(&pool.mutex);
}

static inline void wake(_Atomic int *sleeps, pthread_cond_t *alarm)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (!atomic_load_explicit(sleeps, memory_order_relaxed)) return;
    pthread_mutex_lock(&pool.mutex);
    pthread_cond_signal(alarm);
    pthread_mutex_unlock(&pool.mutex);
}

/* Shares ------------------------------------------------------------------------------------------------------------- */

static int claim(int share, uint64_t number)
{
    uint64_t former = atomic_load_explicit(&pool.places[share].claimed, memory_order_relaxed);
    return former < number && atomic_compare_exchange_strong(&pool.places[share].claimed, &former, number);
}

static void work_on(bnn_job *job, const void *context, int share, int shares)
{
    const int share_outside = own.share, shares_outside = own.shares;
    own.share = share, own.shares = shares;
    job(context);
    own.share = share_outside, own.shares = shares_outside;
}

/* Does the shares that nobody has begun, from `first` on: a thread's cache has the scratch of the share that it had last. */
static void take_shares(uint64_t word, int first)
{
    const int shares = shares_of(word);
    for (int i = 0; i < shares; i++) {
        const int share = (first + i) % shares;
        if (!claim(share, number_of(word))) continue;
        work_on(pool.job, pool.context, share, shares);
        if (atomic_fetch_add(&pool.done, 1) + 1 == shares) wake(&pool.caller_sleeps, &pool.finished);
    }
}

static void *worker(void *argument)
{
    const int first = (int)(intptr_t)argument;
    for (uint64_t seen = 0;;) {
        wait_for(is_wanted, seen, first, &pool.places[first].sleeps, &pool.places[first].wanted);
        seen = atomic_load_explicit(&pool.word, memory_order_acquire);
        take_shares(seen, first);
    }
    return NULL;
}

/* Threads ------------------------------------------------------------------------------------------------------------ */

/* In a child of fork: no threads, and no job, whatever others were doing at that moment. */
static void start_again(void)
{
    pool.mutex = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    pool.finished = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
    pool.workers = pool.refused = pool.threads = 0;
    atomic_store(&pool.word, number_of(atomic_load(&pool.word)) << SHARE_BITS);
    atomic_store(&pool.caller_sleeps, 0);
    atomic_flag_clear(&pool.taken);
}

static void follow_forks(void) { pthread_atfork(NULL, NULL, start_again); }

/* Threads that share a core would look for what cannot happen while they look. */
static int have_cores(int threads)
{
    cpu_set_t cores;
    if (sched_getaffinity(0, sizeof cores, &cores)) return 1; /* more cores than the set has room for */
    return threads <= CPU_COUNT(&cores);
}

static int start(int number, const pthread_attr_t *attributes)
{
    pthread_t thread;
    struct place *place = &pool.places[number];
    atomic_store(&place->sleeps, 0);
    pthread_cond_init(&place->wanted, NULL);
    return pthread_create(&thread, attributes, worker, (void *)(intptr_t)number) == 0;
}

/* Starts threads until there are `workers`, if the system gives them.  Signals are for the threads of the program. */
static void grow(int workers)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_attr_t attributes;
    sigset_t all, former;
    pthread_once(&once, follow_forks);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &former);
    while (pool.workers < workers && !pool.refused) {
        if (start(pool.workers + 1, &attributes)) pool.workers++;
        else pool.refused = 1;
    }
    pthread_sigmask(SIG_SETMASK, &former, NULL);
    pthread_attr_destroy(&attributes);
}

static void prepare(int threads)
{
    if (threads == pool.threads) return;
    pool.threads = threads;
    atomic_store(&pool.spins, have_cores(threads));
    grow(threads - 1);
}

static void post_and_join(int threads, bnn_job *job, const void *context)
{
    const uint64_t number = number_of(atomic_load_explicit(&pool.word, memory_order_relaxed)) + 1;
    const uint64_t word = number << SHARE_BITS | (uint64_t)threads;
    prepare(threads);
    pool.job = job, pool.context = context;
    atomic_store_explicit(&pool.done, 0, memory_order_relaxed);
    atomic_store_explicit(&pool.places[0].claimed, number, memory_order_relaxed); /* the caller's own */
    atomic_store_explicit(&pool.word, word, memory_order_release);
    for (int i = 1; i < threads; i++) wake(&pool.places[i].sleeps, &pool.places[i].wanted);
    work_on(job, context, 0, threads);
    atomic_fetch_add(&pool.done, 1);
    take_shares(word, 1);
    wait_for(is_finished, (uint64_t)threads, 0, &pool.caller_sleeps, &pool.finished);
}

void bnn_run(int threads, bnn_job *job, const void *context)
{
    if (threads == 1) { /* share 0 of 1 */
        job(context);
    } else if (atomic_flag_test_and_set_explicit(&pool.taken, memory_order_acquire)) {
        for (int share = 0; share < threads; share++) work_on(job, context, share, threads);
    } else {
        post_and_join(threads, job, context);
        atomic_flag_clear_explicit(&pool.taken, memory_order_release);
    }
}
