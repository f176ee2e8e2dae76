/* --where: an expression over the columns of a point. */
#include "results/internal.h"

static void note_column(void *ctx, int slot) {
    res_columns_add(ctx, slot);
}

bool res_filter_init(res_filter *f, const char *where, aic_error *err) {
    *f = (res_filter){0};
    if (!where || !*where)
        return true;
    f->arena = aic_arena_new();
    f->expr = aic_expr_compile(f->arena, where, "where", 1, 1, res_column_scope(), err);
    if (f->expr) {
        aic_expr_slots(f->expr, note_column, &f->columns);
        return true;
    }
    res_filter_free(f);
    return false;
}

void res_filter_free(res_filter *f) {
    aic_arena_free(f->arena);
    aic_arena_free(f->scratch);
    res_columns_free(&f->columns);
    *f = (res_filter){0};
}

typedef struct place {
    const res_window *window;
    size_t i;
} place;

static bool get(void *ctx, int slot, aic_value *out, aic_error *err) {
    const place *p = ctx;
    (void)err;
    switch (res_column_at((size_t)slot)->type) {
    case RES_F64:
        *out = aic_real(res_window_number(p->window, p->i, slot));
        return true;
    case RES_TEXT: {
        const char *text = res_window_text(p->window, p->i, slot);
        *out = aic_str(text ? text : "");
        return true;
    }
    default:
        *out = res_window_value(p->window, p->i, slot);
        return true;
    }
}

bool res_filter_pass(res_filter *f, const res_window *w, size_t i, bool *pass, aic_error *err) {
    enum { SCRATCH_MAX = 1 << 20 };
    *pass = true;
    if (!f->expr)
        return true;
    if (!f->scratch || aic_arena_bytes(f->scratch) > SCRATCH_MAX) {
        aic_arena_free(f->scratch);
        f->scratch = aic_arena_new();
    }
    place at = {w, i};
    aic_env env = {.get = get, .ctx = &at, .arena = f->scratch};
    aic_value v;
    if (!aic_expr_eval(f->expr, &env, &v, err))
        return false;
    *pass = aic_truthy(&v);
    return true;
}
