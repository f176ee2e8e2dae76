/* What op lists say before anything is bound: rows they fold into, classes of ops that share shapes, digests.
 * It depends on the lists and the model alone, so that deployments which share lists share it. */
#include "serving/internal.h"
#include <string.h>

/* The reference's engine reads repeats back from text, at times one ulp off (docs/model/serving.md,
 * "repeats"). */
static void reread_repeats(const op_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        op *o = list->items[i];
        o->repeat = mdl_engine_repeat(o->repeat);
        for (size_t f = 0; f < o->desc->n_fields; f++) {
            const op_field *field = &o->desc->fields[f];
            void *at = (char *)o->params + field->offset;
            if (field->type == OP_F_OPS)
                reread_repeats(at);
            else if (field->type == OP_F_OP && *(op **)at)
                reread_repeats(&(op_list){.count = 1, .items = at});
        }
    }
}

static size_t row_named(const srv_row *rows, size_t n, const char *name) {
    size_t i = 0;
    while (i < n && strcmp(rows[i].name, name) != 0)
        i++;
    return i;
}

static bool sees_behind(const op *o) {
    return mdl_tokens_of_op(o, &(mdl_image_tokens){.inside = 0, .behind = 1}) == 1;
}

/* Folds equal names into rows, in order of first encounter; rows has room for one per op. digest: of the
 * list. */
static srv_lines make_lines(aic_arena *a, const op_list *list, srv_phase phase, srv_row *rows,
                            char digest[AIC_XXH128_HEX]) {
    srv_lines lines = {.n_ops = list->count, .ops = aic_arena_alloc(a, list->count, sizeof *lines.ops)};
    aic_buf said = {0};
    for (size_t i = 0; i < list->count; i++) {
        const op *o = list->items[i];
        srv_line *s = &lines.ops[i];
        s->op = o;
        s->identity = op_signature(o, &said);
        s->reads = (uint8_t)op_reads(o);
        s->row = (uint32_t)row_named(rows, lines.n_rows, o->name);
        s->opens = s->row == lines.n_rows;
        s->logits = phase == SRV_PH_context && op_is_logits(o);
        s->behind = phase == SRV_PH_encoder && sees_behind(o);
        if (s->opens)
            rows[lines.n_rows++] = (srv_row){.phase = phase, .name = o->name, .kind = o->desc->kind};
        rows[s->row].repeat += o->repeat;
    }
    aic_xxh128_text(said.data, said.len, digest);
    aic_buf_free(&said);
    return lines;
}

/* Ops that see as many tokens stand together, the first op's kind first (docs/model/serving.md, "encoder").
 */
static op_list in_encoder_order(const mdl_deployment *d, aic_arena *a) {
    const op_list *list = &d->encoder;
    op_list out = {.items = aic_arena_alloc(a, list->count, sizeof *out.items)};
    bool alike = d->model && d->model->vision.merge == 1; /* as many behind as inside */
    for (size_t i = 0; i < list->count; i++)
        if (alike || sees_behind(list->items[i]) == sees_behind(list->items[0]))
            out.items[out.count++] = list->items[i];
    for (size_t i = 0; out.count < list->count; i++)
        if (sees_behind(list->items[i]) != sees_behind(list->items[0]))
            out.items[out.count++] = list->items[i];
    return out;
}

/* Fields that tell two context shapes apart for an op: x follows from batch and s where both are read. */
static unsigned context_key(const srv_line *o) {
    const unsigned both = OP_READS_BATCH | OP_READS_S;
    return (o->reads & both) == both ? o->reads & ~(unsigned)OP_READS_X : o->reads;
}

/* Classes in order of first encounter, so that leading ops have the leading classes. */
static void make_keys(srv_outline *out, aic_arena *a) {
    srv_lines *lines = &out->context;
    out->keys = aic_arena_alloc(a, lines->n_ops, sizeof *out->keys);
    for (size_t i = 0; i < lines->n_ops; i++) {
        srv_line *o = &lines->ops[i];
        srv_key_class key = {.reads = context_key(o), .logits = o->logits};
        size_t k = 0;
        while (k < out->n_keys && (out->keys[k].reads != key.reads || out->keys[k].logits != key.logits))
            k++;
        if (k == out->n_keys)
            out->keys[out->n_keys++] = key;
        o->key = (uint8_t)k; /* at most 16 sets of fields, with and without logits */
    }
}

static srv_part make_part(const srv_lines *lines, const bool *moving, int which, aic_arena *a) {
    srv_part part = {.rows = aic_arena_alloc(a, lines->n_rows, sizeof *part.rows),
                     .ops = aic_arena_alloc(a, lines->n_ops, sizeof *part.ops),
                     .slots = aic_arena_alloc(a, lines->n_ops, sizeof *part.slots)};
    for (size_t i = 0; i < lines->n_ops; i++) {
        srv_line *o = &lines->ops[i];
        if (moving[o->row] != (which == SRV_MOVING))
            continue;
        size_t slot = 0;
        while (slot < part.n_rows && part.rows[slot] != o->row)
            slot++;
        if (slot == part.n_rows)
            part.rows[part.n_rows++] = o->row; /* rows are numbered by first op, so these ascend too */
        o->part = (uint8_t)which;
        part.ops[part.n_ops] = (uint32_t)i;
        part.slots[part.n_ops++] = (uint32_t)slot;
    }
    return part;
}

static void make_parts(srv_outline *out, aic_arena *a) {
    const srv_lines *lines = &out->generation;
    bool *moving = aic_arena_alloc(a, lines->n_rows, sizeof *moving);
    for (size_t i = 0; i < lines->n_ops; i++)
        if (lines->ops[i].reads & OP_READS_S)
            moving[lines->ops[i].row] = true;
    for (int which = 0; which < SRV_PARTS; which++)
        out->parts[which] = make_part(lines, moving, which, a);
}

static void hash_rows(const srv_row *rows, size_t n, uint64_t hash[2]) {
    aic_buf b = {0};
    for (size_t i = 0; i < n; i++) {
        const srv_row *r = &rows[i];
        const uint64_t phase = r->phase;
        aic_buf_addn(&b, (const char *)&phase, sizeof phase);
        aic_buf_addn(&b, (const char *)&r->repeat, sizeof r->repeat);
        aic_buf_addn(&b, r->name, strlen(r->name) + 1);
        aic_buf_addn(&b, r->kind, strlen(r->kind) + 1);
    }
    aic_hash128(b.data, b.len, hash);
    aic_buf_free(&b);
}

const srv_outline *srv_outline_make(const mdl_deployment *d, aic_arena *a) {
    srv_outline *out = aic_arena_alloc(a, 1, sizeof *out);
    op_list encoder = in_encoder_order(d, a);
    size_t most = aic_add(encoder.count, aic_add(d->context.count, d->generation.count));
    srv_row *rows = aic_arena_alloc(a, most, sizeof *rows);
    reread_repeats(&encoder);
    reread_repeats(&d->context);
    reread_repeats(&d->generation);
    out->rows = rows;
    out->encoder = make_lines(a, &encoder, SRV_PH_encoder, rows, out->digests[SRV_PH_encoder]);
    rows += out->encoder.n_rows;
    out->context = make_lines(a, &d->context, SRV_PH_context, rows, out->digests[SRV_PH_context]);
    rows += out->context.n_rows;
    out->generation = make_lines(a, &d->generation, SRV_PH_generation, rows, out->digests[SRV_PH_generation]);
    size_t prefill = out->encoder.n_rows + out->context.n_rows, decode = out->generation.n_rows;
    hash_rows(out->rows, prefill + decode, out->rows_hash[SRV_static]);
    hash_rows(out->rows, prefill, out->rows_hash[SRV_static_ctx]);
    hash_rows(out->rows + prefill, decode, out->rows_hash[SRV_static_gen]);
    make_keys(out, a);
    make_parts(out, a);
    return out;
}
