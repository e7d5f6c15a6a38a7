"""Data sets: readers, conversion to one flat file per split, download, and the order of samples.

::

    source files --(source, idx, npz)--> flat file in the cache --(Split)--> batch buffer
    published sets --(fetch)--> data folder
    order: which record is read at which position of which epoch

Nothing is imported here, because resting memory is a headline number: :mod:`bnntrain.data.catalog`
is the way in (``open_dataset``, ``find_datasets``, ``describe``), and readers, checks and the
downloader load themselves when they are needed.
"""
