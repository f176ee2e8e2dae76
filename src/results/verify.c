/* Verifying a result file: the seal over all its bytes, then every chunk of every dataset decoded and
 * digested again, then what readers check. The seal finds any damage; the rest says where it is.
 *
 * HDF5 serves one caller at a time, so threads take turns to fetch stored chunks and decode and digest them
 * side by side.
 */
#include "results/h5.h"
#include <inttypes.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct worker {
    res_codec *codec;
    uint8_t *stored, *plain;
    size_t stored_cap, plain_cap;
} worker;

typedef struct verifier {
    res_in in;
    const char *path;
    FILE *out;
    aic_arena *arena;
    worker *workers;
    unsigned threads;
    aic_buf content; /* a line per dataset, as the writer made them */
    char digest[65]; /* of it */
    size_t faults, datasets;
    uint64_t chunks, points;
} verifier;

/* Says what is wrong, without the path that messages of readers begin with. */
static void fault(verifier *v, const char *text) {
    size_t len = strlen(v->path);
    if (strncmp(text, v->path, len) == 0 && strncmp(text + len, ": ", 2) == 0)
        text += len + 2;
    if (v->faults++ == 0)
        fprintf(v->out, "BAD  %s\n", v->path);
    fprintf(v->out, "  %s\n", text);
}

/* ---- datasets ---------------------------------------------------------------------------------------- */

/* The digest of one chunk's rows. */
static bool digest_chunk(verifier *v, worker *w, const res_dataset *d, const char *path, uint64_t index,
                         res_chunk_digest hex, aic_error *err) {
    res_coded coded;
    size_t bytes = d->chunk * d->width;
    uint64_t rows = d->rows - index * d->chunk;
    if (!res_in_stored(&v->in, d, path, index, &w->stored, &w->stored_cap, &coded, err))
        return false;
    res_make_room(&w->plain, &w->plain_cap, bytes);
    if (coded.size == 0)
        memset(w->plain, 0, bytes);
    else if (!res_decode(w->codec, &coded, d->width, d->chunk, res_shuffled(d->type), w->plain))
        return aic_fail(err, AIC_BAD_INPUT, "%s: chunk %" PRIu64 " is damaged", path, index);
    res_digest_rows(w->plain, (rows < d->chunk ? (size_t)rows : d->chunk) * d->width, hex);
    return true;
}

/* Digests of all chunks into hex, RES_DIGEST + 1 bytes each; every bad one is a fault. */
static bool digest_chunks(verifier *v, const res_dataset *d, const char *path, uint64_t n, char *hex) {
    size_t before = v->faults;
    int64_t count = (int64_t)n;
#pragma omp parallel for schedule(dynamic) num_threads((int)v->threads) if (n > 1)
    for (int64_t i = 0; i < count; i++) {
        aic_error why = {0};
        if (!digest_chunk(v, &v->workers[omp_get_thread_num()], d, path, (uint64_t)i,
                          hex + i * (RES_DIGEST + 1), &why))
#pragma omp critical(verify_fault)
            fault(v, why.text);
    }
    v->chunks += n;
    return v->faults == before;
}

static void compare_digest(verifier *v, const char *path, uint64_t rows, const char *computed) {
    aic_error why = {0};
    const char *stored;
    char text[160];
    res_content_line(&v->content, path, rows, computed);
    if (!res_in_text(&v->in, path, "sha256", v->arena, &stored, &why)) {
        fault(v, why.text);
    } else if (strcmp(stored, computed) != 0) {
        snprintf(text, sizeof text, "%s: the rows are not those its digest was made from", path);
        fault(v, text);
    }
}

static void verify_dataset(verifier *v, const char *path, res_dtype type, size_t chunk, bool sparse) {
    aic_error why = {0};
    res_dataset d;
    char computed[65];
    v->datasets++;
    if (!res_in_dataset(&v->in, path, type, chunk, sparse, &d, &why)) {
        fault(v, why.text);
        return;
    }
    uint64_t n = d.rows / chunk + (d.rows % chunk != 0);
    char *hex = aic_calloc((size_t)n, RES_DIGEST + 1);
    if (digest_chunks(v, &d, path, n, hex)) {
        aic_sha256 *h = aic_sha256_new();
        for (uint64_t i = 0; i < n; i++)
            aic_sha256_add(h, hex + i * (RES_DIGEST + 1), RES_DIGEST);
        aic_sha256_hex(h, computed);
        compare_digest(v, path, d.rows, computed);
    }
    if (type == RES_D_U64 && strcmp(path, "/points/point") == 0)
        v->points = d.rows;
    free(hex);
    res_dataset_close(&d);
}

static void verify_group(verifier *v, res_group_id id, res_precision breakdown) {
    const res_group *g = res_group_in(id, breakdown);
    char path[96];
    for (size_t f = 0; f < g->n_fields; f++) {
        snprintf(path, sizeof path, "/%s/%s", g->name, g->fields[f].name);
        verify_dataset(v, path, g->fields[f].type, g->chunk, g->sparse);
    }
}

/* All datasets in the order of the content digest, then that digest. */
static void verify_datasets(verifier *v) {
    aic_error why = {0};
    char path[96];
    const char *stored;
    size_t before = v->faults;
    res_precision breakdown;
    if (!res_in_precision(&v->in, &breakdown, &why))
        fault(v, why.text);
    verify_dataset(v, "/spec", RES_D_U8, RES_SPEC_CHUNK, false);
    for (int g = RES_G_POINTS; g <= RES_G_OPS; g++)
        verify_group(v, (res_group_id)g, breakdown);
    for (int a = 0; a < RES_AXIS_COUNT; a++) {
        snprintf(path, sizeof path, "/axes/%s", res_axis_name((res_axis)a));
        verify_dataset(v, path, RES_D_TEXT, RES_AXIS_CHUNK, false);
    }
    verify_group(v, RES_G_REASONS, breakdown);
    aic_sha256_text(v->content.data, v->content.len, v->digest);
    if (!res_in_text(&v->in, "/", "content_sha256", v->arena, &stored, &why))
        fault(v, why.text);
    else if (v->faults == before && strcmp(stored, v->digest) != 0)
        fault(v, "/: the datasets are not those that content_sha256 was made from");
}

/* ---- the file ---------------------------------------------------------------------------------------- */

/* What readers check beside digests; needless where something is wrong already. */
static void verify_structure(verifier *v) {
    aic_error why = {0};
    const char *host;
    if (!res_in_text(&v->in, "/run", "host", v->arena, &host, &why))
        fault(v, why.text);
    if (v->faults)
        return;
    res_file *f = res_open(v->path, &why);
    if (!f)
        fault(v, why.text);
    res_close(f);
}

static void verify_content(verifier *v) {
    v->workers = AIC_NEW_ARRAY(worker, v->threads);
    for (unsigned i = 0; i < v->threads; i++)
        v->workers[i].codec = res_codec_new(0);
    size_t before = v->faults;
    verify_datasets(v);
    if (before && v->faults == before)
        fault(v, "every dataset is whole: the damage lies in bytes outside of them");
    verify_structure(v);
    for (unsigned i = 0; i < v->threads; i++) {
        res_codec_free(v->workers[i].codec);
        free(v->workers[i].stored);
        free(v->workers[i].plain);
    }
    free(v->workers);
}

/* The attribute `format` of the root, NULL when HDF5 cannot even read that. */
static const char *format_of(verifier *v, aic_error *err) {
    const char *format;
    return res_in_open(&v->in, v->path, err) && res_in_text(&v->in, "/", "format", v->arena, &format, err)
               ? format
               : NULL;
}

static bool verify_result(verifier *v, aic_error *err) {
    aic_error why = {0};
    if (res_in_has(&v->in, "/chunk"))
        return aic_fail(err, AIC_BAD_INPUT, "%s is a piece of an unfinished sweep: its journal checks it",
                        v->path);
    if (!res_seal_check(v->path, &why)) {
        if (why.code == AIC_IO)
            return aic_fail(err, AIC_IO, "%s", why.text);
        fault(v, why.text);
    }
    verify_content(v);
    return true;
}

static bool verify_unreadable(verifier *v, const aic_error *why, aic_error *err) {
    res_seal seal;
    aic_error unsealed = {0};
    if (why->code == AIC_IO)
        return aic_fail(err, AIC_IO, "%s", why->text);
    fault(v, why->text);
    if (res_seal_read(v->path, &seal, &unsealed))
        fault(v, "it was sealed as a result file; nothing of it can be read");
    return true;
}

/* A perfdb file has digests of its own. */
static bool verify_foreign(verifier *v, const char *format, aic_error *err) {
    if (strcmp(format, "aicfg-perfdb") != 0)
        return aic_fail(err, AIC_BAD_INPUT,
                        "%s is neither a result file nor a perfdb file: its format is %.60s", v->path,
                        format);
    res_in_close(&v->in);
    if (pdb_verify_file(v->path, v->out, err))
        return true;
    if (err)
        err->code = AIC_FINDING; /* HDF5 has opened it before: whatever it cannot do with it now is damage */
    return false;
}

static void free_verifier(verifier *v) {
    res_in_close(&v->in);
    aic_buf_free(&v->content);
    aic_arena_free(v->arena);
}

bool res_verify(const char *path, unsigned threads, FILE *out, aic_error *err) {
    verifier v = {.in.file = -1,
                  .path = path,
                  .out = out,
                  .threads = threads ? threads : (unsigned)omp_get_max_threads(),
                  .arena = aic_arena_new()};
    aic_error why = {0};
    bool ok;
    if (strlen(path) >= RES_PATH_MAX) {
        free_verifier(&v);
        return aic_fail(err, AIC_BAD_INPUT, "the path is too long");
    }
    const char *format = format_of(&v, &why);
    if (!format)
        ok = verify_unreadable(&v, &why, err);
    else if (strcmp(format, RES_FORMAT) == 0)
        ok = verify_result(&v, err);
    else
        ok = verify_foreign(&v, format, err);
    if (ok && v.faults)
        ok = aic_fail(err, AIC_FINDING, "%s is damaged: %zu fault%s", path, v.faults,
                      v.faults == 1 ? "" : "s");
    else if (ok && v.datasets)
        fprintf(out,
                "ok   %s  %" PRIu64 " points, %zu datasets, %" PRIu64 " chunks, %" PRIu64 " bytes as sealed, "
                "content %.16s\n",
                path, v.points, v.datasets, v.chunks, v.in.bytes, v.digest);
    free_verifier(&v);
    return ok;
}
