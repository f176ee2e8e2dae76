/* What a deployment lacks: every op asked for a few shapes, apart from any point (docs/adding-a-model.md). */
#include "serving/internal.h"
#include <string.h>

/* Prefill: isl new tokens; decode: isl tokens in the KV cache, the new one included. */
static const srv_workload prefills[] = {{.batch = 1, .isl = 128},
                                        {.batch = 1, .isl = 1024},
                                        {.batch = 4, .isl = 4096},
                                        {.batch = 1, .isl = 8192},
                                        {.batch = 1, .isl = 32768}};
static const srv_workload decodes[] = {{.batch = 1, .isl = 1024},
                                       {.batch = 32, .isl = 1024},
                                       {.batch = 128, .isl = 1024},
                                       {.batch = 32, .isl = 8192},
                                       {.batch = 8, .isl = 32768}};
/* Images of one rank: of common sizes, alone and in numbers. */
static const mdl_images encodes[] = {{.count = 1, .height = 224, .width = 224},
                                     {.count = 32, .height = 448, .width = 448},
                                     {.count = 1, .height = 1024, .width = 1024},
                                     {.count = 8, .height = 1024, .width = 1024},
                                     {.count = 1, .height = 2048, .width = 2048}};
enum { N_SHAPES = sizeof prefills / sizeof *prefills };
_Static_assert(N_SHAPES == sizeof decodes / sizeof *decodes && N_SHAPES == sizeof encodes / sizeof *encodes,
               "as many shapes in all phases");

/* What decides which shapes an op sees; members of a group see what the group does. */
typedef struct place {
    srv_phase phase;
    bool logits, behind;
} place;

/* Sums over the list at one shape. */
typedef struct total {
    double latency, cover[OP_COVERS];
    bool refused;
} total;

typedef struct prober {
    const srv_deployment *d;
    aic_arena *arena;
    op_binder binder;       /* of members of groups */
    total totals[N_SHAPES]; /* of the phase being probed */
    srv_probe *out;
    size_t cap_lacks;
} prober;

/* ---- which table a refusal is about ---------------------------------------------------------------------
 */

static bool in_word(char c) {
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* Where the name stands in the text as a word of its own, or NULL. */
static const char *find_word(const char *text, const char *name) {
    size_t n = strlen(name);
    for (const char *at = strstr(text, name); at; at = strstr(at + 1, name))
        if ((at == text || !in_word(at[-1])) && !in_word(at[n]))
            return at;
    return NULL;
}

/* The table of the kind that a text names first; *best stands before the one found so far. */
static void find_table(const op_desc *d, const char *text, const char **best, const char **table) {
    for (const pdb_schema *const *s = d->schemas; s && *s; s++) {
        const char *at = find_word(text, (*s)->table);
        if (at && (!*best || at < *best)) {
            *best = at;
            *table = (*s)->table;
        }
    }
}

/* Some kinds answer from tables of others. */
static const char *table_in(const op_desc *d, const char *text) {
    const char *best = NULL, *table = "";
    find_table(d, text, &best, &table);
    for (size_t k = 0; !best && k < op_desc_count(); k++)
        find_table(op_desc_at(k), text, &best, &table);
    return table;
}

/* ---- shapes ---------------------------------------------------------------------------------------------
 */

static op_shape encoder_shape(const prober *p, const mdl_images *images, bool behind) {
    mdl_image_tokens t = mdl_tokens_of_image(p->d->built.model, images);
    return srv_encoder_shape(&(srv_images){images->count, (uint32_t)t.inside, (uint32_t)t.behind}, behind);
}

static op_shape probe_shape(const prober *p, size_t i, place where) {
    switch (where.phase) {
    case SRV_PH_encoder:
        return encoder_shape(p, &encodes[i], where.behind);
    case SRV_PH_generation:
        return srv_decode_shape(p->d, decodes[i].batch, decodes[i].isl);
    default:
        return srv_context_shape(p->d, &prefills[i], where.logits);
    }
}

/* The shape with what the op does not read set to 0. */
static op_shape as_read(const op_shape *s, unsigned reads) {
    return (op_shape){.batch = reads & OP_READS_BATCH ? s->batch : 0,
                      .s = reads & OP_READS_S ? s->s : 0,
                      .prefix = reads & OP_READS_PREFIX ? s->prefix : 0,
                      .x = reads & OP_READS_X ? s->x : 0};
}

/* Adds a shape unless it is there; shapes has room. */
static void add_shape(op_shape *shapes, size_t *n, op_shape s) {
    for (size_t i = 0; i < *n; i++)
        if (shapes[i].batch == s.batch && shapes[i].s == s.s && shapes[i].prefix == s.prefix &&
            shapes[i].x == s.x)
            return;
    shapes[(*n)++] = s;
}

/* ---- lacks ----------------------------------------------------------------------------------------------
 */

static void add_lack(prober *p, const srv_lack *l) {
    srv_probe *out = p->out;
    if (out->n_lacks == p->cap_lacks) { /* doubled in the arena: a list has few lacks */
        srv_lack *grown =
            aic_arena_alloc(p->arena, p->cap_lacks ? aic_mul(p->cap_lacks, 2) : 16, sizeof *grown);
        if (out->n_lacks)
            memcpy(grown, out->lacks, out->n_lacks * sizeof *grown);
        p->cap_lacks = p->cap_lacks ? p->cap_lacks * 2 : 16;
        out->lacks = grown;
    }
    out->lacks[out->n_lacks++] = *l;
}

static void keep_refusal(prober *p, srv_lack *l, op_class cls, const char *why, const op_shape *shape) {
    if (l->cls == OP_OK) {
        l->cls = cls;
        l->reason = aic_arena_strdup(p->arena, why);
        l->table = table_in(l->op->desc, l->reason);
    }
    add_shape(l->shapes, &l->n_shapes, *shape);
}

static void add_result(total *t, srv_probed *op, const op_result *r) {
    op->latency += r->latency;
    t->latency += r->latency;
    for (int c = 0; c < OP_COVERS; c++) {
        op->cover[c] += r->cover[c];
        t->cover[c] += r->cover[c];
    }
}

/* Asks one op for every shape. True when some shape has no answer; *l says which. probed: the op's own
 * record, NULL for members of groups, which count with their group. */
static bool find_lack(prober *p, const op_bound *b, place where, srv_probed *probed, srv_lack *l) {
    op_shape asked[N_SHAPES];
    *l = (srv_lack){.op = b->op, .phase = where.phase, .reads = b->reads};
    l->shapes = aic_arena_alloc(p->arena, N_SHAPES, sizeof *l->shapes);
    for (size_t i = 0; i < N_SHAPES; i++) {
        op_shape shape = probe_shape(p, i, where), seen = as_read(&shape, b->reads);
        op_result r;
        op_refusal why;
        add_shape(asked, &l->asked, seen);
        op_class cls = op_query(b, p->d->request.database_mode, &shape, &r, &why);
        if (cls != OP_OK) {
            keep_refusal(p, l, cls, why.text, &seen);
            p->totals[i].refused = true;
        } else if (probed) {
            add_result(&p->totals[i], probed, &r);
        }
    }
    return l->n_shapes > 0;
}

static void probe_members(prober *p, const op *group, place where, bool alternative);

/* Members of a group instead of the group; either branch of a Fallback would do. */
static void add_lacks(prober *p, const op_bound *b, place where, srv_probed *probed, bool alternative) {
    srv_lack l;
    if (!find_lack(p, b, where, probed, &l))
        return;
    if (probed)
        probed->lacks = true;
    size_t before = p->out->n_lacks;
    if (b->op->desc->composite)
        probe_members(p, b->op, where, alternative || strcmp(b->op->desc->kind, "Fallback") == 0);
    l.alternative = alternative;
    if (p->out->n_lacks == before)
        add_lack(p, &l);
}

static void probe_list(prober *p, const op_list *list, place where, bool alternative) {
    for (size_t i = 0; i < list->count; i++) {
        op_bound *b = aic_arena_alloc(p->arena, 1, sizeof *b);
        op_bind(&p->binder, list->items[i], b);
        add_lacks(p, b, where, NULL, alternative);
    }
}

static void probe_members(prober *p, const op *group, place where, bool alternative) {
    for (size_t f = 0; f < group->desc->n_fields; f++) {
        const op_field *field = &group->desc->fields[f];
        void *at = (char *)group->params + field->offset;
        if (field->type == OP_F_OPS)
            probe_list(p, at, where, alternative);
        else if (field->type == OP_F_OP && *(op **)at)
            probe_list(p, &(op_list){.count = 1, .items = at}, where, alternative);
    }
}

/* ---- the lists ------------------------------------------------------------------------------------------
 */

/* Returns how many shapes the whole list answers; their shares are added to the result's. */
static size_t probe_walk(prober *p, const srv_walk *walk, srv_phase phase, srv_probed *ops) {
    size_t whole = 0;
    memset(p->totals, 0, sizeof p->totals);
    for (size_t k = 0; k < walk->n_ops; k++) {
        const srv_op *o = &walk->ops[k];
        ops[k] = (srv_probed){.op = o->bound.op, .phase = phase};
        add_lacks(p, &o->bound, (place){phase, o->logits, o->behind}, &ops[k], false);
    }
    for (size_t i = 0; i < N_SHAPES; i++) {
        const total *t = &p->totals[i];
        if (t->refused || !(t->latency > 0))
            continue;
        whole++;
        for (int c = 0; c < OP_COVERS; c++)
            p->out->cover[c] += t->cover[c] / t->latency;
    }
    return whole;
}

void srv_probe_ops(const srv_deployment *d, aic_arena *a, srv_probe *out) {
    const srv_plan *plan = srv_plan_of(d);
    prober p = {.d = d,
                .arena = a,
                .out = out,
                .binder = {.arena = a, .view = d->view, .mode = plan->mode, .policy = d->policy}};
    const srv_walk *walks[SRV_PHASE_COUNT] = {[SRV_PH_encoder] = &plan->encoder,
                                              [SRV_PH_context] = &plan->context,
                                              [SRV_PH_generation] = &plan->generation};
    size_t whole = 0, at = 0;
    *out = (srv_probe){.n_ops = plan->encoder.n_ops + plan->context.n_ops + plan->generation.n_ops};
    out->ops = aic_arena_alloc(a, out->n_ops, sizeof *out->ops);
    for (int i = 0; i < SRV_PHASE_COUNT; i++) {
        whole += probe_walk(&p, walks[srv_phases[i]], srv_phases[i], out->ops + at);
        at += walks[srv_phases[i]]->n_ops;
    }
    for (int c = 0; whole && c < OP_COVERS; c++)
        out->cover[c] /= (double)whole;
}
