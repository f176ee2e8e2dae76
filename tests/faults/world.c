/* Runs in processes of their own, and what they leave. */
#include "faults/faults.h"
#include "unit/results_fixture.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>

enum { DEPLOYMENTS = 4, BLOCK = 320, REAL_BLOCK = 24, REAL_THREADS = 2, WATCHDOG_SECONDS = 120 };

static const char spec[] = "name: faults\n"
                           "sweep:\n"
                           "- models: [Qwen/Qwen3-8B, Qwen/Qwen3-30B-A3B]\n"
                           "  systems: h200_sxm\n"
                           "  backends: [trtllm, vllm]\n"
                           "  tp: [1, 2]\n"
                           "  batch: [1, 8, 2048]\n"
                           "  isl: [512, 16384]\n"
                           "  osl: [1, 200]\n";

struct flt_world {
    char folder[256], name[300], part[310], journal[320], whole[300], stash[300], spec[300], said[300];
    const char *data;
    bool real;
    fix_sweep *sweep; /* unless real */
    flt_told *told;   /* shared with the run */
    uint64_t points, run_at;
};

/* ---- one run ----------------------------------------------------------------------------------------- */

static res_writer_options options(const char *path) {
    res_writer_options opt = fix_options(path);
    opt.checkpoint_s = 0;
    opt.resume = true;
    return opt;
}

static bool write_by_hand(const flt_world *w, const char *path, res_summary *out, aic_error *err) {
    res_writer_options opt = options(path);
    res_origin origin = fix_origin(w->sweep);
    origin.threads = 1;
    res_writer *writer = res_writer_open(&opt, &origin, err);
    if (!writer)
        return false;
    if (fix_continue(w->sweep, writer, BLOCK, fix_count(w->sweep), err))
        return res_writer_finish(writer, true, out, err);
    res_writer_abandon(writer);
    return false;
}

static const char *data_path(const flt_world *w, const char *part) {
    static char paths[8][512];
    static unsigned next;
    char *path = paths[next++ % 8];
    snprintf(path, 512, "%s/%s", w->data, part);
    return path;
}

/* The process ends soon after: nothing of it is freed. */
static bool run_real(const flt_world *w, const char *path, res_summary *out, aic_error *err) {
    const char *perfdb = data_path(w, "perfdb"), *systems = data_path(w, "systems"),
               *models = data_path(w, "models");
    srv_env env = {0};
    env.db = pdb_open(&perfdb, 1, NULL, &systems, 1, err);
    op_kinds *kinds = env.db ? op_kinds_open(NULL, 0, err) : NULL;
    env.models = kinds ? mdl_open_with(&models, 1, kinds, err) : NULL;
    env.backends = env.models ? srv_backends_open(data_path(w, "backends"), err) : NULL;
    swp_sweep *s = env.backends ? swp_load(w->spec, NULL, 0, &env, err) : NULL;
    swp_options opt = {.threads = REAL_THREADS,
                       .quiet = true,
                       .block_points = REAL_BLOCK,
                       .program = "faults",
                       .command_line = "faults",
                       .out = options(path)};
    return s && swp_run(s, &env, &opt, out, err);
}

static _Noreturn void child(const flt_world *w, const char *path, const flt_plan *plan) {
    aic_error err = {0};
    res_summary out = {0};
    int said = open(w->said, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    alarm(WATCHDOG_SECONDS); /* a run that hangs is a finding */
    if (said < 0 || dup2(said, STDERR_FILENO) < 0)
        _exit(99);
    flt_install(plan, w->journal, w->stash, w->told);
    bool ok = w->real ? run_real(w, path, &out, &err) : write_by_hand(w, path, &out, &err);
    w->told->resumed = out.resumed;
    w->told->points = out.points;
    w->told->code = ok ? AIC_OK : (int)err.code;
    snprintf(w->told->text, sizeof w->told->text, "%s", err.text);
    _exit(w->told->code);
}

static bool run(flt_world *w, const char *path, const flt_plan *plan, flt_told *told) {
    int status;
    fflush(NULL);
    memset(w->told, 0, sizeof *w->told);
    w->told->code = -1;
    pid_t pid = fork();
    if (pid == 0)
        child(w, path, plan);
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        abort();
    *told = *w->told;
    if (WIFEXITED(status)) {
        if (told->code < 0) { /* it left by itself: base/mem does when there is no memory */
            told->code = WEXITSTATUS(status);
            aic_buf said = {0};
            char why[256];
            if (aic_read_file(w->said, 1 << 20, &said, why, sizeof why))
                snprintf(told->text, sizeof told->text, "%s", said.data);
            aic_buf_free(&said);
        }
        return told->code == 0;
    }
    told->code = -WTERMSIG(status);
    return false;
}

bool flt_run(flt_world *w, const flt_plan *plan, flt_told *told) {
    return run(w, w->name, plan, told);
}

/* ---- what is left ------------------------------------------------------------------------------------ */

bool flt_output_exists(const flt_world *w) {
    return access(w->name, F_OK) == 0;
}

static bool is_expected(const flt_world *w, const char *name) {
    static const char *const own[] = {"whole.h5", "out.h5", "stash", "spec.yaml", "said"};
    (void)w;
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (strcmp(name, own[i]) == 0)
            return true;
    return name[0] == '.';
}

bool flt_is_whole_file(const flt_world *w) {
    return fix_same_but_run(w->whole, w->name, w->run_at);
}

bool flt_is_whole(const flt_world *w) {
    if (!flt_is_whole_file(w)) {
        printf("    %s differs from the undisturbed run's\n", w->name);
        return false;
    }
    DIR *d = opendir(w->folder);
    bool clean = d != NULL;
    for (struct dirent *e; d && (e = readdir(d));)
        if (!is_expected(w, e->d_name)) {
            printf("    %s is left over\n", e->d_name);
            clean = false;
        }
    if (d)
        closedir(d);
    return clean;
}

static void remove_tree(const char *path) {
    char command[400];
    snprintf(command, sizeof command, "rm -rf '%s'", path);
    if (system(command) != 0)
        abort();
}

static void remove_flat(const char *path) {
    DIR *d = opendir(path);
    char file[600];
    if (!d)
        return;
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.') {
            snprintf(file, sizeof file, "%s/%s", path, e->d_name);
            unlink(file);
        }
    closedir(d);
}

void flt_clear(const flt_world *w) {
    unlink(w->name);
    remove_flat(w->part);
    rmdir(w->part);
    remove_flat(w->stash);
}

uint64_t flt_world_points(const flt_world *w) {
    return w->points;
}

const char *flt_world_part(const flt_world *w) {
    return w->part;
}

/* ---- worlds ------------------------------------------------------------------------------------------ */

static bool find_run(flt_world *w) {
    H5O_info_t info;
    hid_t f = H5Fopen(w->whole, H5F_ACC_RDONLY, H5P_DEFAULT);
    bool ok = f >= 0 && H5Oget_info_by_name(f, "/run", &info, H5P_DEFAULT) >= 0;
    if (f >= 0)
        H5Fclose(f);
    w->run_at = ok ? info.addr : 0;
    return ok;
}

static void write_spec(const flt_world *w) {
    FILE *f = fopen(w->spec, "w");
    if (!f || fputs(spec, f) < 0 || fclose(f) != 0)
        abort();
}

static void *shared_memory(const char *through, size_t size) {
    int fd = open(through, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
        abort();
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        abort();
    close(fd);
    unlink(through); /* the memory stays */
    return p;
}

flt_world *flt_world_new(const char *folder, bool real, const char *data) {
    flt_world *w = AIC_NEW(flt_world);
    flt_told told;
    w->real = real;
    w->data = data;
    snprintf(w->folder, sizeof w->folder, "%s", folder);
    snprintf(w->name, sizeof w->name, "%s/out.h5", w->folder);
    snprintf(w->part, sizeof w->part, "%s.part", w->name);
    snprintf(w->journal, sizeof w->journal, "%s/journal", w->part);
    snprintf(w->whole, sizeof w->whole, "%s/whole.h5", w->folder);
    snprintf(w->stash, sizeof w->stash, "%s/stash", w->folder);
    snprintf(w->spec, sizeof w->spec, "%s/spec.yaml", w->folder);
    snprintf(w->said, sizeof w->said, "%s/said", w->folder);
    if (mkdir(w->stash, 0777) != 0)
        abort();
    w->told = shared_memory(w->said, sizeof *w->told);
    if (real)
        write_spec(w);
    else
        w->sweep = fix_new(DEPLOYMENTS);
    if (!run(w, w->whole, &(flt_plan){0}, &told) || !find_run(w)) {
        printf("the undisturbed run failed: %s\n", told.text);
        exit(1);
    }
    w->points = told.points;
    return w;
}

void flt_world_free(flt_world *w) {
    if (w->sweep)
        fix_free(w->sweep);
    munmap(w->told, sizeof *w->told);
    remove_tree(w->folder);
    free(w);
}
