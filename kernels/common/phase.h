/* phase.h: the phase of a step that a thread is in, for who measures its seconds or counts its kernels. */
#ifndef BNN_PHASE_H
#define BNN_PHASE_H

/* Where the seconds of the present phase are added up, which names both the phase and the block; NULL outside of phases,
 * and where nobody watches. */
double *bnn_phase(void);

/* Begins a phase of this thread whose seconds belong to `*seconds`; ends it.  Only the first thread's time is taken, whose
 * share is never smaller than another's. */
double bnn_begin_phase(double *seconds);
void bnn_end_phase(double begin);

/* Runs STATEMENT as a phase, if the block is watched. */
#define BNN_WATCHED(profile, phase, STATEMENT)                                      \
    do {                                                                            \
        double *const seconds_ = (profile);                                         \
        const double begin_ = seconds_ ? bnn_begin_phase(seconds_ + (phase)) : 0.0; \
        STATEMENT;                                                                  \
        if (seconds_) bnn_end_phase(begin_);                                        \
    } while (0)

#endif
