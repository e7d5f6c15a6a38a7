/* type.h: what the elements of an array are, where code chooses by it. */
#ifndef BNN_TYPE_H
#define BNN_TYPE_H

#include <stddef.h>

enum bnn_type { BNN_f32, BNN_f16, BNN_i16, BNN_i8, BNN_u1 };

/* Bytes of an element; bits are packed in words and have none. */
static inline size_t bnn_type_bytes(enum bnn_type type)
{
    static const unsigned char bytes[] = {[BNN_f32] = 4, [BNN_f16] = 2, [BNN_i16] = 2, [BNN_i8] = 1, [BNN_u1] = 0};
    return bytes[type];
}

#endif
