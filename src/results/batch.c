/* Full stripes encoded many at a time, all columns of all of them side by side, and stored in the order they
 * filled: what merging needs, where stripes come faster than one of them keeps the threads busy.
 */
#include "results/merge.h"
#include <omp.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_EACH = 4 << 20, BYTES_MOST = 256 << 20 }; /* of stripes at hand, per thread and in all */

typedef struct entry {
    res_group_id g;
    uint64_t index; /* of the stripe, in the file */
    res_table rows; /* full */
} entry;

/* One column of one stripe. */
typedef struct task {
    size_t entry, field;
    res_kept kept;
    res_chunk_digest digest;
} task;

struct res_batch {
    res_writer *w;
    unsigned threads;
    res_codec **codecs;
    size_t bytes, most_bytes;
    entry *entries;
    size_t n, cap;
    task *tasks; /* n_tasks of them in use, the others keep their memory */
    size_t n_tasks, cap_tasks;
    struct {
        res_table *v;
        size_t n, cap;
    } spare[RES_STREAMS];
    res_chunk_digest zeros[RES_STREAMS][RES_MAX_FIELDS]; /* of full chunks of sparse groups */
};

static void digest_zeros(res_batch *b) {
    for (int g = 0; g < RES_STREAMS; g++) {
        const res_table *t = &b->w->streams[g].rows;
        for (size_t f = 0; t->group->sparse && f < t->group->n_fields; f++) {
            void *zeros = aic_calloc(t->cap, t->width[f]);
            res_digest_rows(zeros, t->cap * t->width[f], b->zeros[g][f]);
            free(zeros);
        }
    }
}

res_batch *res_batch_new(res_writer *w, int level, unsigned threads) {
    res_batch *b = AIC_NEW(res_batch);
    b->w = w;
    b->threads = threads;
    b->most_bytes = (size_t)BYTES_EACH * (threads < 2 ? 2 : threads);
    b->most_bytes = b->most_bytes < BYTES_MOST ? b->most_bytes : BYTES_MOST;
    b->codecs = aic_calloc(threads, sizeof *b->codecs);
    for (unsigned i = 0; i < threads; i++)
        b->codecs[i] = res_codec_new(level);
    digest_zeros(b);
    return b;
}

void res_batch_free(res_batch *b) {
    if (!b)
        return;
    for (size_t i = 0; i < b->n; i++)
        res_table_free(&b->entries[i].rows);
    for (int g = 0; g < RES_STREAMS; g++) {
        for (size_t i = 0; i < b->spare[g].n; i++)
            res_table_free(&b->spare[g].v[i]);
        free(b->spare[g].v);
    }
    for (size_t i = 0; i < b->cap_tasks; i++)
        aic_buf_free(&b->tasks[i].kept.bytes);
    for (unsigned i = 0; i < b->threads; i++)
        res_codec_free(b->codecs[i]);
    free(b->codecs);
    free(b->tasks);
    free(b->entries);
    free(b);
}

/* ---- taking ------------------------------------------------------------------------------------------ */

static void add_task(res_batch *b, size_t e, size_t field) {
    if (b->n_tasks == b->cap_tasks) {
        size_t cap = b->cap_tasks ? aic_mul(b->cap_tasks, 2) : 64;
        b->tasks = aic_realloc(b->tasks, cap, sizeof *b->tasks);
        for (size_t i = b->cap_tasks; i < cap; i++)
            b->tasks[i] = (task){0};
        b->cap_tasks = cap;
    }
    b->tasks[b->n_tasks].entry = e;
    b->tasks[b->n_tasks++].field = field;
}

bool res_batch_take(res_batch *b, res_group_id g, aic_error *err) {
    res_stream *s = &b->w->streams[g];
    const res_group *group = s->group;
    AIC_GROW(b->entries, b->n, b->cap);
    entry *e = &b->entries[b->n];
    *e = (entry){g, s->stripes++ - s->base, s->rows};
    if (b->spare[g].n > 0)
        s->rows = b->spare[g].v[--b->spare[g].n];
    else
        res_table_init(&s->rows, group, group->chunk, 0);
    s->rows.rows = 0;
    for (size_t f = 0; f < group->n_fields; f++) {
        add_task(b, b->n, f);
        b->bytes += group->chunk * e->rows.width[f];
    }
    b->n++;
    return b->bytes < b->most_bytes || res_batch_store(b, err);
}

/* ---- storing ----------------------------------------------------------------------------------------- */

static void encode(res_batch *b, task *t, res_codec *codec) {
    const entry *e = &b->entries[t->entry];
    const res_group *group = e->rows.group;
    const uint8_t *data = e->rows.data[t->field];
    size_t width = e->rows.width[t->field];
    if (res_encode_kept(codec, data, group->chunk, width, group->chunk,
                        res_shuffled(group->fields[t->field].type), group->sparse, &t->kept)) {
        res_digest_rows(data, group->chunk * width, t->digest);
    } else {
        memcpy(t->digest, b->zeros[e->g][t->field], sizeof t->digest);
    }
}

static bool store(res_batch *b, const task *t, aic_error *err) {
    const entry *e = &b->entries[t->entry];
    res_stream *s = &b->w->streams[e->g];
    size_t chunk = s->group->chunk;
    res_digest_add(s->digests[t->field], t->digest);
    return res_out_chunk(&b->w->out, s->ids[t->field], e->index, chunk, (e->index + 1) * chunk,
                         &t->kept.coded, err);
}

static void keep_tables(res_batch *b) {
    for (size_t i = 0; i < b->n; i++) {
        res_group_id g = b->entries[i].g;
        AIC_GROW(b->spare[g].v, b->spare[g].n, b->spare[g].cap);
        b->spare[g].v[b->spare[g].n++] = b->entries[i].rows;
    }
    b->n = b->n_tasks = b->bytes = 0;
}

bool res_batch_store(res_batch *b, aic_error *err) {
    int n = (int)b->n_tasks;
    bool ok = true;
#pragma omp parallel for schedule(dynamic, 1) num_threads((int)b->threads)
    for (int i = 0; i < n; i++)
        encode(b, &b->tasks[i], b->codecs[omp_get_thread_num()]);
    for (int i = 0; ok && i < n; i++)
        ok = store(b, &b->tasks[i], err);
    keep_tables(b);
    return ok;
}
