/* Blocks: the arrays of an answer, its reasons, and memory that lives as long as one evaluation. */
#include "serving/layout.h"
#include <stdlib.h>
#include <string.h>

enum { CHUNK = 1 << 18, SMALL_CHUNK = 1 << 16, MAX_TEXTS = 64 };

typedef struct chunk {
    struct chunk *next;
    size_t size, used;
    _Alignas(max_align_t) unsigned char data[];
} chunk;

struct srv_scratch {
    chunk *first, *now;           /* chunks are kept from one use to the next and filled again in order */
    size_t least;                 /* bytes of a chunk */
    const char *texts[MAX_TEXTS]; /* reasons seen so far; beyond that many, equal ones are stored again */
    size_t n_texts;
};

static chunk *new_chunk(const srv_scratch *s, size_t bytes) {
    size_t size = bytes > s->least ? bytes : s->least;
    chunk *c = aic_alloc(1, aic_add(sizeof(chunk), size));
    c->next = NULL;
    c->size = size;
    c->used = 0;
    return c;
}

static srv_scratch *new_scratch(size_t least) {
    srv_scratch *s = AIC_NEW(srv_scratch);
    s->least = least;
    s->first = s->now = new_chunk(s, 0);
    return s;
}

srv_scratch *srv_scratch_new(void) {
    return new_scratch(SMALL_CHUNK);
}

void srv_scratch_rewind(srv_scratch *s) {
    for (chunk *c = s->first; c; c = c->next)
        c->used = 0;
    s->now = s->first;
}

void srv_scratch_free(srv_scratch *s) {
    for (chunk *c = s ? s->first : NULL; c;) {
        chunk *next = c->next;
        free(c);
        c = next;
    }
    free(s);
}

void *srv_scratch_take(srv_scratch *s, size_t count, size_t size) {
    const size_t align = _Alignof(max_align_t);
    size_t bytes = aic_mul(aic_add(aic_mul(count, size), align - 1) / align, align);
    while (s->now->size - s->now->used < bytes) {
        if (!s->now->next)
            s->now->next = new_chunk(s, bytes);
        s->now = s->now->next;
    }
    void *p = s->now->data + s->now->used;
    s->now->used += bytes;
    return p;
}

void *srv_take(srv_block *b, size_t count, size_t size) {
    return srv_scratch_take(b->scratch, count, size);
}

static void rewind_scratch(srv_block *b) {
    if (!b->scratch)
        b->scratch = new_scratch(CHUNK);
    srv_scratch *s = b->scratch;
    srv_scratch_rewind(s);
    s->n_texts = 0;
    aic_arena_free(b->texts);
    b->texts = NULL;
}

const char *srv_block_text(srv_block *b, const char *text) {
    srv_scratch *s = b->scratch;
    for (size_t i = 0; i < s->n_texts; i++)
        if (strcmp(s->texts[i], text) == 0)
            return s->texts[i];
    if (!b->texts)
        b->texts = aic_arena_new();
    const char *copy = aic_arena_strdup(b->texts, text);
    if (s->n_texts < MAX_TEXTS)
        s->texts[s->n_texts++] = copy;
    return copy;
}

void srv_block_reserve_rows(srv_block *b) {
    size_t cells = aic_mul(b->wanted == SRV_NO_ROWS ? 1 : b->n, b->n_rows);
    if (cells > b->cap_rows) {
        b->latency = aic_realloc(b->latency, cells, sizeof *b->latency);
        b->energy = aic_realloc(b->energy, cells, sizeof *b->energy);
        b->source = aic_realloc(b->source, cells, sizeof *b->source);
        b->basis = aic_realloc(b->basis, cells, sizeof *b->basis);
        b->cap_rows = cells;
    }
}

void srv_block_rewind(srv_block *b, size_t n_rows) {
    rewind_scratch(b);
    b->n_rows = n_rows;
    b->no_energy = b->no_basis = b->all_rows = false;
    b->late = NULL;
}

void srv_block_reserve(srv_block *b, size_t n) {
    if (n > b->cap_points) {
        b->priced = aic_realloc(b->priced, n, sizeof *b->priced);
        b->cap_points = n;
    }
    srv_points_reserve(&b->points, n);
    b->n = n;
    b->number = 0;
    b->points.same &= ~SRV_LOAD_BITS;
    SRV_SAME(&b->points, load.images.count, 0);
    SRV_SAME(&b->points, load.images.height, 0);
    SRV_SAME(&b->points, load.images.width, 0);
    SRV_SAME(&b->points, load.images.tokens, 0);
}

void srv_block_load(srv_block *b, const srv_workload *loads, size_t n) {
    srv_block_reserve(b, n);
    srv_points *p = &b->points;
    bool images = false;
    for (size_t i = 0; i < n; i++) {
        const srv_workload w = srv_plain_images(loads[i]);
        p->of.load.batch[i] = w.batch;
        p->of.load.isl[i] = w.isl;
        p->of.load.osl[i] = w.osl;
        p->of.load.prefix[i] = w.prefix;
        p->of.load.images.count[i] = w.images.count;
        p->of.load.images.height[i] = w.images.height;
        p->of.load.images.width[i] = w.images.width;
        p->of.load.images.tokens[i] = w.images.tokens;
        images = images || w.images.count > 0;
    }
    if (images)
        p->same &= ~SRV_IMAGE_BITS;
}

bool srv_block_start(const srv_deployment *d, srv_block *b) {
    srv_block_rewind(b, d->n_rows);
    srv_block_reserve_rows(b);
    srv_points_open(&b->points, b->n);
    for (size_t i = 0; i < b->n; i++) {
        srv_workload load = srv_points_load(&b->points, i);
        srv_point p;
        srv_point_start(d, &load, &p);
        srv_points_put(&b->points, i, &p);
        b->priced[i] = false;
    }
    return d->refused == SRV_ST_ok;
}

void srv_evaluate(const srv_deployment *d, const srv_workload *loads, size_t n, srv_block *out) {
    srv_block_load(out, loads, n);
    srv_price(d, out);
}

void srv_evaluate_plain(const srv_deployment *d, const srv_workload *loads, size_t n, srv_block *out) {
    srv_block_load(out, loads, n);
    srv_price_plain(d, out);
}

void srv_block_free(srv_block *b) {
    srv_scratch_free(b->scratch);
    srv_layouts_free(b->layouts);
    srv_points_free(&b->points);
    free(b->priced);
    free(b->latency);
    free(b->energy);
    free(b->source);
    free(b->basis);
    aic_arena_free(b->texts);
    *b = (srv_block){0};
}
