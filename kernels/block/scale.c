#include "scale.h"

static void follow(struct bnn_scale *scale, float amax, float limit)
{
    if (amax > 0.0f) scale->next = amax / limit;
}

void bnn_make_scaled(struct bnn_scale *scale, int current, float limit, bnn_make_gradient *make, const void *context)
{
    if (current || scale->next == 0.0f) follow(scale, make(context, 1), limit);
    scale->used = scale->next > 0.0f ? scale->next : 1.0f;
    follow(scale, make(context, 0), limit);
}
