/* The main() of a fuzz target where there is no libFuzzer: every seed, then a fixed number of mutants of
 * them. fuzz_TARGET_replay SEEDS COUNT     all seeds, mutants 0 to COUNT - 1 fuzz_TARGET_replay SEEDS -i N
 * mutant N alone: what a failed run asks to be run again fuzz_TARGET_replay FILE            one input from a
 * file A mutant depends on its number and the seeds and on nothing else, so a run on one machine is a run on
 * all. */
#include "base/base.h"
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    HANG_S = 60,          /* an input takes milliseconds; this much is a hang on any machine */
    MUTANT_MAX = 1 << 16, /* bytes */
    EDITS_MAX = 6
};

typedef struct input {
    char *name;
    uint8_t *data;
    size_t size;
} input;

typedef struct seeds {
    input *v;
    size_t n, cap;
} seeds;

/* ---- telling which input it was ---------------------------------------------------------------- */

static char running[512]; /* made before an input runs, since a signal handler cannot format */

static void tell(void) {
    ssize_t unused = write(STDERR_FILENO, running, strlen(running));
    (void)unused;
}

static void on_signal(int signal) {
    if (signal == SIGALRM) {
        static const char hang[] = "replay: an input did not end\n";
        ssize_t unused = write(STDERR_FILENO, hang, sizeof hang - 1);
        (void)unused;
    }
    tell();
    _exit(1);
}

/* A sanitizer that found something ends the process by itself. */
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

static void watch(void) {
    static const int fatal[] = {SIGALRM, SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        signal(fatal[i], on_signal);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(tell);
}

/* The input lies in a block of just its size, so that a sanitizer sees a read beyond it. */
static void run(const uint8_t *data, size_t size) {
    uint8_t *copy = aic_alloc(size ? size : 1, 1);
    if (size)
        memcpy(copy, data, size);
    alarm(HANG_S);
    LLVMFuzzerTestOneInput(copy, size);
    alarm(0);
    free(copy);
}

/* ---- seeds ------------------------------------------------------------------------------------- */

static bool read_seed(const char *path, input *out) {
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    out->name = strdup(path);
    out->data = aic_alloc(MUTANT_MAX, 1);
    out->size = fread(out->data, 1, MUTANT_MAX, f);
    bool whole = !ferror(f) && fgetc(f) == EOF;
    return fclose(f) == 0 && whole;
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const input *)a)->name, ((const input *)b)->name);
}

static bool read_seeds(const char *dir, seeds *s) {
    DIR *d = opendir(dir);
    if (!d)
        return false;
    bool ok = true;
    for (struct dirent *e; ok && (e = readdir(d));) {
        char path[1024];
        if (e->d_name[0] == '.')
            continue;
        AIC_GROW(s->v, s->n, s->cap);
        s->v[s->n] = (input){0};
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        ok = read_seed(path, &s->v[s->n++]);
    }
    closedir(d);
    if (ok && s->n)
        qsort(s->v, s->n, sizeof *s->v, by_name); /* a folder's own order differs from disk to disk */
    return ok && s->n;
}

static void free_seeds(seeds *s) {
    for (size_t i = 0; i < s->n; i++) {
        free(s->v[i].name);
        free(s->v[i].data);
    }
    free(s->v);
}

/* ---- mutants ----------------------------------------------------------------------------------- */

/* splitmix64: any state is a good one, so the number of a mutant may be its state. */
static uint64_t draw(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static size_t below(uint64_t *state, size_t n) {
    return n ? (size_t)(draw(state) % n) : 0;
}

static size_t smaller(size_t a, size_t b) {
    return a < b ? a : b;
}

/* Replaces bytes [at, at + cut) of m by n bytes of text, which may lie in m itself. */
static void splice(input *m, size_t at, size_t cut, const uint8_t *text, size_t n) {
    uint8_t part[256];
    n = smaller(smaller(n, sizeof part), MUTANT_MAX - (m->size - cut));
    if (n)
        memcpy(part, text, n);
    memmove(m->data + at + n, m->data + at + cut, m->size - at - cut);
    if (n)
        memcpy(m->data + at, part, n);
    m->size += n - cut;
}

/* Words that parsers care about, and bytes that none should trip over. */
static const char *const words[] = {
    "\n",   "\"", "\\", ",",    ":",   "{",      "}",   "[",  "]",     "(",       ")", "- ",
    "#",    "&a", "*a", "<<",   "!!",  "\xff",   "NaN", "-1", "1e999", "0x",      "~", "'",
    "\r\n", "%",  "\t", "null", "\\u", "1.5e-3", "and", "${", "true",  "9999999", "|", "\xef\xbb\xbf"};

static void edit(input *m, const seeds *s, uint64_t *state) {
    size_t at = below(state, m->size + 1), left = m->size - at;
    uint8_t byte = (uint8_t)draw(state);
    const input *other;
    const char *word;
    size_t from;
    switch (draw(state) % 7) {
    case 0: /* one bit */
        if (left)
            m->data[at] = (uint8_t)(m->data[at] ^ (1u << byte % 8));
        break;
    case 1: /* one byte */
        splice(m, at, left ? 1 : 0, &byte, 1);
        break;
    case 2: /* a piece goes */
        splice(m, at, below(state, smaller(left, 64) + 1), NULL, 0);
        break;
    case 3: /* a piece comes twice */
        splice(m, below(state, m->size + 1), 0, m->data + at, below(state, smaller(left, 256) + 1));
        break;
    case 4: /* a word comes */
        word = words[draw(state) % (sizeof words / sizeof *words)];
        splice(m, at, 0, (const uint8_t *)word, strlen(word));
        break;
    case 5: /* a piece of another seed comes */
        other = &s->v[below(state, s->n)];
        from = below(state, other->size);
        splice(m, at, below(state, smaller(left, 8) + 1), other->data + from,
               below(state, other->size - from + 1));
        break;
    case 6: /* the end goes, seldom: what follows would be seen no more */
        if (byte < 64)
            m->size = at;
        break;
    }
}

static void run_mutant(const seeds *s, uint64_t number, const char *program, const char *dir, input *m) {
    uint64_t state = number;
    const input *from = &s->v[below(&state, s->n)];
    memcpy(m->data, from->data, from->size);
    m->size = from->size;
    for (size_t n = 1 + below(&state, EDITS_MAX); n; n--)
        edit(m, s, &state);
    snprintf(running, sizeof running, "replay: failed; once more: %s %s -i %llu\n", program, dir,
             (unsigned long long)number);
    run(m->data, m->size);
}

static void run_seed(const input *in, const char *program) {
    snprintf(running, sizeof running, "replay: failed; once more: %s %s\n", program, in->name);
    run(in->data, in->size);
}

int main(int argc, char **argv) {
    struct stat st;
    int64_t first = 0, end = 0;
    bool one = argc == 4 && strcmp(argv[2], "-i") == 0;
    bool folder = argc > 1 && stat(argv[1], &st) == 0 && S_ISDIR(st.st_mode);
    if (folder ? argc < 3 || !aic_parse_i64(argv[argc - 1], &end) || end < 0 : argc != 2) {
        fprintf(stderr, "usage: %s SEEDS COUNT | SEEDS -i N | FILE\n", argv[0]);
        return 2;
    }
    seeds s = {0};
    input m = {.data = aic_alloc(MUTANT_MAX, 1)};
    bool ok = folder ? read_seeds(argv[1], &s) : read_seed(argv[1], &m);
    if (!ok) {
        fprintf(stderr, "%s: %s: cannot be read, is empty or longer than %d bytes\n", argv[0], argv[1],
                MUTANT_MAX);
        return 3;
    }
    watch();
    if (!folder)
        run_seed(&m, argv[0]);
    for (size_t i = 0; folder && !one && i < s.n; i++)
        run_seed(&s.v[i], argv[0]);
    if (one)
        first = end++;
    for (int64_t i = first; folder && i < end; i++)
        run_mutant(&s, (uint64_t)i, argv[0], argv[1], &m);
    free(m.name);
    free(m.data);
    free_seeds(&s);
    return 0;
}
