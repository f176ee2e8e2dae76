/* The folder NAME.part of a running or interrupted sweep, and the lock that keeps a second run out of it. */
#include "results/h5.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

void res_part_path(const res_part *p, const char *name, char out[RES_PATH_MAX]) {
    int n = snprintf(out, RES_PATH_MAX, "%s/%s", p->dir, name);
    if (n >= RES_PATH_MAX)
        *out = '\0'; /* set_paths leaves room for any name a folder can hold */
}

static bool set_paths(res_part *p, const char *final, aic_error *err) {
    size_t len = strlen(final);
    if (len == 0 || len > RES_PATH_MAX - 300)
        return aic_fail(err, AIC_BAD_INPUT, "the output's path is %s", len ? "too long" : "empty");
    snprintf(p->final, sizeof p->final, "%s", final);
    snprintf(p->dir, sizeof p->dir, "%s.part", final);
    const char *slash = strrchr(final, '/');
    if (!slash)
        snprintf(p->folder, sizeof p->folder, ".");
    else
        snprintf(p->folder, sizeof p->folder, "%.*s", slash == final ? 1 : (int)(slash - final), final);
    return true;
}

static bool target_is_free(const char *final, bool replace, aic_error *err) {
    struct stat st;
    if (stat(final, &st) != 0)
        return true;
    if (!S_ISREG(st.st_mode))
        return aic_fail(err, AIC_BAD_INPUT, "%s exists and is not a file; choose another output", final);
    return replace || aic_fail(err, AIC_BAD_INPUT,
                               "%s exists; give --force to replace it, or choose another output", final);
}

/* ---- lock -------------------------------------------------------------------------------------------- */

static void write_holder(int fd) {
    char host[128] = "", start[32] = "", text[224];
    gethostname(host, sizeof host - 1);
    time_t now = time(NULL);
    struct tm tm;
    if (gmtime_r(&now, &tm))
        strftime(start, sizeof start, "%Y-%m-%dT%H:%M:%SZ", &tm);
    int n = snprintf(text, sizeof text, "host %s, process %ld, since %s", host, (long)getpid(), start);
    if (!aic_io_truncate(fd, 0) || !aic_io_write_at(fd, text, (size_t)n, 0))
        return; /* the lock holds without its note */
}

static bool refuse_holder(const res_part *p, int fd, aic_error *err) {
    char text[224] = "";
    ssize_t n = aic_io_read_at(fd, text, sizeof text - 1, 0);
    for (ssize_t i = 0; i < n; i++)
        if (text[i] < 0x20 || text[i] > 0x7e)
            text[i] = '?';
    return aic_fail(err, AIC_BAD_INPUT, "another run is writing %s (%s)", p->final,
                    n > 0 ? text : "unknown holder");
}

/* Without file locks (some network disks) the note decides: whoever left it may still be running. */
static bool unlockable(const res_part *p, int fd, const char *lock, int cause, aic_error *err) {
    struct stat st;
    if (fstat(fd, &st) == 0 && st.st_size == 0)
        return true;
    aic_error holder = {0};
    refuse_holder(p, fd, &holder);
    return aic_fail(err, AIC_IO, "%s; this file system has no locks (%s): if that run is gone, remove %s",
                    holder.text, strerror(cause), lock);
}

/* 1 locked, 0 the file was removed meanwhile (try again), -1 refused. */
static int try_lock(res_part *p, const char *lock, aic_error *err) {
    if (!aic_io_mkdir(p->dir) && errno != EEXIST) {
        aic_fail(err, AIC_IO, "cannot create %s: %s", p->dir, strerror(errno));
        return -1;
    }
    int fd = aic_io_open(lock, O_RDWR | O_CREAT, 0666);
    if (fd < 0) {
        if (errno == ENOENT)
            return 0;
        aic_fail(err, AIC_IO, "cannot create %s: %s", lock, strerror(errno));
        return -1;
    }
    bool ok = true, gone = false;
    if (aic_io_lock(fd)) {
        struct stat open_file, named;
        gone = fstat(fd, &open_file) != 0 || stat(lock, &named) != 0 || open_file.st_ino != named.st_ino;
    } else if (errno == EWOULDBLOCK) {
        ok = refuse_holder(p, fd, err);
    } else {
        ok = unlockable(p, fd, lock, errno, err);
    }
    if (ok && !gone) {
        write_holder(fd);
        p->lock = fd;
        return 1;
    }
    aic_io_close(fd);
    return ok ? 0 : -1;
}

bool res_part_open(res_part *p, const char *final, bool replace, aic_error *err) {
    char lock[RES_PATH_MAX];
    p->lock = -1;
    if (!set_paths(p, final, err) || !target_is_free(final, replace, err))
        return false;
    res_part_path(p, "lock", lock);
    int state = 0;
    for (int attempt = 0; attempt < 100 && state == 0; attempt++)
        state = try_lock(p, lock, err);
    return state == 1 ||
           (state == 0 && aic_fail(err, AIC_IO, "cannot lock %s: it keeps being removed", lock));
}

/* ---- contents ---------------------------------------------------------------------------------------- */

/* Is this a file of ours that a run with so many chunk files to keep has no use for? */
static bool is_left_over(const char *name, uint64_t chunks) {
    size_t len = strlen(name);
    char kept[32];
    if (len > 4 && strcmp(name + len - 4, ".tmp") == 0)
        return true;
    if (strncmp(name, "chunk-", 6) != 0)
        return false;
    uint64_t index = strtoull(name + 6, NULL, 10);
    res_chunk_name(index, kept);
    return index >= chunks || strcmp(name, kept) != 0;
}

void res_part_clear(const res_part *p, uint64_t chunks) {
    char path[RES_PATH_MAX];
    if (chunks == 0) { /* first: without it the rest counts for nothing */
        res_part_path(p, "journal", path);
        aic_io_unlink(path);
    }
    DIR *dir = opendir(p->dir);
    if (!dir)
        return;
    for (struct dirent *e; (e = readdir(dir));)
        if (is_left_over(e->d_name, chunks)) {
            res_part_path(p, e->d_name, path);
            aic_io_unlink(path);
        }
    closedir(dir);
}

/* Does the folder hold nothing but the lock? */
static bool is_bare(const res_part *p) {
    DIR *dir = opendir(p->dir);
    bool bare = dir != NULL;
    for (struct dirent *e; bare && (e = readdir(dir));)
        bare = strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || strcmp(e->d_name, "lock") == 0;
    if (dir)
        closedir(dir);
    return bare;
}

void res_part_close(res_part *p, bool remove) {
    if (p->lock < 0)
        return;
    char lock[RES_PATH_MAX];
    res_part_path(p, "lock", lock);
    if (remove)
        res_part_clear(p, 0);
    if (remove || is_bare(p)) {
        aic_io_unlink(lock);
        aic_io_rmdir(p->dir); /* stays when someone put a file of theirs into it */
    } else if (!aic_io_truncate(p->lock, 0)) {
        aic_io_unlink(lock);
    }
    aic_io_close(p->lock);
    p->lock = -1;
}

bool res_sync_folder(const char *folder, aic_error *err) {
    return aic_io_sync_path(folder) ||
           aic_fail(err, AIC_IO, "%s: cannot be synced to disk: %s", folder, strerror(errno));
}

void res_part_clear_beside(const char *final) {
    res_part part;
    aic_error held = {0};
    if (set_paths(&part, final, &held) && access(part.dir, F_OK) == 0 &&
        res_part_open(&part, final, true, &held))
        res_part_close(&part, true);
}

bool res_publish(const char *from, const char *to, const char *folder, aic_error *err) {
    if (!aic_io_rename(from, to))
        return aic_fail(err, AIC_IO, "cannot rename %s to %s: %s", from, to, strerror(errno));
    return res_sync_folder(folder, err);
}
