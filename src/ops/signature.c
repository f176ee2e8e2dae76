/* What an op says, as bytes: the wire form for comparing and digesting, without the cost of printing numbers.
 * Every value stands behind its length or has a fixed one, so that no two ops share bytes. */
#include "ops/internal.h"
#include <string.h>

static void add(aic_buf *out, const void *data, size_t size) {
    aic_buf_addn(out, data, size);
}

static void add_text(aic_buf *out, const char *text) {
    int64_t len = text ? (int64_t)strlen(text) : -1;
    add(out, &len, sizeof len);
    if (text)
        add(out, text, (size_t)len);
}

static void add_texts(aic_buf *out, const op_texts *t) {
    add(out, &t->count, sizeof t->count);
    for (size_t i = 0; i < t->count; i++)
        add_text(out, t->items[i]);
}

static void add_ops(aic_buf *out, const op_list *ops) {
    add(out, &ops->count, sizeof ops->count);
    for (size_t i = 0; i < ops->count; i++)
        op_signature(ops->items[i], out);
}

/* Modes by name: their numbers may change from one program to the next. */
static void add_quant(aic_buf *out, pdb_quant q) {
    add_text(out, q == PDB_Q_UNSET ? NULL : pdb_quant_get(q)->name);
}

static void add_field(const op *o, const op_field *f, aic_buf *out) {
    const void *at = op_member(o, f);
    switch (f->type) {
    case OP_F_U32:
        add(out, at, sizeof(uint32_t));
        break;
    case OP_F_U32_OR_NULL:
    case OP_F_I64:
        add(out, at, sizeof(int64_t));
        break;
    case OP_F_F64:
        add(out, at, sizeof(double));
        break;
    case OP_F_BOOL:
        add(out, at, sizeof(bool));
        break;
    case OP_F_TEXT:
        add_text(out, *(const char *const *)at);
        break;
    case OP_F_TEXTS:
        add_texts(out, at);
        break;
    case OP_F_QUANT:
        add_quant(out, *(const pdb_quant *)at);
        break;
    case OP_F_QUANTS_OR_NULL:
        for (int i = 0; f->choices[i]; i++)
            add_quant(out, ((const pdb_quant *)at)[i]);
        break;
    case OP_F_CHOICE:
        add_text(out, f->choices[*(const int *)at]);
        break;
    case OP_F_OP:
        add_ops(out, &(op_list){.count = *(op *const *)at != NULL, .items = (op **)(uintptr_t)at});
        break;
    case OP_F_OPS:
        add_ops(out, at);
        break;
    }
}

/* Fields by their order alone: the kind tells what they are. The repeat stands last, so that what comes
 * before it is the same for ops that differ in nothing else. */
op_identity op_signature(const op *o, aic_buf *out) {
    op_identity id;
    size_t start = out->len;
    add_text(out, o->desc->kind);
    add_text(out, o->desc->definition);
    add_text(out, o->name);
    for (size_t i = 0; i < o->desc->n_fields; i++)
        add_field(o, &o->desc->fields[i], out);
    aic_hash128(out->data + start, out->len - start, id.bits);
    add(out, &o->repeat, sizeof o->repeat);
    return id;
}
