"""The kernels: every operation of every folder as one Python function.

Arrays are NumPy arrays that the caller owns; results are written in place. A matrix may be a view whose rows lie
apart (``a[:, :n]``), vectors are contiguous. Bits are packed 64 to a uint64 word, bit 1 standing for -1, rows starting
on a word and padded with 0. Sizes are taken from the arrays. Operands must not overlap.

Every operation takes ``isa``: the name of an instruction set, or None for the selected one (`selected_isa`). It raises
ValueError, with the operand's name in front, for an operand of another type or shape and for an instruction set that
this machine cannot run. The GIL is released while C runs. Only names without an underscore are public.
"""

include "common/interface.pxi"
include "common/buffer.pxi"
include "common/scratch.pxi"
include "common/constants.pyx"
include "counting/counting.pyx"
include "common/isa.pyx"
include "grad/grad.pyx"
include "norm/norm.pyx"
include "norm/channel.pyx"
include "update/update.pyx"
include "update/init.pyx"
include "real/real.pyx"
include "lookup/lookup.pyx"
include "pool/pool.pyx"
include "stream/stream.pyx"
include "bindings.pyx"
include "block/block.pyx"
include "block/step.pyx"
include "dense/dense.pyx"
include "conv/conv.pyx"
include "real_conv/real_conv.pyx"
include "stem/stem.pyx"
include "head/head.pyx"
include "infer/infer.pyx"
include "loss/loss.pyx"
include "program/program.pyx"
