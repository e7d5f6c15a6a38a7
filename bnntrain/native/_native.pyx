"""Batches from files, phases of a run, limits of the machine's arithmetic.

Arrays are NumPy arrays that the caller owns; what is read is written in place. Only names without an underscore are
public.
"""

from libc.stdint cimport int8_t, uint16_t, uint32_t, uint64_t

from bnntrain.kernels import check_isa as _check_isa

include "common/buffer.pxi"
include "batches/batch_reader.pyx"
include "trace/trace.pyx"
include "limit/limit.pyx"
