/* links: base. Lists in the expression language: comprehensions, items by number, and their limits. */
#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* One name, `layers`; `pairs` is [[1, 'a'], [2, 'b']]. */
static int find(const void *ctx, const char *name) {
    (void)ctx;
    return strcmp(name, "layers") == 0 ? 0 : strcmp(name, "pairs") == 0 ? 1 : -1;
}

static const char *name_at(const void *ctx, size_t i) {
    (void)ctx;
    return i == 0 ? "layers" : i == 1 ? "pairs" : NULL;
}

static bool get(void *ctx, int slot, aic_value *out, aic_error *err) {
    static const aic_value one[] = {{AIC_V_INT, {.i = 1}}, {AIC_V_STR, {.s = "a"}}},
                           two[] = {{AIC_V_INT, {.i = 2}}, {AIC_V_STR, {.s = "b"}}};
    static const aic_list lists[] = {{2, one}, {2, two}};
    static const aic_value items[] = {{AIC_V_LIST, {.list = &lists[0]}}, {AIC_V_LIST, {.list = &lists[1]}}};
    static const aic_list pairs = {2, items};
    (void)ctx, (void)err;
    *out = slot == 0 ? aic_int(4) : (aic_value){AIC_V_LIST, {.list = &pairs}};
    return true;
}

static void describe(const aic_value *v, aic_buf *out) {
    if (v->type == AIC_V_LIST) {
        aic_buf_add(out, "[");
        for (size_t i = 0; i < v->u.list->count; i++) {
            aic_buf_add(out, i ? " " : "");
            describe(&v->u.list->items[i], out);
        }
        aic_buf_add(out, "]");
    } else if (v->type == AIC_V_INT) {
        aic_buf_printf(out, "%lld", (long long)v->u.i);
    } else if (v->type == AIC_V_STR) {
        aic_buf_add(out, v->u.s);
    } else {
        aic_buf_add(out, v->type == AIC_V_BOOL ? v->u.b ? "true" : "false" : aic_vtype_name(v->type));
    }
}

/* The value as text, or the error. */
static void expect(const char *text, const char *wanted) {
    static const aic_scope scope = {find, name_at, NULL, NULL, 0};
    aic_arena *a = aic_arena_new();
    const aic_env env = {get, NULL, NULL, a};
    aic_error err = {0};
    aic_value v;
    aic_buf have = {0};
    aic_expr *e = aic_expr_compile(a, text, "t", 1, 1, &scope, &err);
    if (e && aic_expr_eval(e, &env, &v, &err))
        describe(&v, &have);
    else
        aic_buf_add(&have, err.text);
    if (strcmp(have.data ? have.data : "", wanted) != 0)
        fail_msg("%s gives %s, not %s", text, have.data, wanted);
    aic_buf_free(&have);
    aic_arena_free(a);
}

static void test_comprehensions(void **state) {
    (void)state;
    expect("[i * i for i in range(layers)]", "[0 1 4 9]");
    expect("[i for i in range(layers) if i % 2]", "[1 3]");
    expect("[i if i > 1 else 'x' for i in range(layers) if i != 2]", "[x x 3]");
    expect("[t for n, t in pairs if n > 1]", "[b]");
    expect("[[t, n] for n, t in pairs]", "[[a 1] [b 2]]");
    expect("[[n * i for n, t in pairs] for i in range(2)]", "[[0 0] [1 2]]");
    expect("[layers for layers in range(2)] + 0 if false else layers", "4");
    expect("[i for i in [i for i in [7]]]", "[7]");
    expect("[1 for i in []]", "[]");
    expect("any(['b' in t for n, t in pairs])", "true");
    expect("any([]) or any([0, ''])", "false");
    expect("[endswith(t, '.b') for t in ['a.b', '.b', 'b', 'a.b.']]", "[true true false false]");
    expect("len([i for i in range(-3)])", "0");
    expect("[max(i, 1) for i in range(2)]", "[1 1]");
    expect("['for' for i in ['for']]", "[for]");
}

static void test_items(void **state) {
    (void)state;
    expect("[5, 6, 7][1]", "6");
    expect("[5, 6, 7][-1]", "7");
    expect("pairs[1][1]", "b");
    expect("'M*E'[1]", "*");
    expect("'a\xc3\xa9z'[1] + 'a\xc3\xa9z'[-1]", "\xc3\xa9z");
    expect("-[5][0]", "-5");
    expect("[range(9)[i + 1] for i in range(2)]", "[1 2]");
}

static void test_errors(void **state) {
    (void)state;
    expect("[i for i in 3]", "t:1:13: expected a list to run through, found an integer");
    expect("[i for i in i]", "t:1:13: unknown name \"i\"");
    expect("[i for i in [1]] + i", "t:1:20: unknown name \"i\"");
    expect("[a for a, b in [[1]]]", "t:1:1: an item is no list of 2 to take apart");
    expect("[i for i range(3)]", "t:1:10: expected \",\" or \"in\", found \"range\"");
    expect("[i for x.y in [1]]", "t:1:8: expected the name of a variable, found \"x.y\"");
    expect("[i for i in [1] else 2]", "t:1:17: expected \"if\" or \"]\", found \"else\"");
    expect("[i i for i in [1]]", "t:1:4: expected \"for\", found \"i\"");
    expect("[1, i for i in [1]]", "t:1:5: unknown name \"i\"");
    expect("[1 for i in [1]", "t:1:16: expected \"if\" or \"]\", found the end of the expression");
    expect("[1 2 for i in [1]]", "t:1:4: expected \"for\", found \"2\"");
    expect("[5][1]", "t:1:4: no item 1 among 1");
    expect("'ab'[-3]", "t:1:5: no item -3 among 2");
    expect("layers[0]", "t:1:7: an integer has no items to pick one from");
    expect("[5]['a']", "t:1:4: the number of an item must be an integer, not text");
    expect("[5][0", "t:1:6: expected \"]\", found the end of the expression");
    expect("range('a')", "t:1:1: range needs an integer, not text");
    expect("any(3)", "t:1:1: any needs a list, not an integer");
}

/* Work and memory are bounded whatever the text says. */
static void test_limits(void **state) {
    (void)state;
    expect("len(range(131072))", "131072");
    expect("range(131073)", "t:1:1: more than 131072 items to run through");
    expect("[0 for i in range(1000) if len([1 for k in range(1000)])]",
           "t:1:44: more than 131072 items to run through");
    expect("[[0 for j in l] for l in [range(40000) for k in [1, 2, 3]]]",
           "t:1:2: more than 131072 items to run through");
    aic_buf deep = {0};
    for (int i = 0; i < 17; i++)
        aic_buf_add(&deep, "[");
    aic_buf_add(&deep, "0");
    for (int i = 0; i < 17; i++)
        aic_buf_printf(&deep, " for v%d in [0]]", i);
    expect(deep.data, "t:1:24: more than 16 variables");
    aic_buf_clear(&deep);
    for (int i = 0; i < 70; i++)
        aic_buf_add(&deep, "[");
    aic_buf_add(&deep, "0 for i in [0]");
    expect(deep.data, "t:1:65: nested deeper than 64 levels");
    aic_buf_free(&deep);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_comprehensions),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
