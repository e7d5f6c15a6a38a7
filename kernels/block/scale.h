/* scale.h: scales of int8 gradients, measured in the step itself or known from the one before. */
#ifndef BNN_SCALE_H
#define BNN_SCALE_H

/* value = q * used.  `next` is what the coming step shall use, 0 when not known. */
struct bnn_scale {
    float used, next;
};

/* Makes a gradient by scale->used, or only measures it; returns its amax. */
typedef float bnn_make_gradient(const void *context, int measure);

/* Makes a gradient whose largest |q| is `limit`.  Its scale is the one that the step before left; where `current`, or where
 * there was none, it is measured first.  Its amax is the next step's; a gradient of zeros keeps the former. */
void bnn_make_scaled(struct bnn_scale *scale, int current, float limit, bnn_make_gradient *make, const void *context);

#endif
