/* A disk that may lose what was not synced. Every change is remembered with what it takes to undo it, until a
 * sync makes it last: of a file for its bytes, of a folder for its names. */
#include "faults/faults.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes of a file that a write or a cut replaced. */
typedef struct bytes {
    int fd; /* readable and writable */
    dev_t device;
    ino_t inode;
    off_t at, size_before;
    size_t n, written; /* replaced bytes that are kept here; bytes that were written */
    char *old;
} bytes;

typedef struct name {
    aic_io_kind kind; /* open: a file was created */
    char folder[512]; /* the sync of which makes it last */
    char path[512], to[512];
    char kept[512]; /* what stood under the name that went, "" = nothing */
} name;

static struct {
    const char *stash;
    bytes *b;
    size_t n_b, cap_b;
    name *names;
    size_t n_names, cap_names;
    unsigned kept;
    bool pending; /* the last name is of a call whose outcome is not known yet */
    bool created; /* the open at hand creates its file */
} disk;

void flt_loss_start(const char *stash) {
    disk.stash = stash;
}

static void folder_of(const char *path, char out[512]) {
    const char *slash = strrchr(path, '/');
    snprintf(out, 512, "%.*s", slash ? (int)(slash - path) : 1, slash ? path : ".");
}

static int reopen(int fd) {
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return open(path, O_RDWR | O_CLOEXEC);
}

/* Remembers n bytes from `at` of an open file, as far as they exist. */
static void keep_bytes(int fd, off_t at, size_t written, size_t n) {
    struct stat st;
    int own = reopen(fd);
    if (own < 0 || fstat(own, &st) != 0 || !S_ISREG(st.st_mode))
        return;
    AIC_GROW(disk.b, disk.n_b, disk.cap_b);
    bytes *b = &disk.b[disk.n_b++];
    *b = (bytes){.fd = own,
                 .device = st.st_dev,
                 .inode = st.st_ino,
                 .at = at,
                 .size_before = st.st_size,
                 .written = written};
    if (at < st.st_size) {
        b->n = (size_t)(st.st_size - at) < n ? (size_t)(st.st_size - at) : n;
        b->old = aic_alloc(b->n, 1);
        if (pread(own, b->old, b->n, at) != (ssize_t)b->n)
            abort();
    }
}

static void keep_name(aic_io_kind kind, const char *path, const char *to) {
    const char *goes = to ? to : path;
    AIC_GROW(disk.names, disk.n_names, disk.cap_names);
    name *n = &disk.names[disk.n_names++];
    *n = (name){.kind = kind};
    folder_of(goes, n->folder);
    snprintf(n->path, sizeof n->path, "%s", path);
    snprintf(n->to, sizeof n->to, "%s", to ? to : "");
    if (kind == AIC_IO_unlink || kind == AIC_IO_rename) {
        snprintf(n->kept, sizeof n->kept, "%s/%u", disk.stash, disk.kept++);
        if (link(goes, n->kept) != 0)
            n->kept[0] = '\0';
    }
    disk.pending = true;
}

static void keep_for_open(const aic_io_call *c) {
    struct stat st;
    bool there = stat(c->path, &st) == 0;
    if (!there && (c->flags & O_CREAT))
        keep_name(AIC_IO_open, c->path, NULL);
    if (there && S_ISREG(st.st_mode) && (c->flags & O_TRUNC) && st.st_size > 0) {
        int fd = open(c->path, O_RDWR | O_CLOEXEC);
        keep_bytes(fd, 0, 0, (size_t)st.st_size);
        close(fd);
    }
}

void flt_loss_before(const aic_io_call *c) {
    struct stat st;
    disk.pending = false;
    switch (c->kind) {
    case AIC_IO_open:
        keep_for_open(c);
        break;
    case AIC_IO_write:
        keep_bytes(c->fd,
                   c->at >= 0                                                   ? c->at
                   : fcntl(c->fd, F_GETFL) & O_APPEND && fstat(c->fd, &st) == 0 ? st.st_size
                                                                                : lseek(c->fd, 0, SEEK_CUR),
                   c->size, c->size);
        break;
    case AIC_IO_truncate:
        keep_bytes(c->fd, c->at, 0, SIZE_MAX / 2);
        break;
    case AIC_IO_rename:
    case AIC_IO_unlink:
    case AIC_IO_mkdir:
    case AIC_IO_rmdir:
        keep_name(c->kind, c->path, c->to);
        break;
    default:
        break;
    }
}

static void forget_bytes(const struct stat *st) {
    size_t left = 0;
    for (size_t i = 0; i < disk.n_b; i++)
        if (disk.b[i].device == st->st_dev && disk.b[i].inode == st->st_ino) {
            close(disk.b[i].fd);
            free(disk.b[i].old);
        } else {
            disk.b[left++] = disk.b[i];
        }
    disk.n_b = left;
}

static void forget_names(const struct stat *st) {
    size_t left = 0;
    struct stat folder;
    for (size_t i = 0; i < disk.n_names; i++)
        if (stat(disk.names[i].folder, &folder) != 0 || folder.st_ino != st->st_ino ||
            folder.st_dev != st->st_dev)
            disk.names[left++] = disk.names[i];
    disk.n_names = left;
}

void flt_loss_after(const aic_io_call *c, int64_t result) {
    struct stat st;
    if (result < 0 && disk.pending)
        disk.n_names--; /* it did not happen */
    if (c->kind != AIC_IO_sync || result < 0 || fstat(c->fd, &st) != 0)
        return;
    if (S_ISDIR(st.st_mode))
        forget_names(&st);
    else
        forget_bytes(&st);
}

/* ---- the loss ---------------------------------------------------------------------------------------- */

static uint64_t random_next(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void undo_bytes(const bytes *b) {
    if (b->n && pwrite(b->fd, b->old, b->n, b->at) != (ssize_t)b->n)
        abort();
    if (ftruncate(b->fd, b->size_before) != 0)
        abort();
}

static void garble_bytes(const bytes *b, uint64_t *seed) {
    bool zeros = random_next(seed) % 2;
    for (size_t i = 0; i < b->written; i++) {
        char byte = zeros ? 0 : (char)random_next(seed);
        if (pwrite(b->fd, &byte, 1, b->at + (off_t)i) != 1)
            abort();
    }
}

static void remove_tree(const char *path) {
    char command[1200];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    if (system(command) != 0)
        abort();
}

static void undo_name(const name *n) {
    bool ok = true;
    switch (n->kind) {
    case AIC_IO_open:
        unlink(n->path);
        break;
    case AIC_IO_mkdir:
        remove_tree(n->path);
        break;
    case AIC_IO_rmdir:
        ok = mkdir(n->path, 0777) == 0;
        break;
    case AIC_IO_rename:
        ok = rename(n->to, n->path) == 0 && (!n->kept[0] || rename(n->kept, n->to) == 0);
        break;
    default:
        ok = !n->kept[0] || rename(n->kept, n->path) == 0;
        break;
    }
    if (!ok)
        abort();
}

void flt_loss_strike(flt_action how, uint64_t seed) {
    for (size_t i = disk.n_b; i-- > 0;)
        if (how == FLT_GARBLE)
            garble_bytes(&disk.b[i], &seed);
        else if (how == FLT_LOSE || random_next(&seed) % 2)
            undo_bytes(&disk.b[i]);
    size_t keep = how == FLT_LOSE     ? 0
                  : how == FLT_GARBLE ? disk.n_names
                                      : (size_t)(random_next(&seed) % (disk.n_names + 1));
    for (size_t i = disk.n_names; i-- > keep;)
        undo_name(&disk.names[i]);
}
