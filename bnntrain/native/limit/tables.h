/* tables.h: the limits of one instruction set, ended by an entry without a name. */
#ifndef BNN_LIMIT_TABLES_H
#define BNN_LIMIT_TABLES_H

struct bnn_limit_entry {
    const char *op;
    double macs; /* of one round */
    double (*run)(long rounds);
};

extern const struct bnn_limit_entry bnn_limits_avx512[], bnn_limits_avx2[], bnn_limits_neon[], bnn_limits_neondot[];

#endif
