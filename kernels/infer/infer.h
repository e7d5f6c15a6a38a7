/* infer.h: a packed network, forward only: products of packed weights, one comparison a value, reals at the end.
 *
 * Weights are packed and transposed, and thresholds found, when a network is loaded; nothing is left to do per batch but
 * products, comparisons and pooling.  A hidden layer's sign: bit = (y < threshold) xor flip.  The bits are those
 * of training, but for the statistics, which are the running ones (see norm/channel.h).
 *
 * B = batch, I = inputs of a product, O = output channels.
 */
#ifndef BNN_INFER_H
#define BNN_INFER_H

#include "../dispatch/dispatch.h"
#include "../conv/window.h"
#include "../stem/stem.h"

enum bnn_infer_kind { BNN_infer_dense, BNN_infer_conv, BNN_infer_residual, BNN_infer_real_conv, BNN_infer_stem,
                      BNN_infer_head };

struct bnn_infer_layer {
    enum bnn_infer_kind kind;
    size_t inputs, outputs;
    /* What comes in: pixels less 128 (the first layer) or packed signs; the other is NULL.  Rows are samples, or the
     * positions of a convolution's images. */
    const int8_t *x_i8;
    const uint64_t *x_u1;
    /* Packed signs [O][words(I)], of a convolution [O][taps][words(channels)]; of the first layer [I][words(O)]. */
    const uint64_t *weights;
    /* A hidden layer: [O]; pooling behind the sign finds its argmax by another threshold, or by the same: NULL. */
    const int32_t *threshold, *argmax_threshold;
    const uint8_t *flip;
    uint64_t *out_u1;
    /* The last layer: z = y * scale + shift [B][O]. */
    const float *scale, *shift;
    float *out_f32;
    /* A convolution has origins; as in conv.h. */
    struct bnn_window window;
    const struct bnn_origin *origins;
    int32_t *tap_sums;
    uint64_t *flat_u1;
    /* What reads or writes a stream: of this type, [B*H*W][channels].  z = y * scale + shift goes into it. */
    enum bnn_type stream_type;
    const void *stream_in, *addend;
    void *stream_out;
    uint64_t *signs;           /* residual: room for x_u1 */
    /* Real layers: weights [I][O], int8 or float32 by the type of the stream, of a head always the latter. */
    const void *real_weights;
    struct bnn_stem stem;      /* what stem/, or real_conv/ of its convolution, has to know of such a layer */
    struct bnn_block second;   /* the stem's second norm */
    float *features;           /* head: [B][I] */
    const float *bias;
    size_t positions;
    int relu;
};

/* One thread's scratch begins at scratch + thread * stride, 64-byte aligned. */
struct bnn_inference {
    const struct bnn_kernels *kernels;
    const struct bnn_infer_layer *layers;
    size_t count;
    unsigned char *scratch;
    size_t stride;
    int threads;
};

/* Bytes of one thread's scratch for a layer. */
size_t bnn_infer_scratch(const struct bnn_infer_layer *layer, size_t batch);

/* All layers, one after the other, for the first `batch` samples. */
void bnn_infer(const struct bnn_inference *infer, size_t batch);

#endif
