#ifdef __linux__
#define _GNU_SOURCE /* sync_file_range, pwritev */
#endif
#include "base/io.h"
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#ifdef __linux__
#include <sys/uio.h>
#endif
#include <unistd.h>

static const struct {
    const char *name;
    bool changes;
} kinds[AIC_IO_KIND_COUNT] = {
#define KIND(name, changes) {#name, changes},
    AIC_IO_KINDS(KIND)
#undef KIND
};

const char *aic_io_kind_name(aic_io_kind k) {
    return kinds[k].name;
}

bool aic_io_kind_changes(aic_io_kind k) {
    return kinds[k].changes;
}

/* ---- watching ---------------------------------------------------------------------------------------- */

static _Atomic(const aic_io_watch *) watcher;

void aic_io_set_watch(const aic_io_watch *watch) {
    atomic_store(&watcher, watch);
}

static bool allowed(aic_io_call *c) {
    const aic_io_watch *w = atomic_load_explicit(&watcher, memory_order_relaxed);
    if (!w)
        return true;
    int why = w->before(w->ctx, c);
    errno = why;
    return why == 0;
}

static int64_t made(const aic_io_call *c, int64_t result) {
    const aic_io_watch *w = atomic_load_explicit(&watcher, memory_order_relaxed);
    if (w) {
        int why = errno;
        w->after(w->ctx, c, result);
        errno = why;
    }
    return result;
}

/* Makes the call c, again while signals break it off; -1 when it fails or a watcher says so. */
#define CALL(c, expression)                                                                                  \
    do {                                                                                                     \
        int64_t result_ = -1;                                                                                \
        if (allowed(&(c))) {                                                                                 \
            do                                                                                               \
                result_ = (expression);                                                                      \
            while (result_ < 0 && errno == EINTR);                                                           \
            made(&(c), result_);                                                                             \
        }                                                                                                    \
        return result_;                                                                                      \
    } while (0)

/* ---- bytes ------------------------------------------------------------------------------------------- */

static int64_t open_once(const char *path, int flags, mode_t mode) {
    aic_io_call c = {.kind = AIC_IO_open, .path = path, .fd = -1, .flags = flags};
    CALL(c, open(path, flags | O_CLOEXEC, mode));
}

int aic_io_open(const char *path, int flags, mode_t mode) {
    return (int)open_once(path, flags, mode);
}

static int64_t read_once(int fd, void *out, size_t size, off_t at) {
    aic_io_call c = {.kind = AIC_IO_read, .fd = fd, .at = at, .size = size};
    CALL(c, at < 0 ? read(fd, out, c.size) : pread(fd, out, c.size, at));
}

ssize_t aic_io_read(int fd, void *out, size_t size) {
    return (ssize_t)read_once(fd, out, size, -1);
}

ssize_t aic_io_read_at(int fd, void *out, size_t size, off_t at) {
    return (ssize_t)read_once(fd, out, size, at);
}

static int64_t write_once(int fd, const void *data, size_t size, off_t at) {
    aic_io_call c = {.kind = AIC_IO_write, .fd = fd, .at = at, .size = size};
    CALL(c, at < 0 ? write(fd, data, c.size) : pwrite(fd, data, c.size, at));
}

/* A write that stops short is continued: the next one says why, if it was more than chance. */
static bool write_all(int fd, const void *data, size_t size, off_t at) {
    const char *from = data;
    for (size_t done = 0; done < size;) {
        int64_t n = write_once(fd, from + done, size - done, at < 0 ? -1 : at + (off_t)done);
        if (n < 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

bool aic_io_write(int fd, const void *data, size_t size) {
    return write_all(fd, data, size, -1);
}

bool aic_io_write_at(int fd, const void *data, size_t size, off_t at) {
    return write_all(fd, data, size, at);
}

#ifdef __linux__
enum { PIECES = 64 }; /* of one call */

/* The first `size` bytes of the list. */
static int64_t write_pieces_once(int fd, const aic_io_piece *list, size_t n, size_t size, off_t at) {
    struct iovec v[PIECES];
    int count = 0;
    aic_io_call c = {.kind = AIC_IO_write, .fd = fd, .at = at, .size = size};
    if (!allowed(&c)) /* which may lower the size */
        return -1;
    for (size_t left = c.size; left > 0 && (size_t)count < n; count++) {
        v[count] = (struct iovec){(void *)(uintptr_t)list[count].data,
                                  list[count].size < left ? list[count].size : left};
        left -= v[count].iov_len;
    }
    int64_t result;
    do
        result = pwritev(fd, v, count, at);
    while (result < 0 && errno == EINTR);
    return made(&c, result);
}

bool aic_io_write_pieces(int fd, aic_io_piece *list, size_t n, off_t at) {
    while (n > 0) {
        size_t size = 0, taken = 0;
        for (; taken < n && taken < PIECES; taken++)
            size += list[taken].size;
        int64_t written = write_pieces_once(fd, list, taken, size, at);
        if (written < 0)
            return false;
        at += (off_t)written;
        for (; n > 0 && (size_t)written >= list->size; n--)
            written -= (int64_t)list++->size;
        if (n > 0) {
            list->data = (const char *)list->data + written;
            list->size -= (size_t)written;
        }
    }
    return true;
}
#else
bool aic_io_write_pieces(int fd, aic_io_piece *list, size_t n, off_t at) {
    for (size_t i = 0; i < n; at += (off_t)list[i++].size)
        if (!aic_io_write_at(fd, list[i].data, list[i].size, at))
            return false;
    return true;
}
#endif

/* ---- the rest ---------------------------------------------------------------------------------------- */

static int64_t sync_once(int fd) {
    aic_io_call c = {.kind = AIC_IO_sync, .fd = fd};
    CALL(c, fsync(fd));
}

bool aic_io_sync(int fd) {
    struct stat st;
    if (sync_once(fd) == 0)
        return true;
    int why = errno;
    bool needless = why == EINVAL && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
    errno = why;
    return needless;
}

void aic_io_start_sync(int fd, off_t at, off_t size) {
#ifdef __linux__
    int why = errno;
    sync_file_range(fd, at, size, SYNC_FILE_RANGE_WRITE);
    errno = why;
#else
    (void)fd, (void)at, (void)size;
#endif
}

static int64_t truncate_once(int fd, off_t size) {
    aic_io_call c = {.kind = AIC_IO_truncate, .fd = fd, .at = size};
    CALL(c, ftruncate(fd, size));
}

bool aic_io_truncate(int fd, off_t size) {
    return truncate_once(fd, size) == 0;
}

/* The descriptor is gone whatever close says: closing it again could close somebody else's. */
bool aic_io_close(int fd) {
    aic_io_call c = {.kind = AIC_IO_close, .fd = fd};
    bool pass = allowed(&c);
    int why = errno;
    int64_t result = close(fd);
    if (pass && made(&c, result) == 0)
        return true;
    if (!pass)
        errno = why;
    return pass && errno == EINTR;
}

static int64_t rename_once(const char *from, const char *to) {
    aic_io_call c = {.kind = AIC_IO_rename, .path = from, .to = to, .fd = -1};
    CALL(c, rename(from, to));
}

bool aic_io_rename(const char *from, const char *to) {
    return rename_once(from, to) == 0;
}

static int64_t unlink_once(const char *path) {
    aic_io_call c = {.kind = AIC_IO_unlink, .path = path, .fd = -1};
    CALL(c, unlink(path));
}

bool aic_io_unlink(const char *path) {
    return unlink_once(path) == 0;
}

static int64_t mkdir_once(const char *path) {
    aic_io_call c = {.kind = AIC_IO_mkdir, .path = path, .fd = -1};
    CALL(c, mkdir(path, 0777));
}

bool aic_io_mkdir(const char *path) {
    return mkdir_once(path) == 0;
}

static int64_t rmdir_once(const char *path) {
    aic_io_call c = {.kind = AIC_IO_rmdir, .path = path, .fd = -1};
    CALL(c, rmdir(path));
}

bool aic_io_rmdir(const char *path) {
    return rmdir_once(path) == 0;
}

static int64_t lock_once(int fd) {
    aic_io_call c = {.kind = AIC_IO_lock, .fd = fd};
    CALL(c, flock(fd, LOCK_EX | LOCK_NB));
}

bool aic_io_lock(int fd) {
    return lock_once(fd) == 0;
}

bool aic_io_sync_path(const char *path) {
    int fd = aic_io_open(path, O_RDONLY, 0);
    if (fd < 0)
        return false;
    bool ok = aic_io_sync(fd);
    int why = errno;
    aic_io_close(fd); /* read only: nothing can be lost */
    errno = why;
    return ok;
}
