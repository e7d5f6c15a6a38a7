"""Data sets: readers, conversion to one flat file per split, download, and the order of samples.

::

    source files --(idx, npz, cifar, svhn, pictures)--> flat file in the cache
    flat file --(Split, batches)--> batch buffer, training images shifted and mirrored
    pictures --(encode)--> encoded records --(sampler, workers)--> batch buffer, random parts
    published sets --(fetch)--> data folder --(places)--> the best form of a set
    order: which record is read at which position of which epoch

Nothing is imported here, because resting memory is a headline number: :mod:`bnntrain.data.catalog`
is the way in (``open_dataset``, ``find_datasets``, ``describe``), and readers, checks and the
downloader load themselves when they are needed.
"""
