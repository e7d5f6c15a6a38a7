# batch_reader.pyx: the bindings of batch_reader.h and augment.h.

from libc.errno cimport errno

cdef extern from "batches/augment.h":
    struct bnn_augment:
        size_t height
        size_t width
        size_t channels
        uint32_t rows
        uint32_t columns
        int edge
        int mirror
    void bnn_augment_draw(bnn_augment *augment, uint64_t seed, uint64_t epoch) nogil
    void bnn_augment_image(const bnn_augment *augment, uint32_t record, int8_t *x) nogil

cdef extern from "batches/batch_reader.h":
    struct bnn_batch_reader:
        int file
        uint64_t offset
        size_t image_bytes
        size_t label_bytes
        unsigned int classes
        uint32_t total
        int split
        uint64_t split_key
        uint32_t first
        uint32_t count
        int shuffle
        uint64_t epoch_key
        int augmented
        bnn_augment augment
    enum bnn_read_status:
        BNN_read_good
        BNN_read_unreadable
        BNN_read_short
        BNN_read_label
    uint32_t bnn_record_at(const bnn_batch_reader *reader, uint32_t position) nogil
    bnn_read_status bnn_read_batch(const bnn_batch_reader *reader, uint32_t first, size_t rows, int8_t *x,
                                   uint16_t *labels, uint32_t *record) nogil

cdef uint32_t LARGEST_SHIFT = 0x7FFFFFFF


cdef class Augment:
    """Random shift and mirror of images by record, as `BatchReader.augment` does it to what it reads.

    Parameters
    ----------
    shape : tuple of int
        Height, width, channels of an image.
    rows, columns : int
        Largest shift in each direction.
    edge : bool
        Fill by repeating the edge, otherwise with 0.
    mirror : bool
        Mirror every second image on average, left to right.
    seed, epoch : int
        What to draw from.

    Raises
    ------
    ValueError
        A shift is too large.
    """

    cdef bnn_augment augment

    def __init__(self, shape, *, uint32_t rows=0, uint32_t columns=0, bint edge=True, bint mirror=False,
                 uint64_t seed=0, uint64_t epoch=0):
        if rows > LARGEST_SHIFT or columns > LARGEST_SHIFT:
            raise ValueError(f"{'rows' if rows > LARGEST_SHIFT else 'columns'}: at most {LARGEST_SHIFT}")
        self.augment.height, self.augment.width, self.augment.channels = shape
        self.augment.rows, self.augment.columns = rows, columns
        self.augment.edge, self.augment.mirror = edge, mirror
        bnn_augment_draw(&self.augment, seed, epoch)

    def change(self, x, uint32_t record):
        """Change one image, int8 [height * width * channels], in place, as that of a record."""
        cdef size_t nbytes = self.augment.height * self.augment.width * self.augment.channels
        cdef int8_t *pixels = <int8_t *>data(x, "int8", (nbytes,), True, "x")
        with nogil:
            bnn_augment_image(&self.augment, record, pixels)


cdef class BatchReader:
    """Reads batches of one part of a flat file straight into the batch buffer.

    Parameters
    ----------
    file : int
        Open file descriptor; stays the caller's.
    offset : int
        Byte of record 0.
    image_bytes : int
        Pixels of a record; the label follows them.
    label_bytes : int
        Bytes of a label, 1 or 2, the lower first.
    classes : int
        Labels are below this.
    total : int
        Records in the file.
    first, count : int
        Positions of this part within the split order (or within the file when there is no split).
    split_key : int or None
        Key of the permutation of all records that holds out the validation split; None reads in file order.

    Raises
    ------
    ValueError
        The part lies outside the file, or labels have another size.
    """

    cdef bnn_batch_reader reader

    def __init__(self, int file, *, uint64_t offset, size_t image_bytes, size_t label_bytes, unsigned int classes,
                 uint32_t total, uint32_t first, uint32_t count, split_key):
        if <uint64_t>first + count > total:
            raise ValueError(f"count: positions {first} to {first + count} of {total} records")
        if label_bytes not in (1, 2):
            raise ValueError(f"label_bytes: expected 1 or 2, got {label_bytes}")
        self.reader.file, self.reader.offset, self.reader.image_bytes = file, offset, image_bytes
        self.reader.label_bytes, self.reader.classes = label_bytes, classes
        self.reader.total, self.reader.first, self.reader.count = total, first, count
        self.reader.split = split_key is not None
        self.reader.split_key = 0 if split_key is None else split_key

    @property
    def count(self):
        """Samples of this part."""
        return self.reader.count

    def shuffle(self, key):
        """Order the samples by the permutation of `key`; None restores the plain order."""
        self.reader.shuffle = key is not None
        self.reader.epoch_key = 0 if key is None else key

    def augment(self, shape, **options):
        """Shift and mirror the images that are read from now on, at random by record; None stops it.

        Parameters
        ----------
        shape : tuple of int or None
            Height, width, channels of an image.
        **options
            As for `Augment`.

        Raises
        ------
        ValueError
            The shape is not that of the records, or a shift is too large.
        """
        cdef Augment change
        if shape is None:
            self.reader.augmented = False
            return
        change = Augment(shape, **options)
        if change.augment.height * change.augment.width * change.augment.channels != self.reader.image_bytes:
            raise ValueError(f"shape: {shape} is not {self.reader.image_bytes} bytes")
        self.reader.augment = change.augment
        self.reader.augmented = True

    def record(self, uint32_t position):
        """Return the record number of a position."""
        if position >= self.reader.count:
            raise ValueError(f"position: {position} of {self.reader.count}")
        return bnn_record_at(&self.reader, position)

    def read(self, uint32_t first, x, labels):
        """Read positions `first` ... into x (int8 [rows, image_bytes], pixel - 128) and labels (uint16 [rows]).

        Raises
        ------
        ValueError
            Positions outside this part.
        OSError
            A record could not be read.
        EOFError
            The file ends before a record.
        IndexError
            A record's label is no class.
        """
        cdef size_t rows = x.shape[0]
        cdef uint32_t record = 0
        cdef int8_t *pixels = <int8_t *>data(x, "int8", (rows, self.reader.image_bytes), True, "x")
        cdef uint16_t *classes = <uint16_t *>data(labels, "uint16", (rows,), True, "labels")
        cdef bnn_read_status status
        if first + rows > self.reader.count:
            raise ValueError(f"first: positions {first} to {first + rows} of {self.reader.count}")
        with nogil:
            status = bnn_read_batch(&self.reader, first, rows, pixels, classes, &record)
        if status == BNN_read_unreadable:
            raise OSError(errno, f"record {record} cannot be read")
        if status == BNN_read_short:
            raise EOFError(f"ends before record {record}")
        if status == BNN_read_label:
            raise IndexError(f"record {record} has a label that is no class")
