/* Files: every call that moves a file's bytes or changes names goes through here, those HDF5 makes included
 * (perfdb's file driver).
 *
 * The functions behave like the system calls they are named after and set errno, but a call broken off by a
 * signal is made again, and a write is whole or fails. Tests can watch the calls, and make any of them fail,
 * stop short or be the last thing the process does; nothing but a test ever does.
 */
#ifndef AICFG_BASE_IO_H
#define AICFG_BASE_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* X(name, changes what is on disk?): kinds of calls. */
#define AIC_IO_KINDS(X)                                                                                      \
    X(open, true) /* it may create a file or empty one */                                                    \
    X(read, false)                                                                                           \
    X(write, true)                                                                                           \
    X(sync, true)                                                                                            \
    X(truncate, true)                                                                                        \
    X(close, true)                                                                                           \
    X(rename, true)                                                                                          \
    X(unlink, true)                                                                                          \
    X(mkdir, true)                                                                                           \
    X(rmdir, true)                                                                                           \
    X(lock, false)
typedef enum aic_io_kind {
#define AIC_IO_ENUM(name, changes) AIC_IO_##name,
    AIC_IO_KINDS(AIC_IO_ENUM)
#undef AIC_IO_ENUM
        AIC_IO_KIND_COUNT
} aic_io_kind;
const char *aic_io_kind_name(aic_io_kind k);
bool aic_io_kind_changes(aic_io_kind k);

int aic_io_open(const char *path, int flags, mode_t mode);        /* close-on-exec; -1 on failure */
ssize_t aic_io_read(int fd, void *out, size_t size);              /* at the file's position; 0 = the end */
ssize_t aic_io_read_at(int fd, void *out, size_t size, off_t at); /* the same at an offset */
bool aic_io_write(int fd, const void *data, size_t size);         /* at the file's position, all of it */
bool aic_io_write_at(int fd, const void *data, size_t size, off_t at);
/* Pieces of memory, one behind the other, at an offset: the system takes one large piece in half the time of
 * many small ones. The list is used up. */
typedef struct aic_io_piece {
    const void *data;
    size_t size;
} aic_io_piece;
bool aic_io_write_pieces(int fd, aic_io_piece *list, size_t n, off_t at);
bool aic_io_sync(int fd); /* to the disk; folders of file systems that know no such thing succeed */
/* Lets the system begin to write these bytes to the disk, without waiting: a later sync has less to do. A
 * hint: no call that moves bytes, and systems that know no such thing ignore it. */
void aic_io_start_sync(int fd, off_t at, off_t size);
bool aic_io_truncate(int fd, off_t size);
bool aic_io_close(int fd);
bool aic_io_rename(const char *from, const char *to);
bool aic_io_unlink(const char *path);
bool aic_io_mkdir(const char *path);
bool aic_io_rmdir(const char *path);
bool aic_io_lock(int fd); /* an exclusive lock, or false at once (EWOULDBLOCK: someone has it) */

/* Opens, syncs and closes a file or folder. */
bool aic_io_sync_path(const char *path);

/* ---- for tests --------------------------------------------------------------------------------------- */

typedef struct aic_io_call {
    aic_io_kind kind;
    const char *path; /* open, rename (the old name), unlink, mkdir, rmdir; else NULL */
    const char *to;   /* rename */
    int fd;           /* the others; else -1 */
    int flags;        /* open */
    off_t at;         /* read, write: where, -1 = at the file's position; truncate: the new size */
    size_t size;      /* read, write: bytes */
} aic_io_call;

typedef struct aic_io_watch {
    /* Before each call: 0 lets it pass, with fewer bytes where it lowers size; an error number fails it. */
    int (*before)(void *ctx, aic_io_call *call);
    /* After a call that was made: what it returned (open: the descriptor), with errno as it left it. */
    void (*after)(void *ctx, const aic_io_call *call, int64_t result);
    void *ctx;
} aic_io_watch;
/* NULL = nobody watches. While no other thread makes calls. */
void aic_io_set_watch(const aic_io_watch *watch);

#endif
