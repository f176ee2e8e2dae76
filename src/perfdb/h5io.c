/* HDF5's file driver of this program: a plain file, as HDF5's own driver makes it byte by byte, through
 * base/io. */
#include "perfdb/internal.h"
#include <errno.h>
#include <fcntl.h>
#include <hdf5.h>
#if H5_VERSION_GE(1, 13, 0)
#include <H5FDdevelop.h>
#endif
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
    DRIVER_VALUE = 600,   /* of the numbers HDF5 leaves to programs */
    SYNC_BYTES = 4 << 20, /* a growing file goes to the disk in pieces of this size, beside the work: little
                           * is left to wait for in the end */
    RAW_LEAST = 4096      /* of a write of raw data that is noted: smaller pieces come in any order */
};
#define LARGEST ((haddr_t)INT64_MAX)

typedef struct h5io {
    H5FD_t pub; /* HDF5's own part, first */
    int fd;
    haddr_t eoa, eof;    /* end of what HDF5 has allocated; of the file */
    haddr_t started;     /* the system was told to write what lies before */
    pdb_hdf5_range *raw; /* raw data written so far, in order and apart */
    size_t n_raw, cap_raw;
    bool rewritten; /* some of it twice: nothing is known */
    bool gathers;   /* raw data waits, while its owner keeps it, for what comes behind it */
    aic_io_piece *held;
    size_t n_held, cap_held;
    haddr_t held_at, held_end;
    dev_t device;
    ino_t inode;
} h5io;

/* A file that cannot be read is no damaged file: HDF5's answer looks the same, the driver knows better. */
static _Thread_local int last_error;
static atomic_int first_read_error;

int pdb_hdf5_file_error(void) {
    int why = last_error;
    last_error = 0;
    return why;
}

int pdb_hdf5_read_error(void) {
    return atomic_load(&first_read_error);
}

bool pdb_data_was_read(aic_error *err) {
    int why = pdb_hdf5_read_error();
    return why == 0 || aic_fail(err, AIC_IO, "measured data cannot be read: %s", strerror(why));
}

void pdb_hdf5_note_read_error(int why) {
    int none = 0;
    atomic_compare_exchange_strong(&first_read_error, &none, why);
}

/* The innermost entry of HDF5's error stack is what its callers print. */
static herr_t fail(const char *function, int line, hid_t minor) {
    last_error = errno;
    H5Epush2(H5E_DEFAULT, __FILE__, function, (unsigned)line, H5E_ERR_CLS, H5E_IO, minor, "%s",
             strerror(errno));
    return -1;
}
#define FAIL(minor) fail(__func__, __LINE__, minor)

static H5FD_t *h5io_open(const char *name, unsigned flags, hid_t access_list, haddr_t maxaddr) {
    (void)access_list;
    (void)maxaddr;
    struct stat st;
    int how = (flags & H5F_ACC_RDWR ? O_RDWR : O_RDONLY) | (flags & H5F_ACC_TRUNC ? O_TRUNC : 0) |
              (flags & H5F_ACC_CREAT ? O_CREAT : 0) | (flags & H5F_ACC_EXCL ? O_EXCL : 0);
    int fd = aic_io_open(name, how, 0666);
    if (fd < 0 || fstat(fd, &st) != 0) {
        FAIL(H5E_CANTOPENFILE);
        if (fd >= 0)
            aic_io_close(fd);
        return NULL;
    }
    h5io *f = AIC_NEW(h5io);
    f->fd = fd;
    f->eof = f->started = (haddr_t)st.st_size;
    f->device = st.st_dev;
    f->inode = st.st_ino;
    return &f->pub;
}

/* HDF5 keeps a file that failed to close and tries again when the process ends. */
static herr_t h5io_close(H5FD_t *file) {
    h5io *f = (h5io *)file;
    int fd = f->fd;
    f->fd = -1;
    if (fd >= 0 && !aic_io_close(fd))
        return FAIL(H5E_CANTCLOSEFILE);
    free(f->raw);
    free(f->held);
    free(f);
    return 0;
}

static int h5io_cmp(const H5FD_t *a, const H5FD_t *b) {
    const h5io *x = (const h5io *)a, *y = (const h5io *)b;
    if (x->device != y->device)
        return x->device < y->device ? -1 : 1;
    return x->inode < y->inode ? -1 : x->inode > y->inode;
}

/* What HDF5's own driver says of itself: how space is handed out, and so every byte's place, depends on it.
 */
static herr_t h5io_query(const H5FD_t *file, unsigned long *flags) {
    (void)file;
    *flags = H5FD_FEAT_AGGREGATE_METADATA | H5FD_FEAT_ACCUMULATE_METADATA | H5FD_FEAT_DATA_SIEVE |
             H5FD_FEAT_AGGREGATE_SMALLDATA | H5FD_FEAT_POSIX_COMPAT_HANDLE | H5FD_FEAT_DEFAULT_VFD_COMPATIBLE;
    return 0;
}

static haddr_t h5io_get_eoa(const H5FD_t *file, H5FD_mem_t type) {
    (void)type;
    return ((const h5io *)file)->eoa;
}

static herr_t h5io_set_eoa(H5FD_t *file, H5FD_mem_t type, haddr_t end) {
    (void)type;
    ((h5io *)file)->eoa = end;
    return 0;
}

static haddr_t h5io_get_eof(const H5FD_t *file, H5FD_mem_t type) {
    (void)type;
    return ((const h5io *)file)->eof;
}

static herr_t h5io_handle(H5FD_t *file, hid_t access_list, void **handle) {
    (void)access_list;
    *handle = &((h5io *)file)->fd;
    return 0;
}

static bool beyond(haddr_t at, size_t size) {
    return at > LARGEST || (haddr_t)size > LARGEST - at;
}

/* The system was not told yet to write so much of the file. */
static void start_sync(h5io *f) {
    if (f->eof - f->started < SYNC_BYTES)
        return;
    aic_io_start_sync(f->fd, (off_t)f->started, (off_t)(f->eof - f->started));
    f->started = f->eof;
}

static bool write_held(h5io *f) {
    const size_t n = f->n_held;
    f->n_held = 0;
    if (n > 0 && !aic_io_write_pieces(f->fd, f->held, n, (off_t)f->held_at))
        return false;
    start_sync(f);
    return true;
}

/* Bytes behind the end of the file read as zeros. */
static herr_t h5io_read(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t size, void *out) {
    (void)type;
    (void)transfer;
    h5io *f = (h5io *)file;
    char *to = out;
    if (f->n_held > 0 && !write_held(f))
        return FAIL(H5E_WRITEERROR);
    if (beyond(at, size)) {
        errno = EFBIG;
        return FAIL(H5E_OVERFLOW);
    }
    for (size_t done = 0; done < size;) {
        ssize_t n = aic_io_read_at(f->fd, to + done, size - done, (off_t)(at + done));
        if (n < 0) {
            pdb_hdf5_note_read_error(errno);
            return FAIL(H5E_READERROR);
        }
        if (n == 0) {
            memset(to + done, 0, size - done);
            break;
        }
        done += (size_t)n;
    }
    return 0;
}

/* Raw data goes to new space at the end of the file and is not written again: what is noted here is final.
 * Were it otherwise, that would show here. */
static void note_write(h5io *f, H5FD_mem_t type, haddr_t at, size_t size) {
    pdb_hdf5_range *last = f->n_raw ? &f->raw[f->n_raw - 1] : NULL;
    if (last && at < last->end) {
        for (size_t i = f->n_raw; i > 0 && f->raw[i - 1].end > at; i--)
            f->rewritten = f->rewritten || f->raw[i - 1].first < at + size;
        return;
    }
    if (type != H5FD_MEM_DRAW || size < RAW_LEAST)
        return;
    if (last && at == last->end) {
        last->end += size;
        return;
    }
    AIC_GROW(f->raw, f->n_raw, f->cap_raw);
    f->raw[f->n_raw++] = (pdb_hdf5_range){at, at + size};
}

/* NULL: the file is closed. */
static h5io *driver_of(int64_t file) {
    void *handle;
    if (H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) < 0)
        return NULL;
    return (h5io *)(void *)((char *)handle - offsetof(h5io, fd));
}

size_t pdb_hdf5_raw(int64_t file, const pdb_hdf5_range **list) {
    const h5io *f = driver_of(file);
    if (!f || f->rewritten)
        return 0;
    *list = f->raw;
    return f->n_raw;
}

/* Raw data that does not lie behind what is held lets that go first. */
static bool hold(h5io *f, haddr_t at, size_t size, const void *data) {
    if (f->n_held > 0 && at != f->held_end && !write_held(f))
        return false;
    if (f->n_held == 0)
        f->held_at = at;
    AIC_GROW(f->held, f->n_held, f->cap_held);
    f->held[f->n_held++] = (aic_io_piece){data, size};
    f->held_end = at + size;
    return true;
}

static herr_t h5io_write(H5FD_t *file, H5FD_mem_t type, hid_t transfer, haddr_t at, size_t size,
                         const void *data) {
    (void)transfer;
    h5io *f = (h5io *)file;
    const bool held = f->gathers && type == H5FD_MEM_DRAW;
    if (beyond(at, size))
        errno = EFBIG;
    else if (held ? hold(f, at, size, data) : aic_io_write_at(f->fd, data, size, (off_t)at)) {
        note_write(f, type, at, size);
        if (at + size > f->eof)
            f->eof = at + size;
        if (!held)
            start_sync(f);
        return 0;
    }
    return FAIL(H5E_WRITEERROR);
}

void pdb_hdf5_gather(int64_t file) {
    h5io *f = driver_of(file);
    if (f)
        f->gathers = true;
}

bool pdb_hdf5_gathered(int64_t file) {
    h5io *f = driver_of(file);
    if (!f)
        return true;
    f->gathers = false;
    return write_held(f) || FAIL(H5E_WRITEERROR) == 0;
}

static herr_t h5io_truncate(H5FD_t *file, hid_t transfer, hbool_t closing) {
    (void)transfer;
    (void)closing;
    h5io *f = (h5io *)file;
    if (f->n_held > 0 && !write_held(f))
        return FAIL(H5E_WRITEERROR);
    if (f->eoa == f->eof)
        return 0;
    if (!aic_io_truncate(f->fd, (off_t)f->eoa))
        return FAIL(H5E_SEEKERROR);
    f->eof = f->eoa;
    return 0;
}

static const H5FD_class_t driver = {
#if H5_VERSION_GE(1, 13, 0)
    .version = H5FD_CLASS_VERSION,
    .value = (H5FD_class_value_t)DRIVER_VALUE,
#endif
    .name = "aicfg",
    .maxaddr = LARGEST,
    .fc_degree = H5F_CLOSE_WEAK,
    .open = h5io_open,
    .close = h5io_close,
    .cmp = h5io_cmp,
    .query = h5io_query,
    .get_eoa = h5io_get_eoa,
    .set_eoa = h5io_set_eoa,
    .get_eof = h5io_get_eof,
    .get_handle = h5io_handle,
    .read = h5io_read,
    .write = h5io_write,
    .truncate = h5io_truncate,
    .fl_map = H5FD_FLMAP_DICHOTOMY,
};

int64_t pdb_hdf5_access(void) {
    static hid_t id = -1; /* guarded by the HDF5 lock */
    if (H5Iget_type(id) != H5I_VFL)
        id = H5FDregister(&driver);
    hid_t access_list = H5Pcreate(H5P_FILE_ACCESS);
    if (id < 0 || access_list < 0 || H5Pset_driver(access_list, id, NULL) < 0) {
        H5Pclose(access_list);
        return -1;
    }
    return access_list;
}
