/* residual.h: the real stream that a residual network's shortcuts carry on, tile by tile; see stream/stream.h for int16.
 *
 * Its type follows that of gradients: int16 with int8, float16 with float16, float32 with float32, and its gradient has the type of
 * the stream.  float16 saturates. */
#ifndef BNN_RESIDUAL_H
#define BNN_RESIDUAL_H

#include "../dispatch/dispatch.h"
#include "scale.h"

/* What a step that writes to a stream has of it; all NULL for others. */
struct bnn_residual_stream {
    const void *in;     /* [inputs][I]: its signs are multiplied; NULL where something else is */
    uint64_t *mask;     /* of `in`, packed; NULL: read off `in`, which is retained */
    const void *addend; /* [B][O]: what z is added to; NULL: nothing.  An int16 stream's is `out` */
    void *out;          /* [B][O] */
    const void *g_out;  /* gradients of out and in; that of the addend is that of out */
    void *g_in;
    int adds;           /* g_in holds a part of its gradient already */
};

static inline enum bnn_type bnn_stream_type(enum bnn_type gradient) { return gradient == BNN_i8 ? BNN_i16 : gradient; }

/* Packed signs of rows of a stream, and, unless it is NULL, their mask. */
void bnn_stream_signs(const struct bnn_kernels *k, enum bnn_type type, const void *r, size_t rows, size_t columns,
                      uint64_t *signs, uint64_t *mask);

/* Where a tile lies in tensors of `stride` values a row: its first element. */
struct bnn_stream_place {
    size_t at, stride, rows, width;
};

/* out = y*scale + shift, and the addend; y [rows][BNN_TILE].  `real` is scratch of the same size, of float streams. */
void bnn_stream_put(const struct bnn_kernels *k, enum bnn_type type, const int32_t *y, const float *scale,
                    const float *shift, struct bnn_stream_place place, const void *addend, void *out, float *real);
/* The same of float values [rows][BNN_TILE], which become those of the stream; float streams only. */
void bnn_stream_put_f32(const struct bnn_kernels *k, enum bnn_type type, float *z, struct bnn_stream_place place,
                        const void *addend, void *out);

/* g = or += values * multiplier where the mask lets them pass: NULL everywhere; `words` of it a row.  The amax of g so far,
 * in its own units. */
void bnn_stream_take(const struct bnn_kernels *k, const int32_t *values, float multiplier, struct bnn_stream_place place,
                     const uint64_t *mask, size_t words, int adds, int16_t *g, uint64_t key, int32_t *largest);
void bnn_stream_take_f32(const struct bnn_kernels *k, enum bnn_type type, float *values, struct bnn_stream_place place,
                         const uint64_t *mask, size_t words, int adds, void *g);

/* Zeros in values [rows][BNN_TILE] where |r| > 1 of a retained float stream. */
void bnn_stream_cancel_f32(const float *r, struct bnn_stream_place place, float *values);

/* Makes a part of a stream's int16 gradient.  Whoever makes the first finds its scale: that which the former step's amax
 * asks for, or its own amax; with room above both for what the others add.  The amax of `make` is in units of the gradient's value. */
void bnn_make_stream(struct bnn_scale *scale, int current, int adds, bnn_make_gradient *make, const void *context);

#endif
