/* links: perfdb. The reader of perfdb files on any bytes: opening, listing, loading, verifying; seeds in
 * seeds/perfdb. */
#include "perfdb/rows.h"
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

/* The HDF5 library does not free everything it held when a file turns out to be damaged. */
const char *__lsan_default_suppressions(void) {
    return "leak:libhdf5";
}

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

static char folder[64];
static char path[80], sheet[80], facts[80];

static void clean_up(void) {
    remove(path);
    remove(sheet);
    remove(facts);
    remove(folder);
}

static void write_file(const char *name, const void *data, size_t size) {
    FILE *f = fopen(name, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
}

static void make_folder(void) {
    static const char figures[] =
        "gpu: {mem_bw: 1.0e+12}\n"
        "node: {num_gpus_per_node: 8, intra_node_bw: 4.0e+11, inter_node_bw: 5.0e+10}\n";
    static const char release[] = "format: aicfg-perfdb-release\nversion: 1\nrelease: r1\n"
                                  "directories: {box: {vllm: ['0.9', '1.0'], trtllm: ['1.0']}}\n"
                                  "cross_backend: [{table: own_perf, kernel_source: a, tier: shared, "
                                  "frameworks: [trtllm, vllm]}]\n";
    bool memory = access("/dev/shm", W_OK) == 0; /* a disk would be the slowest part of a run */
    snprintf(folder, sizeof folder, "%s/aicfg-fuzz-perfdb-XXXXXX", memory ? "/dev/shm" : "/tmp");
    if (!mkdtemp(folder))
        abort();
    snprintf(path, sizeof path, "%s/box.h5", folder);
    snprintf(sheet, sizeof sheet, "%s/box.yaml", folder);
    snprintf(facts, sizeof facts, "%s/release.yaml", folder);
    write_file(sheet, figures, sizeof figures - 1);
    write_file(facts, release, sizeof release - 1);
    atexit(clean_up);
    aic_quiet(true);
}

/* The tables of the seeds, as an op family would read them. */
static const pdb_schema own = {
    .table = "own_perf",
    .cats = {{.column = "mode", .text = true},
             {.column = "heads", .optional = true},
             {.column = "kernel_source", .text = true, .optional = true}},
    .n_cats = 3,
    .n_extra = 1,
    .axes = {{.column = "m"}, {.column = "n"}, {.column = "k", .plus = "step", .optional = true}},
    .n_axes = 3,
    .sites = true};
static const pdb_schema wide = {.table = "wide_perf",
                                .axes = {{.column = "message_size"}},
                                .n_axes = 1,
                                .wide_axis = true,
                                .value = {"send_us", "wait_us"},
                                .last_in_source = true};

static void load(pdb *db, const char *backend) {
    const pdb_view *v = pdb_view_get(db, "box", backend, "1.0", true, true, NULL);
    const pdb_schema *const schemas[] = {&own, &wide};
    for (size_t i = 0; v && i < 2; i++) {
        const char *why = NULL;
        const pdb_table *t = pdb_table_get(v, schemas[i], &why);
        if (!t && (!why || !*why))
            abort(); /* a table that cannot answer says why */
        for (size_t k = 0; t && k < pdb_slice_count(t); k++) {
            const pdb_slice *s = pdb_slice_at(t, k);
            if (pdb_slice_find(t, s->cat) != s)
                abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!*path)
        make_folder();
    write_file(path, data, size);
    const char *const dirs[] = {folder};
    static FILE *sink;
    if (!sink)
        sink = fopen("/dev/null", "w");
    aic_error err = {0};
    pdb *db = pdb_open(dirs, 1, NULL, dirs, 1, &err);
    if (!db)
        abort();
    load(db, "vllm");
    load(db, "trtllm");
    pdb_info(db, "box", sink, NULL);
    if (!pdb_verify(db, "box", sink, &err) && err.code == AIC_OK)
        abort();
    pdb_close(db);
    pdb_export(path, "own_perf/vllm/1.0", sink, NULL);
    return 0;
}

/* ---- mutations behind the checksums ----------------------------------------------------------- */

static uint32_t turned(uint32_t x, int bits) {
    return x << bits | x >> (32 - bits);
}

static uint32_t word(const uint8_t *p, size_t n) {
    uint32_t w = 0;
    for (size_t i = 0; i < n && i < 4; i++)
        w |= (uint32_t)p[i] << (8 * i);
    return w;
}

/* The checksum of HDF5's metadata: Bob Jenkins' lookup3 over little-endian words. */
static uint32_t checksum(const uint8_t *p, size_t n) {
    uint32_t a = 0xdeadbeef + (uint32_t)n, b = a, c = a;
    for (; n > 12; p += 12, n -= 12) {
        static const int bits[6] = {4, 6, 8, 16, 19, 4};
        uint32_t x[3] = {a + word(p, 4), b + word(p + 4, 4), c + word(p + 8, 4)};
        for (int i = 0; i < 6; i++) {
            uint32_t *to = &x[i % 3], *from = &x[(i + 2) % 3], *other = &x[(i + 1) % 3];
            *to -= *from;
            *to ^= turned(*from, bits[i]);
            *from += *other;
        }
        a = x[0];
        b = x[1];
        c = x[2];
    }
    if (!n)
        return c;
    a += word(p, n);
    b += n > 4 ? word(p + 4, n - 4) : 0;
    c += n > 8 ? word(p + 8, n - 8) : 0;
    static const int last[7] = {14, 11, 25, 16, 4, 14, 24};
    uint32_t x[3] = {a, b, c};
    for (int i = 0; i < 7; i++) {
        uint32_t *to = &x[(i + 2) % 3], *from = &x[(i + 1) % 3];
        *to ^= *from;
        *to -= turned(*from, last[i]);
    }
    return x[2];
}

static void put_checksum(uint8_t *data, size_t size, size_t start, size_t end) {
    if (end < start || end > size || size - end < 4)
        return;
    uint32_t sum = checksum(data + start, end - start);
    for (int i = 0; i < 4; i++)
        data[end + (size_t)i] = (uint8_t)(sum >> (8 * i));
}

/* Superblock of version 2 or 3 and object headers of version 2: all that small files have. */
static void mend(uint8_t *data, size_t size) {
    if (size >= 48)
        put_checksum(data, size, 0, 44);
    for (size_t at = 0; at + 16 < size; at++) {
        if (memcmp(data + at, "OHDR\2", 5) != 0)
            continue;
        unsigned flags = data[at + 5];
        size_t width = (size_t)1 << (flags & 3),
               head = 6 + (flags & 0x20 ? 16u : 0u) + (flags & 0x10 ? 4u : 0u) + width;
        if (width <= 4 && at + head <= size)
            put_checksum(data, size, at, at + head + word(data + at + head - width, width));
    }
}

/* Most mutants must get past the checksums to reach what lies behind them; the rest try the checksums. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {
    size = LLVMFuzzerMutate(data, size, max_size);
    if (seed % 8)
        mend(data, size);
    return size;
}
