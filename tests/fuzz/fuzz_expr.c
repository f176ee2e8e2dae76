/* links: base. The expression compiler, evaluator and templates on any text; seeds in seeds/expr. */
#include "base/base.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Short names, so that a fuzzer finds them: a is an integer, b a real, c text, d null, e.f a list. */
static const char *const names[] = {"a", "b", "c", "d", "e.f", NULL};

static int find(const void *ctx, const char *name) {
    (void)ctx;
    for (int i = 0; names[i]; i++)
        if (strcmp(names[i], name) == 0)
            return i;
    return -1;
}

static const char *name_at(const void *ctx, size_t i) {
    (void)ctx;
    return names[i];
}

static bool get(void *ctx, int slot, aic_value *out, aic_error *err) {
    (void)ctx;
    (void)err;
    static const aic_value items[] = {{AIC_V_INT, {.i = INT64_MIN}}, {AIC_V_STR, {.s = "a"}}};
    static const aic_list list = {2, items};
    const aic_value values[] = {
        aic_int(8), aic_real(0.5), aic_str("fp8"), AIC_NULL_VALUE, {AIC_V_LIST, {.list = &list}}};
    *out = values[slot];
    return true;
}

static void note_slot(void *ctx, int slot) {
    (void)ctx;
    if (slot < 0 || slot > 4)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const aic_scope scope = {find, name_at, NULL, NULL, 0};
    aic_arena *a = aic_arena_new();
    char *text = aic_arena_strndup(a, (const char *)data, size);
    aic_error err = {0};
    const aic_env env = {get, NULL, NULL, a};
    aic_value v;
    aic_expr *e = aic_expr_compile(a, text, "fuzz", 1, 1, &scope, &err);
    if ((e == NULL) != (err.code != AIC_OK))
        abort();
    if (e) {
        aic_expr_slots(e, note_slot, NULL);
        if (aic_expr_eval(e, &env, &v, &err) != (err.code == AIC_OK))
            abort();
    }
    const char *out;
    aic_template *t = aic_template_compile(a, text, "fuzz", 1, 1, &scope, &err);
    if (t)
        aic_template_eval(t, &env, &out, &err);
    aic_arena_free(a);
    return 0;
}
