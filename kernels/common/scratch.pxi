# Scratch of the product kernels.

cdef object panel_or_new(object panel):
    return bytearray(BNN_PANEL_BYTES + PANEL_ALIGNMENT - 1) if panel is None else panel


cdef void *panel_address(object panel) except NULL:
    """Return the first aligned address in a panel, which must have space behind it."""
    cdef size_t size = len(panel)
    cdef size_t start = <size_t>data(panel, "uint8", (None,), True, "panel")
    cdef size_t aligned = (start + PANEL_ALIGNMENT - 1) // PANEL_ALIGNMENT * PANEL_ALIGNMENT
    if aligned - start + BNN_PANEL_BYTES > size:
        raise ValueError(
            f"panel: expected {BNN_PANEL_BYTES} bytes from an address divisible by {PANEL_ALIGNMENT}, got {size} bytes"
        )
    return <void *>aligned
