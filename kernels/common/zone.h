/* zone.h: zones, the stretches of code that a profiler tells apart: which one a thread is in, for who measures its seconds
 * or counts its kernels. */
#ifndef BNN_ZONE_H
#define BNN_ZONE_H

/* Where the seconds of the present zone are added up, which names both the zone and the block; NULL outside of zones,
 * and where nobody watches. */
double *bnn_zone(void);

/* Begins a zone of this thread whose seconds belong to `*seconds`; ends it.  Only the first thread's time is taken, whose
 * share is never smaller than another's. */
double bnn_begin_zone(double *seconds);
void bnn_end_zone(double begin);

/* Runs STATEMENT as a zone, if the block is watched. */
#define BNN_WATCHED(profile, zone, STATEMENT)                                     \
    do {                                                                          \
        double *const seconds_ = (profile);                                       \
        const double begin_ = seconds_ ? bnn_begin_zone(seconds_ + (zone)) : 0.0; \
        STATEMENT;                                                                \
        if (seconds_) bnn_end_zone(begin_);                                       \
    } while (0)

#endif
