/* The press: see press.h. One lock guards the queue and what threads took on; it is never held while rows are
 * copied, encoded or stored.
 */
#include "results/press.h"
#include <omp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum {
    BYTES_EACH = 4 << 20, /* of rows on their way, per thread */
    BYTES_LEAST = 8 << 20,
    BYTES_MOST = 512 << 20,
    TASK_BYTES = 256 << 10, /* of columns that are encoded in one go: long beside a turn of the lock */
    TAIL_THREADS = 4
};

struct res_press {
    int level;
    unsigned threads;
    size_t bytes_most;
    res_stream *streams;
    res_out *out;
    res_stripes *log;
    res_chunk_digest zeros[RES_STREAMS][RES_MAX_FIELDS]; /* of full chunks of sparse groups */

    pthread_mutex_t lock;     /* guards everything below */
    res_stripe *first, *last; /* all places given out, not stored yet */
    size_t bytes;             /* of their rows */
    res_stripe *spare[RES_STREAMS];
    res_codec **codecs; /* that nobody uses */
    size_t n_codecs, cap_codecs;
    bool storing, failed;
    double store_s;
};

/* ---- stripes ----------------------------------------------------------------------------------------- */

res_stripe *res_stripe_new(res_group_id g, const res_group *group) {
    res_stripe *s = AIC_NEW(res_stripe);
    s->g = g;
    s->stale = RES_ALL_FIELDS;
    res_table_take(&s->rows, group, group->chunk);
    return s;
}

/* What the last rows did not touch is zeros still. */
static void reuse(res_stripe *s) {
    s->rows.rows = 0;
    s->stale = atomic_exchange_explicit(&s->touched, 0, memory_order_relaxed);
    atomic_init(&s->filled, 0);
}

void res_stripe_free(res_stripe *s) {
    if (!s)
        return;
    for (size_t f = 0; f < s->rows.group->n_fields; f++)
        free(s->kept[f].bytes);
    res_table_free(&s->rows);
    free(s);
}

static void free_list(res_stripe *s) {
    for (res_stripe *next; s; s = next) {
        next = s->next;
        res_stripe_free(s);
    }
}

static size_t stripe_bytes(const res_stripe *s) {
    size_t bytes = 0;
    for (size_t f = 0; f < s->rows.group->n_fields; f++)
        bytes += s->rows.cap * s->rows.width[f];
    return bytes;
}

/* ---- the press --------------------------------------------------------------------------------------- */

static void digest_zeros(res_press *p, res_group_id g) {
    const res_table *t = &p->streams[g].open->rows;
    for (size_t f = 0; t->group->sparse && f < t->group->n_fields; f++) {
        void *zeros = aic_calloc(t->cap, t->width[f]);
        res_digest_rows(zeros, t->cap * t->width[f], p->zeros[g][f]);
        free(zeros);
    }
}

res_press *res_press_new(int level, unsigned threads, res_stream *streams, res_out *out, res_stripes *log) {
    res_press *p = AIC_NEW(res_press);
    p->level = level;
    p->threads = threads < 1 ? 1 : threads;
    p->bytes_most = aic_mul(p->threads, BYTES_EACH);
    if (p->bytes_most < BYTES_LEAST)
        p->bytes_most = BYTES_LEAST;
    if (p->bytes_most > BYTES_MOST)
        p->bytes_most = BYTES_MOST;
    p->streams = streams;
    p->out = out;
    p->log = log;
    pthread_mutex_init(&p->lock, NULL);
    for (int g = 0; g < RES_STREAMS; g++)
        digest_zeros(p, (res_group_id)g);
    return p;
}

void res_press_free(res_press *p) {
    if (!p)
        return;
    free_list(p->first);
    for (int g = 0; g < RES_STREAMS; g++)
        free_list(p->spare[g]);
    for (size_t i = 0; i < p->n_codecs; i++)
        res_codec_free(p->codecs[i]);
    free(p->codecs);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

static res_codec *take_codec(res_press *p) {
    res_codec *c = NULL;
    pthread_mutex_lock(&p->lock);
    if (p->n_codecs > 0)
        c = p->codecs[--p->n_codecs];
    pthread_mutex_unlock(&p->lock);
    return c ? c : res_codec_new(p->level);
}

static void return_codec(res_press *p, res_codec *c) { /* with the lock held */
    AIC_GROW(p->codecs, p->n_codecs, p->cap_codecs);
    p->codecs[p->n_codecs++] = c;
}

/* ---- placing ----------------------------------------------------------------------------------------- */

/* Queues the group's stripe, whose places are all given out, and opens another. */
static void queue(res_press *p, res_stream *stream) {
    res_stripe *s = stream->open;
    s->index = stream->stripes++;
    s->claimed = s->encoded = 0;
    atomic_init(&s->done, 0);
    s->next = NULL;
    pthread_mutex_lock(&p->lock);
    if (p->last)
        p->last->next = s;
    else
        p->first = s;
    p->last = s;
    p->bytes += stripe_bytes(s);
    res_stripe *spare = p->spare[s->g];
    if (spare)
        p->spare[s->g] = spare->next;
    pthread_mutex_unlock(&p->lock);
    if (spare)
        reuse(spare);
    stream->open = spare ? spare : res_stripe_new(s->g, stream->group);
}

res_piece res_press_place(res_press *p, res_group_id g, size_t n) {
    res_stripe *s = p->streams[g].open;
    size_t at = s->rows.rows, room = s->rows.cap - at;
    res_piece piece = {s, at, n < room ? n : room};
    s->rows.rows += piece.n;
    if (s->rows.rows == s->rows.cap)
        queue(p, &p->streams[g]);
    return piece;
}

bool res_press_has_room(res_press *p) {
    pthread_mutex_lock(&p->lock);
    bool room = p->bytes < p->bytes_most;
    pthread_mutex_unlock(&p->lock);
    return room;
}

void res_press_filled(const res_piece *piece, uint64_t touched) {
    atomic_fetch_or_explicit(&piece->stripe->touched, touched, memory_order_relaxed);
    /* Whoever sees all rows filled sees what the fillers wrote. */
    atomic_fetch_add_explicit(&piece->stripe->filled, piece->n, memory_order_release);
}

/* ---- working ----------------------------------------------------------------------------------------- */

/* Columns first .. first+n-1 of a stripe to encode, or the stripe to store (n = 0). */
typedef struct task {
    res_stripe *stripe;
    size_t first, n;
} task;

static bool is_full(res_stripe *s) {
    return atomic_load_explicit(&s->filled, memory_order_acquire) == s->rows.cap;
}

/* With the lock held. The stripe at the front goes first: it keeps all others in memory. */
static bool take_task(res_press *p, task *t) {
    if (p->failed || !p->first)
        return false;
    if (!p->storing && p->first->encoded == p->first->rows.group->n_fields) {
        p->storing = true;
        *t = (task){.stripe = p->first};
        return true;
    }
    for (res_stripe *s = p->first; s; s = s->next) {
        size_t fields = s->rows.group->n_fields, bytes = 0;
        if (s->claimed == fields || !is_full(s))
            continue;
        *t = (task){s, s->claimed, 0};
        for (; s->claimed < fields && bytes < TASK_BYTES; t->n++)
            bytes += s->rows.cap * s->rows.width[s->claimed++];
        return true;
    }
    return false;
}

/* Do two columns hold the same? Few that do not agree in three places. */
static bool are_alike(const uint8_t *a, const uint8_t *b, size_t rows, size_t width) {
    const size_t last = (rows - 1) * width, middle = rows / 2 * width;
    return memcmp(a + last, b + last, width) == 0 && memcmp(a + middle, b + middle, width) == 0 &&
           memcmp(a, b, rows * width) == 0;
}

/* A column that was encoded already and holds what column f does, as ttft and the latency of the context do
 * where nothing is encoded for images; f: there is none. Its bytes are those that f would get. */
static size_t twin_of(const res_stripe *s, size_t f) {
    const res_field *fields = s->rows.group->fields;
    uint64_t done = atomic_load_explicit(&s->done, memory_order_acquire);
    for (size_t other = 0; done; other++, done >>= 1)
        if (done & 1 && s->rows.width[other] == s->rows.width[f] &&
            res_shuffled(fields[other].type) == res_shuffled(fields[f].type) &&
            are_alike(s->rows.data[other], s->rows.data[f], s->rows.rows, s->rows.width[f]))
            return other;
    return f;
}

static void encode(const res_press *p, res_codec *codec, res_stripe *s, size_t f) {
    const res_group *g = s->rows.group;
    const uint8_t *data = s->rows.data[f];
    size_t rows = s->rows.rows, width = s->rows.width[f], twin;
    const bool zeros = !(atomic_load_explicit(&s->touched, memory_order_relaxed) >> f & 1);
    const bool left_out = g->sparse && zeros;
    if (!zeros && (twin = twin_of(s, f)) != f) {
        res_keep(&s->kept[twin].coded, &s->kept[f]);
        memcpy(s->hex[f], s->hex[twin], sizeof s->hex[f]);
        return;
    }
    bool stored =
        !left_out && res_encode_kept(codec, data, rows, width, g->chunk, res_shuffled(g->fields[f].type),
                                     g->sparse, zeros, &s->kept[f]);
    if (left_out)
        s->kept[f].coded = (res_coded){0};
    if (rows < g->chunk)
        return; /* digested when it is full, or at the very end */
    const char *known = stored ? res_codec_digest(codec) : p->zeros[s->g][f];
    if (known)
        memcpy(s->hex[f], known, sizeof s->hex[f]);
    else
        res_digest_rows(data, rows * width, s->hex[f]);
}

static void encode_task(res_press *p, const task *t) {
    res_codec *codec = take_codec(p);
    for (size_t f = t->first; f < t->first + t->n; f++) {
        encode(p, codec, t->stripe, f);
        atomic_fetch_or_explicit(&t->stripe->done, RES_FIELD_BIT(f), memory_order_release);
    }
    pthread_mutex_lock(&p->lock);
    t->stripe->encoded += t->n;
    return_codec(p, codec);
    pthread_mutex_unlock(&p->lock);
}

static bool put_chunks(res_press *p, const res_stripe *s, uint64_t index, aic_error *err) {
    const res_stream *stream = &p->streams[s->g];
    size_t chunk = stream->group->chunk;
    bool ok = true;
    res_out_gather(p->out);
    for (size_t f = 0; ok && f < stream->group->n_fields; f++)
        ok = res_out_chunk(p->out, stream->ids[f], index, chunk, index * chunk + s->rows.rows,
                           &s->kept[f].coded, err);
    return res_out_gathered(p->out, ok ? err : NULL) && ok;
}

static bool store_task(res_press *p, res_stripe *s, aic_error *err) {
    res_stream *stream = &p->streams[s->g];
    char code = (char)s->g;
    double start = aic_now();
    bool ok = put_chunks(p, s, s->index - stream->base, err);
    aic_buf_addn(&p->log->order, &code, 1);
    for (size_t f = 0; f < stream->group->n_fields; f++) {
        res_digest_add(stream->digests[f], s->hex[f]);
        aic_buf_addn(&p->log->digests, s->hex[f], RES_DIGEST);
    }
    pthread_mutex_lock(&p->lock);
    p->storing = false;
    p->failed = p->failed || !ok;
    p->store_s += aic_now() - start;
    p->bytes -= stripe_bytes(s);
    p->first = s->next;
    if (!p->first)
        p->last = NULL;
    s->next = p->spare[s->g];
    p->spare[s->g] = s;
    pthread_mutex_unlock(&p->lock);
    return ok;
}

bool res_press_work(res_press *p, bool *did, aic_error *err) {
    task t;
    pthread_mutex_lock(&p->lock);
    *did = take_task(p, &t);
    pthread_mutex_unlock(&p->lock);
    if (*did && t.n == 0)
        return store_task(p, t.stripe, err);
    if (*did)
        encode_task(p, &t);
    return true;
}

bool res_press_is_idle(res_press *p) {
    pthread_mutex_lock(&p->lock);
    bool idle = !p->first;
    pthread_mutex_unlock(&p->lock);
    return idle;
}

double res_press_store_seconds(const res_press *p) {
    return p->store_s;
}

/* ---- alone ------------------------------------------------------------------------------------------- */

bool res_press_drain(res_press *p, aic_error *err) {
    bool ok = true;
    if (res_press_is_idle(p))
        return true;
#pragma omp parallel num_threads((int)p->threads)
    {
        aic_error why = {0};
        bool did = true, good = true;
        while (good && did)
            good = res_press_work(p, &did, &why);
        if (!good) {
#pragma omp critical(press_failure)
            {
                if (ok && err)
                    *err = why;
                ok = false;
            }
        }
    }
    return ok && (res_press_is_idle(p) || aic_fail(err, AIC_IO, "%s: an earlier write failed", p->out->path));
}

bool res_press_tail(res_press *p, res_group_id g, aic_error *err) {
    res_stripe *s = p->streams[g].open;
    int fields = (int)s->rows.group->n_fields,
        team = p->threads < TAIL_THREADS ? (int)p->threads : TAIL_THREADS;
    if (s->rows.rows == 0)
        return true;
    atomic_init(&s->done, 0);
#pragma omp parallel for schedule(dynamic, 1) num_threads(team)
    for (int f = 0; f < fields; f++) {
        const task one = {s, (size_t)f, 1};
        encode_task(p, &one);
    }
    return put_chunks(p, s, p->streams[g].stripes - p->streams[g].base, err);
}
