/* The store of answers: sharded by hash, so that many threads meet seldom; each shard drops what was not used
 * for longest once its share of the memory is full (docs/model/serving.md, "factoring"). */
#include "serving/answers.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* SHARDS: hundreds of threads ask once per microsecond or so each and hold a lock for tens of nanoseconds.
 * SMALL: about the smallest answer, which sets the number of buckets. An answer that took more than a
 * SHARE-th of a shard would push out too many others. */
enum { SHARDS = 64, SMALL = 512, SHARE = 8, LINE = 64 };

typedef struct shard {
    pthread_mutex_t lock; /* guards everything below and the links of its answers */
    srv_answer **buckets;
    srv_answer *newest, *oldest;
    size_t bytes;
    srv_answers_counts counts;
    char apart[LINE]; /* from the next one's lock */
} shard;

struct srv_answers {
    shard shards[SHARDS];
    size_t n_buckets; /* per shard, a power of two */
    size_t most;      /* bytes per shard */
};

srv_answers *srv_answers_new(size_t bytes) {
    srv_answers *s = AIC_NEW(srv_answers);
    s->most = bytes / SHARDS;
    s->n_buckets = 1;
    while (s->n_buckets < s->most / SMALL)
        s->n_buckets *= 2;
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&s->shards[i].lock, NULL);
        s->shards[i].buckets = AIC_NEW_ARRAY(srv_answer *, s->n_buckets);
    }
    return s;
}

void srv_answers_release(srv_answer *a) {
    if (atomic_fetch_sub(&a->holders, 1) == 1)
        free(a);
}

void srv_answers_free(srv_answers *s) {
    if (!s)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        shard *h = &s->shards[i];
        for (srv_answer *a = h->newest; a;) {
            srv_answer *older = a->older;
            srv_answers_release(a);
            a = older;
        }
        free(h->buckets);
        pthread_mutex_destroy(&h->lock);
    }
    free(s);
}

srv_answers_counts srv_answers_count(srv_answers *s) {
    srv_answers_counts sum = {0};
    for (size_t i = 0; s && i < SHARDS; i++) {
        shard *h = &s->shards[i];
        pthread_mutex_lock(&h->lock);
        sum.found += h->counts.found;
        sum.kept += h->counts.kept;
        sum.dropped += h->counts.dropped;
        sum.queries_saved += h->counts.queries_saved;
        sum.queries_asked += h->counts.queries_asked;
        sum.bytes += h->bytes;
        pthread_mutex_unlock(&h->lock);
    }
    return sum;
}

/* ---- lists and buckets; the shard's lock held -------------------------------------------------- */

static shard *shard_of(srv_answers *s, uint64_t hash) {
    return &s->shards[hash >> 58];
}
_Static_assert(SHARDS == 1 << (64 - 58), "the upper bits of a hash choose the shard");

static srv_answer **bucket_of(const srv_answers *s, shard *h, uint64_t hash) {
    return &h->buckets[hash & (s->n_buckets - 1)];
}

static unsigned char *key_of(srv_answer *a) {
    return (unsigned char *)(a + 1);
}

static bool answers(srv_answer *a, uint64_t hash, const srv_question *q) {
    return a->hash == hash && a->who_len == q->who->len && a->question_len == q->len &&
           memcmp(key_of(a), q->who->bytes, q->who->len) == 0 &&
           memcmp(key_of(a) + q->who->len, q->bytes, q->len) == 0;
}

static void unlink_answer(shard *h, srv_answer *a) {
    *(a->newer ? &a->newer->older : &h->newest) = a->older;
    *(a->older ? &a->older->newer : &h->oldest) = a->newer;
}

static void link_newest(shard *h, srv_answer *a) {
    a->newer = NULL;
    a->older = h->newest;
    *(h->newest ? &h->newest->newer : &h->oldest) = a;
    h->newest = a;
}

static size_t bytes_of(const srv_answer *a) {
    return (size_t)((const char *)a->value - (const char *)a) + a->size;
}

static void drop_oldest(srv_answers *s, shard *h) {
    srv_answer *a = h->oldest, **at = bucket_of(s, h, a->hash);
    while (*at != a)
        at = &(*at)->next;
    *at = a->next;
    unlink_answer(h, a);
    h->bytes -= bytes_of(a);
    h->counts.dropped++;
    srv_answers_release(a);
}

/* ---- asking and telling ------------------------------------------------------------------------- */

static uint64_t hash_of(const srv_question *q) {
    return aic_hash64(q->bytes, q->len, q->who->hash);
}

srv_answer *srv_answers_find(srv_answers *s, const srv_question *q) {
    uint64_t hash = hash_of(q);
    shard *h = shard_of(s, hash);
    pthread_mutex_lock(&h->lock);
    srv_answer *a = *bucket_of(s, h, hash);
    while (a && !answers(a, hash, q))
        a = a->next;
    if (a) {
        atomic_fetch_add(&a->holders, 1);
        unlink_answer(h, a);
        link_newest(h, a);
        h->counts.found++;
        h->counts.queries_saved += q->queries;
    } else {
        h->counts.queries_asked += q->queries;
    }
    pthread_mutex_unlock(&h->lock);
    return a;
}

srv_answer *srv_answers_draft(const srv_answers *s, const srv_question *q, size_t size) {
    const size_t align = _Alignof(max_align_t);
    size_t key = aic_mul(aic_add(aic_add(q->who->len, q->len), align - 1) / align, align);
    size_t bytes = aic_add(aic_add(sizeof(srv_answer), key), size);
    if (bytes > s->most / SHARE)
        return NULL;
    srv_answer *a = aic_alloc(1, bytes);
    *a = (srv_answer){.hash = hash_of(q),
                      .who_len = q->who->len,
                      .question_len = q->len,
                      .size = size,
                      .value = (char *)(a + 1) + key};
    atomic_init(&a->holders, 1);
    memcpy(key_of(a), q->who->bytes, q->who->len);
    memcpy(key_of(a) + q->who->len, q->bytes, q->len);
    return a;
}

void srv_answers_put(srv_answers *s, srv_answer *a) {
    shard *h = shard_of(s, a->hash);
    const srv_identity who = {.len = a->who_len, .bytes = key_of(a)};
    const srv_question q = {.who = &who, .bytes = key_of(a) + a->who_len, .len = a->question_len};
    pthread_mutex_lock(&h->lock);
    srv_answer **bucket = bucket_of(s, h, a->hash), *there = *bucket;
    while (there && !answers(there, a->hash, &q))
        there = there->next;
    if (!there) {
        a->next = *bucket;
        *bucket = a;
        link_newest(h, a);
        h->bytes += bytes_of(a);
        h->counts.kept++;
        while (h->bytes > s->most)
            drop_oldest(s, h);
    }
    pthread_mutex_unlock(&h->lock);
    if (there)
        srv_answers_release(a);
}

/* ---- identities --------------------------------------------------------------------------------- */

/* What every answer of a deployment depends on besides its ops and shapes. */
static void add_common(aic_buf *b, const srv_deployment *d) {
    const uint64_t common[] = {(uint64_t)(uintptr_t)d->view, d->request.database_mode, d->policy};
    aic_buf_addn(b, (const char *)common, sizeof common);
}

static const srv_identity *keep_identity(srv_deployment *d, aic_buf *b) {
    void *bytes = aic_arena_alloc(d->arena, b->len, 1);
    memcpy(bytes, b->data, b->len);
    srv_identity *who = aic_arena_alloc(d->arena, 1, sizeof *who);
    *who = (srv_identity){.len = b->len, .hash = aic_hash64(bytes, b->len, 0), .bytes = bytes};
    aic_buf_free(b);
    return who;
}

/* Of sums over decode steps: the shapes of the steps, and how ops fold into rows. */
static const srv_identity *part_identity(srv_deployment *d, const srv_part *part) {
    const srv_walk *walk = &srv_plan_of(d)->generation;
    const uint64_t sizes[] = {part->n_rows, part->n_ops, d->built.nextn, d->tuning.beam, d->tuning.stride};
    aic_buf b = {0};
    add_common(&b, d);
    aic_buf_addn(&b, (const char *)sizes, sizeof sizes);
    aic_buf_addn(&b, (const char *)&d->tuning.imbalance_gen, sizeof d->tuning.imbalance_gen);
    for (size_t i = 0; i < part->n_ops; i++) {
        const srv_op *o = &walk->ops[part->ops[i]];
        const uint32_t place[] = {part->slots[i], o->opens};
        aic_buf_addn(&b, (const char *)place, sizeof place);
        aic_buf_addn(&b, (const char *)&o->identity, sizeof o->identity);
        aic_buf_addn(&b, (const char *)&o->bound.op->repeat, sizeof o->bound.op->repeat);
    }
    return keep_identity(d, &b);
}

/* Of the steps of an op with fans, before the repeat. */
static const srv_identity *fan_identity(srv_deployment *d, const srv_op *o) {
    aic_buf b = {0};
    add_common(&b, d);
    aic_buf_addn(&b, (const char *)&d->tuning.imbalance_gen, sizeof d->tuning.imbalance_gen);
    aic_buf_addn(&b, (const char *)&o->identity, sizeof o->identity);
    return keep_identity(d, &b);
}

/* Of an op's answers before the repeat, to questions that say so much of the shapes. */
static const srv_identity *single_identity(srv_deployment *d, const srv_op *o, const uint64_t asked[2],
                                           double imbalance) {
    aic_buf b = {0};
    add_common(&b, d);
    aic_buf_addn(&b, (const char *)asked, 2 * sizeof *asked);
    aic_buf_addn(&b, (const char *)&imbalance, sizeof imbalance);
    aic_buf_addn(&b, (const char *)&o->identity, sizeof o->identity);
    return keep_identity(d, &b);
}

/* Ops without tables answer by a formula, about as fast as an answer is found. */
static bool is_worth_keeping(const srv_op *o) {
    return o->bound.op->desc->schemas || o->bound.op->desc->holds_ops;
}

void srv_share_answers(srv_deployment *d, srv_answers *s) {
    srv_plan *plan = (srv_plan *)(uintptr_t)d->plan;
    if (!plan || !s)
        return;
    plan->answers = s;
    const srv_part *moving = &plan->parts[SRV_MOVING];
    if (srv_has_generation(d->request.mode) && moving->n_ops > 0)
        plan->parts[SRV_MOVING].who = part_identity(d, moving);
    for (size_t i = 0; srv_has_generation(d->request.mode) && i < moving->n_ops; i++) {
        srv_op *o = &plan->generation.ops[moving->ops[i]];
        o->who = op_has_fan(&o->bound, plan->mode) ? fan_identity(d, o) : NULL;
    }
    const srv_part *still = &plan->parts[SRV_STILL];
    for (size_t i = 0; srv_has_generation(d->request.mode) && i < still->n_ops; i++) {
        srv_op *o = &plan->generation.ops[still->ops[i]];
        const uint64_t step[2] = {UINT64_MAX}; /* no class of the context: steps say all of their shape */
        o->who = is_worth_keeping(o) ? single_identity(d, o, step, d->tuning.imbalance_gen) : NULL;
    }
    for (size_t i = 0; i < plan->context.n_bound; i++) {
        srv_op *o = &plan->context.ops[i];
        const uint64_t asked[2] = {plan->keys[o->key].reads, plan->keys[o->key].logits};
        o->who = is_worth_keeping(o) ? single_identity(d, o, asked, d->tuning.imbalance_ctx) : NULL;
    }
}
