/* passes.h: the kinds of layers, for infer.c. */
#ifndef BNN_INFER_PASSES_H
#define BNN_INFER_PASSES_H

#include "infer.h"

/* Rows of a product that a thread works on at a time. */
#define BNN_INFER_ROWS 192

size_t bnn_infer_dense_scratch(size_t batch);
void bnn_infer_dense(const struct bnn_inference *infer, const struct bnn_infer_layer *layer, size_t batch);

size_t bnn_infer_conv_scratch(const struct bnn_infer_layer *layer);
void bnn_infer_conv(const struct bnn_inference *infer, const struct bnn_infer_layer *layer, size_t batch);

/* What conv/ has to know of a layer. */
struct bnn_conv bnn_infer_conv_of(const struct bnn_infer_layer *layer);

size_t bnn_infer_residual_scratch(const struct bnn_infer_layer *layer);
void bnn_infer_residual(const struct bnn_inference *infer, const struct bnn_infer_layer *layer, size_t batch);

size_t bnn_infer_real_conv_scratch(const struct bnn_infer_layer *layer);
void bnn_infer_real_conv(const struct bnn_inference *infer, const struct bnn_infer_layer *layer, size_t batch);

void bnn_infer_stem(const struct bnn_inference *infer, const struct bnn_infer_layer *layer, size_t batch);

void bnn_infer_head(const struct bnn_inference *infer, const struct bnn_infer_layer *layer, size_t batch);

#endif
