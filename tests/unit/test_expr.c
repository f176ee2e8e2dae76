/* links: base. The expression language: values, precedence, errors with positions, hostile texts. */
#include "base/base.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static aic_arena *arena;
static aic_error err;

static int set_up(void **state) {
    (void)state;
    arena = aic_arena_new();
    err = (aic_error){0};
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    aic_arena_free(arena);
    return 0;
}

/* Names of the test scope and their values. */
static const aic_value digits[] = {{AIC_V_INT, {.i = 1}}, {AIC_V_INT, {.i = 2}}, {AIC_V_INT, {.i = 4}}};
static const aic_list digit_list = {3, digits};
static const aic_list empty_list = {0, NULL};
static const struct {
    const char *name;
    aic_value value;
} names[] = {
    {"tp", {AIC_V_INT, {.i = 8}}},
    {"heads", {AIC_V_INT, {.i = 40}}},
    {"scale", {AIC_V_REAL, {.r = 0.5}}},
    {"x.window", {AIC_V_INT, {.i = 128}}},
    {"model", {AIC_V_STR, {.s = "Qwen3"}}},
    {"none", {AIC_V_NULL, {.i = 0}}},
    {"yes", {AIC_V_BOOL, {.b = true}}},
    {"least", {AIC_V_INT, {.i = INT64_MIN}}},
    {"big", {AIC_V_INT, {.i = INT64_MAX}}},
    {"nan", {AIC_V_REAL, {.r = NAN}}},
    {"list", {AIC_V_LIST, {.list = &digit_list}}},
    {"empty", {AIC_V_LIST, {.list = &empty_list}}},
    {"broken", {AIC_V_NULL, {.i = 0}}},
};
enum { N_NAMES = sizeof names / sizeof *names };

static int find(const void *ctx, const char *name) {
    (void)ctx;
    for (int i = 0; i < N_NAMES; i++)
        if (strcmp(names[i].name, name) == 0)
            return i;
    return -1;
}

static const char *name_at(const void *ctx, size_t i) {
    (void)ctx;
    return i < N_NAMES ? names[i].name : NULL;
}

static bool get(void *ctx, int slot, aic_value *out, aic_error *e) {
    int *calls = ctx;
    ++*calls;
    if (strcmp(names[slot].name, "broken") == 0)
        return aic_fail(e, AIC_IO, "no such fact");
    *out = names[slot].value;
    return true;
}

static bool twice(void *ctx, aic_arena *a, const aic_value *args, int n, aic_value *out, aic_error *e) {
    (void)a;
    (void)n;
    ++*(int *)ctx;
    if (args[0].type != AIC_V_INT)
        return aic_fail(e, AIC_BAD_INPUT, "twice needs an integer");
    *out = aic_int(2 * args[0].u.i);
    return true;
}

static const aic_fn fns[] = {{"twice", 1, 1, twice}, {"lower", 1, 2, twice}};
static const aic_scope scope = {find, name_at, NULL, fns, 1};
static int name_calls, fn_calls;
static const aic_env *env(void) {
    static aic_env e;
    name_calls = fn_calls = 0;
    e = (aic_env){get, &name_calls, &fn_calls, arena};
    return &e;
}

static aic_expr *compile(const char *text) {
    return aic_expr_compile(arena, text, "t.yaml", 3, 10, &scope, &err);
}

/* The value as "type text", or the error. */
static const char *result(const char *text) {
    aic_expr *e = compile(text);
    aic_value v;
    if (!e || !aic_expr_eval(e, env(), &v, &err))
        return err.text;
    static char out[200];
    char number[32];
    switch (v.type) {
    case AIC_V_NULL:
        return "null";
    case AIC_V_BOOL:
        return v.u.b ? "true" : "false";
    case AIC_V_INT:
        snprintf(out, sizeof out, "int %lld", (long long)v.u.i);
        return out;
    case AIC_V_REAL:
        aic_shortest(v.u.r, number);
        snprintf(out, sizeof out, "real %s", number);
        return out;
    case AIC_V_STR:
        snprintf(out, sizeof out, "'%s'", v.u.s);
        return out;
    case AIC_V_LIST:
        snprintf(out, sizeof out, "list of %zu", v.u.list->count);
        return out;
    }
    return "?";
}

typedef struct expectation {
    const char *text, *result;
} expectation;

static void expect(const expectation *cases, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const char *got = result(cases[i].text);
        if (strcmp(got, cases[i].result) != 0)
            fail_msg("%s\n   gives %s\n   not   %s", cases[i].text, got, cases[i].result);
    }
}
#define EXPECT(cases) expect(cases, sizeof(cases) / sizeof *(cases))

static void test_literals(void **state) {
    (void)state;
    static const expectation cases[] = {
        {"12", "int 12"},
        {"1.5", "real 1.5"},
        {"1e3", "real 1000"},
        {".5", "real 0.5"},
        {"1.5e-3", "real 0.0015"},
        {"-3", "int -3"},
        {"- -3", "int 3"},
        {"-9223372036854775807", "int -9223372036854775807"},
        {"9223372036854775807", "int 9223372036854775807"},
        {"true", "true"},
        {"false", "false"},
        {"null", "null"},
        {"\"a b\"", "'a b'"},
        {"'a\"b'", "'a\"b'"},
        {"'it\\'s\\\\\\n'", "'it's\\\n'"},
        {"'\xc3\xa9'", "'\xc3\xa9'"},
        {"[]", "list of 0"},
        {"[1, 'a', null,]", "list of 3"},
        {" ( ( 7 ) ) ", "int 7"},
        {"\n7\t", "int 7"},
    };
    EXPECT(cases);
}

static void test_arithmetic(void **state) {
    (void)state;
    static const expectation cases[] = {
        {"1 + 2 * 3", "int 7"},
        {"(1 + 2) * 3", "int 9"},
        {"7 - 2 - 1", "int 4"},
        {"2 * 7 // 3", "int 4"},
        {"2 * (7 // 3)", "int 4"},
        {"7 // 2 * 2", "int 6"},
        {"7 / 2", "real 3.5"},
        {"8 / 2", "real 4"},
        {"7 // 2", "int 3"},
        {"-7 // 2", "int -4"},
        {"7 // -2", "int -4"},
        {"-7 // -2", "int 3"},
        {"7 % 3", "int 1"},
        {"-7 % 3", "int 2"},
        {"7 % -3", "int -2"},
        {"-7 % -3", "int -1"},
        {"-6 % 3", "int 0"},
        {"least % -1", "int 0"},
        {"7 // -1", "int -7"},
        {"1 + 0.5", "real 1.5"},
        {"2 * 0.5", "real 1"},
        {"1 - 1.0", "real 0"},
        {"0.1 + 0.2 + 0.3", "real 0.6000000000000001"},
        {"0.1 + (0.2 + 0.3)", "real 0.6"},
        {"3 / 0.3 * 0.3", "real 3"},
        {"'a' + 'b'", "'ab'"},
        {"-tp", "int -8"},
        {"-scale", "real -0.5"},
        {"- 2 + 3", "int 1"},
        {"2--3", "int 5"},
        {"heads*128//tp", "int 640"},
        {"x.window + 1", "int 129"},
        {"1e308 * 10", "real inf"},
    };
    EXPECT(cases);
}

static void test_arithmetic_errors(void **state) {
    (void)state;
    static const expectation cases[] = {
        {"1 // 0", "t.yaml:3:12: division by zero"},
        {"1 % 0", "t.yaml:3:12: division by zero"},
        {"1 / 0", "t.yaml:3:12: division by zero"},
        {"1 / 0.0", "t.yaml:3:12: division by zero"},
        {"1.0 / -0.0", "t.yaml:3:14: division by zero"},
        {"big + 1", "t.yaml:3:14: 9223372036854775807 + 1 does not fit 64 bits"},
        {"least - 1", "t.yaml:3:16: -9223372036854775808 - 1 does not fit 64 bits"},
        {"big * 2", "t.yaml:3:14: 9223372036854775807 * 2 does not fit 64 bits"},
        {"least // -1", "t.yaml:3:16: -9223372036854775808 // -1 does not fit 64 bits"},
        {"-least", "t.yaml:3:10: the negative of the least integer does not fit 64 bits"},
        {"7.5 // 2", "t.yaml:3:14: // works on integers only"},
        {"7 % 2.0", "t.yaml:3:12: % works on integers only"},
        {"1 + 'a'", "t.yaml:3:12: + does not apply to an integer and text"},
        {"'a' * 2", "t.yaml:3:14: * does not apply to text and an integer"},
        {"true + 1", "t.yaml:3:15: + does not apply to a boolean and an integer"},
        {"null + 1", "t.yaml:3:15: + does not apply to null and an integer"},
        {"[1] + [2]", "t.yaml:3:14: + does not apply to a list and a list"},
        {"-'a'", "t.yaml:3:10: - does not apply to text"},
        {"-true", "t.yaml:3:10: - does not apply to a boolean"},
        {"1 +\n 2 //\n  0", "t.yaml:4:4: division by zero"},
        {"'\xc3\xa9' == 'a' and 1 // 0 or 1 // 0", "t.yaml:3:37: division by zero"},
    };
    EXPECT(cases);
}

static void test_comparisons(void **state) {
    (void)state;
    static const expectation cases[] = {
        {"1 == 1.0", "true"},
        {"1 != 1", "false"},
        {"big == 9223372036854775807.0", "false"}, /* that real is 2^63 */
        {"big < 9223372036854775807.0", "true"},
        {"least == -9223372036854775808.0", "true"},
        {"9007199254740993 > 9007199254740992.0", "true"},
        {"9007199254740993 == 9007199254740992.0", "false"},
        {"3 < 3.5", "true"},
        {"-3 > -3.5", "true"},
        {"3.5 >= 3", "true"},
        {"1e300 > big", "true"},
        {"-1e300 < least", "true"},
        {"nan == nan", "false"},
        {"nan != nan", "true"},
        {"nan < 1 or nan > 1 or nan <= 1 or nan >= 1", "false"},
        {"nan == 1", "false"},
        {"'a' < 'b'", "true"},
        {"'B' < 'a'", "true"},
        {"'z' < '\xc3\xa9'", "true"},
        {"'a' == 'a'", "true"},
        {"null == null", "true"},
        {"null == 0", "false"},
        {"null == false", "false"},
        {"true == 1", "false"},
        {"true == true", "true"},
        {"true != false", "true"},
        {"'1' == 1", "false"},
        {"'1' != 1", "true"},
        {"[1, 2.0] == [1.0, 2]", "true"},
        {"[1] == [1, 2]", "false"},
        {"[1] == 1", "false"},
        {"1 < 2 < 3", "true"},
        {"1 < 3 < 2", "false"},
        {"1 < tp <= 8 != 9", "true"},
        {"3 > 2 == 2", "true"},
        {"1 > 2 > 1 // 0", "false"}, /* as with `and`, the rest is not evaluated */
        {"1 < 'a'", "t.yaml:3:12: an integer and text have no order"},
        {"null < 1", "t.yaml:3:15: null and an integer have no order"},
        {"true < false", "t.yaml:3:15: a boolean and a boolean have no order"},
        {"[1] < [2]", "t.yaml:3:14: a list and a list have no order"},
    };
    EXPECT(cases);
    assert_string_equal(result("0 < tp < 9"), "true");
    assert_int_equal(name_calls, 1); /* once, though it stands in two comparisons */
}

static void test_logic(void **state) {
    (void)state;
    static const expectation cases[] = {
        {"true and false", "false"},
        {"1 and 2", "int 2"},
        {"0 and 2", "int 0"},
        {"0 or 2", "int 2"},
        {"null or 0 or ''", "''"},
        {"3 or 1 // 0", "int 3"},
        {"0 and 1 // 0", "int 0"},
        {"not 0", "true"},
        {"not not 'a'", "true"},
        {"not 1 == 2", "true"},
        {"not tp in [1]", "true"},
        {"true or true and false", "true"},
        {"not true or true", "true"},
        {"0.0 or [] or null or false or '' or 'end'", "'end'"},
        {"nan and 1", "int 1"},
        {"none ?? 4", "int 4"},
        {"0 ?? 4", "int 0"},
        {"none ?? none ?? 5", "int 5"},
        {"none ?? 1 + 2", "int 3"},
        {"none ?? false or 7", "int 7"},
        {"tp ?? 1 // 0", "int 8"},
        {"1 if tp > 4 else 2", "int 1"},
        {"1 if tp > 40 else 2", "int 2"},
        {"1 if 0 else 2 if 0 else 3", "int 3"},
        {"1 // 0 if false else 2", "int 2"},
        {"(1 if 1 else 2) + 1", "int 2"},
        {"1 + 1 if 1 else 2 + 2", "int 2"},
        {"none ?? 3 if 1 else 2", "int 3"},
        {"1 in [1, 2]", "true"},
        {"1.0 in [1, 2]", "true"},
        {"'a' in [1, 2]", "false"},
        {"3 not in [1, 2]", "true"},
        {"null in [null]", "true"},
        {"tp in [heads, tp]", "true"},
        {"tp in list", "false"},
        {"4 in list", "true"},
        {"1 in empty", "false"},
        {"'wen' in model", "true"},
        {"'' in model", "true"},
        {"'x' not in model", "true"},
        {"tp * 2 <= 16 and x.window >= 128", "true"},
        {"1 in 2", "t.yaml:3:12: cannot look for an integer in an integer"},
        {"1 in 'a'", "t.yaml:3:12: cannot look for an integer in text"},
        {"1 not in null", "t.yaml:3:12: cannot look for an integer in null"},
    };
    EXPECT(cases);
}

static void test_functions(void **state) {
    (void)state;
    static const expectation cases[] = {
        {"min(3, 1, 2)", "int 1"},
        {"max(3, 1, 2)", "int 3"},
        {"max(1, 1.0)", "int 1"},
        {"max(1.0, 1)", "real 1"},
        {"min(1, 0.5)", "real 0.5"},
        {"min(list)", "int 1"},
        {"max([4, 9])", "int 9"},
        {"max(5)", "int 5"},
        {"max(nan, 1)", "real nan"},
        {"max(1, nan)", "int 1"},
        {"min('b', 'a')", "'a'"},
        {"min(empty)", "t.yaml:3:10: min of an empty list"},
        {"max(1, 'a')", "t.yaml:3:10: text and an integer have no order"},
        {"max(true)", "t.yaml:3:10: a boolean and a boolean have no order"},
        {"abs(-3)", "int 3"},
        {"abs(-0.5)", "real 0.5"},
        {"abs(least)", "t.yaml:3:10: abs does not fit 64 bits"},
        {"abs('a')", "t.yaml:3:10: abs needs a number, not text"},
        {"ceildiv(7, 2)", "int 4"},
        {"ceildiv(-7, 2)", "int -3"},
        {"ceildiv(7, -2)", "int -3"},
        {"ceildiv(-7, -2)", "int 4"},
        {"ceildiv(8, 2)", "int 4"},
        {"ceildiv(big, 1)", "int 9223372036854775807"},
        {"ceildiv(least, 1)", "int -9223372036854775808"},
        {"ceildiv(big, 2)", "int 4611686018427387904"},
        {"ceildiv(least, -1)", "t.yaml:3:10: -9223372036854775808 // -1 does not fit 64 bits"},
        {"ceildiv(1, 0)", "t.yaml:3:10: division by zero"},
        {"ceildiv(1.0, 2)", "t.yaml:3:10: ceildiv needs two integers, not a real number"},
        {"floor(2.7)", "int 2"},
        {"floor(-2.2)", "int -3"},
        {"ceil(2.2)", "int 3"},
        {"trunc(-2.7)", "int -2"},
        {"round(2.5)", "int 2"},
        {"round(3.5)", "int 4"},
        {"round(-2.5)", "int -2"},
        {"floor(7)", "int 7"},
        {"floor(1e300)", "t.yaml:3:10: floor: 1e+300 does not fit 64 bits"},
        {"int(nan)", "t.yaml:3:10: int: nan does not fit 64 bits"},
        {"int(9223372036854775807.0)", "t.yaml:3:10: int: 9.22337e+18 does not fit 64 bits"},
        {"int(-9223372036854775808.0)", "int -9223372036854775808"},
        {"floor('a')", "t.yaml:3:10: floor needs a number, not text"},
        {"int(2.9)", "int 2"},
        {"int(true)", "int 1"},
        {"int('-12')", "int -12"},
        {"int('1.5')", "t.yaml:3:10: int: \"1.5\" is not an integer"},
        {"int(null)", "t.yaml:3:10: int needs a number, not null"},
        {"real(3)", "real 3"},
        {"real('0.5')", "real 0.5"},
        {"real(false)", "real 0"},
        {"real('x')", "t.yaml:3:10: real: \"x\" is not a number"},
        {"real(null)", "t.yaml:3:10: real needs a number, boolean or text, not null"},
        {"str(3)", "'3'"},
        {"str(3.0)", "'3.0'"},
        {"str(0.1)", "'0.1'"},
        {"str(1e300)", "'1e+300'"},
        {"str(nan)", "'nan'"},
        {"str(true)", "'true'"},
        {"str(null)", "'null'"},
        {"str([1])", "t.yaml:3:10: a list has no text form"},
        {"len('a\xc3\xa9')", "int 2"},
        {"len(list)", "int 3"},
        {"len(1)", "t.yaml:3:10: len needs text or a list, not an integer"},
        {"contains(model, 'wen')", "true"},
        {"contains(list, 4)", "true"},
        {"contains(list, 5)", "false"},
        {"startswith(model, 'Qwen')", "true"},
        {"startswith('Q', model)", "false"},
        {"startswith(model, 1)", "t.yaml:3:10: startswith needs text, not an integer"},
        {"lower(model)", "'qwen3'"},
        {"lower(1)", "t.yaml:3:10: lower needs text, not an integer"},
        {"twice(21)", "int 42"},
        {"1 + twice('a')", "t.yaml:3:14: twice needs an integer"},
        {"max(1, 2, 3, 4, 5, 6, 7, 8, 9, tp)", "int 9"},
        {"max(1, 2, 3, 4, 5, 6, 7, 8, 9, 1 // 0)", "t.yaml:3:43: division by zero"},
    };
    EXPECT(cases);
}

static void test_scope_functions_come_first(void **state) {
    (void)state;
    aic_scope shadowing = scope;
    shadowing.n_fns = 2;
    aic_value v;
    aic_expr *e = aic_expr_compile(arena, "lower(4)", NULL, 0, 0, &shadowing, &err);
    assert_non_null(e);
    assert_true(aic_expr_eval(e, env(), &v, &err));
    assert_int_equal(v.u.i, 8);
    assert_int_equal(fn_calls, 1);
}

static void test_syntax_errors(void **state) {
    (void)state;
    static const expectation cases[] = {
        {"", "t.yaml:3:10: expected a value, found the end of the expression"},
        {"1 +", "t.yaml:3:13: expected a value, found the end of the expression"},
        {"(1", "t.yaml:3:12: expected \")\", found the end of the expression"},
        {"1)", "t.yaml:3:11: expected an operator or the end of the expression, found \")\""},
        {"1 2", "t.yaml:3:12: expected an operator or the end of the expression, found \"2\""},
        {"tp heads", "t.yaml:3:13: expected an operator or the end of the expression, found \"heads\""},
        {"[1 2]", "t.yaml:3:13: expected \",\" or \"]\", found \"2\""},
        {"[1,,2]", "t.yaml:3:13: expected a value, found \",\""},
        {"max(1", "t.yaml:3:15: expected \",\" or \")\", found the end of the expression"},
        {"* 2", "t.yaml:3:10: expected a value, found \"*\""},
        {"2 ** 3", "t.yaml:3:13: expected a value, found \"*\""},
        {"+1", "t.yaml:3:10: expected a value, found \"+\""},
        {"1 if 2", "t.yaml:3:16: expected \"else\", found the end of the expression"},
        {"if 1", "t.yaml:3:10: expected a value, found \"if\""},
        {"1 and", "t.yaml:3:15: expected a value, found the end of the expression"},
        {"1 not 2", "t.yaml:3:12: expected an operator or the end of the expression, found \"not\""},
        {"1 == not 1", "t.yaml:3:15: expected a value, found \"not\""},
        {"tp && 1", "t.yaml:3:13: \"&&\" is no operator here; write \"and\""},
        {"tp || 1", "t.yaml:3:13: \"||\" is no operator here; write \"or\""},
        {"!tp", "t.yaml:3:10: \"!\" is no operator here; write \"not\""},
        {"tp = 1", "t.yaml:3:13: \"=\" is no operator here; write \"==\""},
        {"tp $ 1", "t.yaml:3:13: unexpected \"$\""},
        {"tp \xc3\xa9", "t.yaml:3:13: unexpected \"\xc3\xa9\""},
        {"tp \xff", "t.yaml:3:13: unexpected \"\\xFF\""},
        {"tp \x1b", "t.yaml:3:13: unexpected \"\\x1B\""},
        {"tp.", "t.yaml:3:12: unexpected \".\""},
        {"tp .5", "t.yaml:3:13: expected an operator or the end of the expression, found \".5\""},
        {"tp{1}", "t.yaml:3:12: unexpected \"{\""},
        {"'abc", "t.yaml:3:10: this ' is never closed"},
        {"\"abc\\\"", "t.yaml:3:10: this \" is never closed"},
        {"'abc\\", "t.yaml:3:10: this ' is never closed"},
        {"'a\\qb'", "t.yaml:3:12: unknown escape; known are \\n \\t \\\\ \\\" \\'"},
        {"010", "t.yaml:3:10: \"010\" is not a number (plain decimal, no leading zeros)"},
        {"0x1F", "t.yaml:3:10: \"0x1F\" is not a number (plain decimal, no leading zeros)"},
        {"1_000", "t.yaml:3:10: \"1_000\" is not a number (plain decimal, no leading zeros)"},
        {"1.2.3", "t.yaml:3:10: \"1.2.3\" is not a number (plain decimal, no leading zeros)"},
        {"8tp", "t.yaml:3:10: \"8tp\" is not a number (plain decimal, no leading zeros)"},
        {"9223372036854775808", "t.yaml:3:10: the number 9223372036854775808 does not fit 64 bits"},
        {"1e999", "t.yaml:3:10: the number 1e999 does not fit 64 bits"},
        {"0000000000000000000000000000000000000000000000000000000000000000000001",
         "t.yaml:3:10: a number of more than 63 characters"},
        {"1\n+ +", "t.yaml:4:3: expected a value, found \"+\""},
        {"\n\ntp\n== 1 1", "t.yaml:6:6: expected an operator or the end of the expression, found \"1\""},
    };
    EXPECT(cases);
}

static void test_unknown_names(void **state) {
    (void)state;
    static const expectation cases[] = {
        {"head > 1", "t.yaml:3:10: unknown name \"head\"; did you mean \"heads\"?"},
        {"1 + TP", "t.yaml:3:14: unknown name \"TP\"; did you mean \"tp\"?"},
        {"x.windw", "t.yaml:3:10: unknown name \"x.windw\"; did you mean \"x.window\"?"},
        {"nothing_like_it", "t.yaml:3:10: unknown name \"nothing_like_it\""},
        {"ceildv(1, 2)", "t.yaml:3:10: unknown function \"ceildv\"; did you mean \"ceildiv\"?"},
        {"twise(1)", "t.yaml:3:10: unknown function \"twise\"; did you mean \"twice\"?"},
        {"tp(1)", "t.yaml:3:10: unknown function \"tp\""},
        {"max()", "t.yaml:3:10: max takes at least 1 argument, not 0"},
        {"abs(1, 2)", "t.yaml:3:10: abs takes 1 argument, not 2"},
        {"ceildiv(1)", "t.yaml:3:10: ceildiv takes 2 arguments, not 1"},
        {"broken + 1", "t.yaml:3:10: no such fact"},
    };
    EXPECT(cases);
    assert_int_equal(err.code, AIC_IO); /* of `broken`: the class of the error stays */
    assert_null(aic_expr_compile(arena, "tp", NULL, 0, 0, NULL, &err));
    assert_string_equal(err.text, "unknown name \"tp\"");
    assert_null(aic_expr_compile(arena, "tq(1)", "a.json", 0, 0, NULL, &err));
    assert_string_equal(err.text, "a.json: unknown function \"tq\"");
    assert_null(aic_expr_compile(arena, "tp", NULL, 0, 0, NULL, NULL));
}

static void test_hostile_texts(void **state) {
    (void)state;
    static const char *const pieces[] = {"(", "[", "-", "not ", "abs(", "1 if 1 else ", "max(1,"};
    aic_buf b = {0};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        aic_buf_clear(&b);
        while (b.len < 60000)
            aic_buf_add(&b, pieces[i]);
        assert_null(compile(b.data));
        assert_non_null(strstr(err.text, "nested deeper than 64 levels"));
    }
    aic_buf_clear(&b);
    aic_buf_printf(&b, "%070000d", 1);
    assert_null(compile(b.data));
    assert_string_equal(err.text, "t.yaml:3:10: an expression of more than 65536 bytes");
    aic_buf_clear(&b); /* long sums and chains are flat */
    for (int i = 0; i < 20000; i++)
        aic_buf_add(&b, i ? "+1" : "1");
    assert_string_equal(result(b.data), "int 20000");
    aic_buf_clear(&b);
    for (int i = 0; i < 12000; i++)
        aic_buf_add(&b, i ? "<=1" : "1");
    assert_string_equal(result(b.data), "true");
    aic_buf_clear(&b);
    for (int i = 0; i < 10000; i++)
        aic_buf_add(&b, i ? "+'a'" : "'a'");
    assert_string_equal(result(b.data), "t.yaml:3:16393: text of more than 4096 bytes");
    aic_buf_clear(&b); /* each level asks twice: evaluated once, so this ends */
    for (int i = 0; i < 60; i++)
        aic_buf_add(&b, "0 < (");
    aic_buf_add(&b, "1");
    for (int i = 0; i < 60; i++)
        aic_buf_add(&b, ") != 2");
    assert_string_equal(result(b.data), "t.yaml:3:302: an integer and a boolean have no order");
    aic_buf_clear(&b);
    for (int i = 0; i < 63; i++)
        aic_buf_add(&b, "(");
    aic_buf_add(&b, "tp");
    for (int i = 0; i < 63; i++)
        aic_buf_add(&b, ")");
    assert_string_equal(result(b.data), "int 8");
    aic_buf_free(&b);
}

static void test_without_arena(void **state) {
    (void)state;
    aic_env none = *env();
    none.arena = NULL;
    aic_value v;
    assert_true(aic_expr_eval(compile("tp in [1, -8, 8] and 'a' in ['a']"), &none, &v, &err));
    assert_true(v.u.b);
    assert_false(aic_expr_eval(compile("tp in [heads]"), &none, &v, &err));
    assert_string_equal(err.text, "t.yaml:3:16: a list with names in it cannot be made here");
    assert_false(aic_expr_eval(compile("model + 'a'"), &none, &v, &err));
    assert_string_equal(err.text, "t.yaml:3:16: text cannot be made here");
    assert_false(aic_expr_eval(compile("str(1)"), &none, &v, &err));
    assert_true(aic_expr_eval(compile("1 + max(1, 2)"), NULL, &v, &err));
    assert_int_equal(v.u.i, 3);
    assert_false(aic_expr_eval(compile("tp"), NULL, &v, &err));
    assert_false(aic_expr_eval(compile("tp + 'a'"), &none, &v, NULL));
    aic_expr *e = aic_expr_compile(arena, "1 // 0", NULL, 0, 0, NULL, &err);
    assert_false(aic_expr_eval(e, NULL, &v, &err));
    assert_string_equal(err.text, "division by zero");
    assert_string_equal(aic_expr_text(e), "1 // 0");
}

static void note_slot(void *ctx, int slot) {
    *(unsigned *)ctx |= 1u << slot;
}

static void test_slots(void **state) {
    (void)state;
    unsigned seen = 0;
    aic_expr_slots(compile("max(tp, [scale]) if none else -x.window"), note_slot, &seen);
    assert_int_equal(seen, 1u << 0 | 1u << 2 | 1u << 3 | 1u << 5);
}

static void test_document_nodes(void **state) {
    (void)state;
    static const char text[] = "a: tp * 2\nb: 7\nc: true\nd:\ne: [1]\nf: 'tp +'\ng: -1.5\nh: +1\n";
    aic_node *n = aic_doc_yaml_text(arena, "g.yaml", text, strlen(text), &err);
    static const expectation cases[] = {{"a", "16"}, {"b", "7"}, {"c", "true"}, {"d", "null"}, {"g", "-1.5"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        aic_expr *e = aic_expr_compile_node(arena, aic_map_get(n, cases[i].text), &scope, &err);
        assert_non_null(e);
        aic_value v;
        assert_true(aic_expr_eval(e, env(), &v, &err));
        double r = v.type == AIC_V_REAL ? v.u.r : v.type == AIC_V_INT ? (double)v.u.i : -1;
        assert_true(v.type == AIC_V_NULL || v.type == AIC_V_BOOL || r == atof(cases[i].result));
    }
    assert_null(aic_expr_compile_node(arena, aic_map_get(n, "e"), &scope, &err));
    assert_string_equal(err.text, "g.yaml:5:4: expected an expression, found a list");
    assert_null(aic_expr_compile_node(arena, aic_map_get(n, "f"), &scope, &err));
    assert_string_equal(err.text, "g.yaml:6:9: expected a value, found the end of the expression");
    assert_null(aic_expr_compile_node(arena, aic_map_get(n, "h"), &scope, &err));
}

static const char *filled(const char *text) {
    aic_template *t = aic_template_compile(arena, text, "t.yaml", 3, 10, &scope, &err);
    const char *out;
    return t && aic_template_eval(t, env(), &out, &err) ? out : err.text;
}

static void test_templates(void **state) {
    (void)state;
    static const expectation cases[] = {
        {"", ""},
        {"qkv_gemm", "qkv_gemm"},
        {"{model}_gemm", "Qwen3_gemm"},
        {"tp{tp}_{scale}_{yes}", "tp8_0.5_true"},
        {"{tp}", "8"},
        {"{model}", "Qwen3"},
        {"{{tp}}", "{tp}"},
        {"a{{{tp}}}b", "a{8}b"},
        {"{'}' + \"{\" + '\\''}x", "}{'x"},
        {"{tp} {1.0} {tp // 3}", "8 1.0 2"},
        {"\xc3\xa9{tp}", "\xc3\xa9"
                         "8"},
        {"a}b", "t.yaml:3:11: \"}\" without \"{\"; write \"}}\" for a literal brace"},
        {"a{tp", "t.yaml:3:11: this \"{\" is never closed; write \"{{\" for a literal brace"},
        {"{'}", "t.yaml:3:10: this \"{\" is never closed; write \"{{\" for a literal brace"},
        {"ab{}", "t.yaml:3:13: expected a value, found the end of the expression"},
        {"ab\n{tpp}", "t.yaml:4:2: unknown name \"tpp\"; did you mean \"tp\"?"},
        {"a{none}", "t.yaml:3:12: this part of the name is null"},
        {"a{list}", "t.yaml:3:12: a list has no text form"},
        {"a{1 // 0}", "t.yaml:3:14: division by zero"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(filled(cases[i].text), cases[i].result);
    aic_buf b = {0};
    aic_buf_printf(&b, "%070000d", 1);
    assert_string_equal(filled(b.data), "t.yaml:3:10: a template of more than 64 KiB");
    aic_buf_clear(&b);
    aic_buf_printf(&b, "{tp}%05000d", 1);
    assert_string_equal(filled(b.data), "t.yaml:3:10: text of more than 4096 bytes");
    aic_buf_free(&b);
    const char *out;
    aic_template *t = aic_template_compile(arena, "plain", NULL, 0, 0, NULL, &err);
    assert_true(aic_template_eval(t, NULL, &out, &err)); /* needs no memory */
    assert_string_equal(out, "plain");
}

static void test_values(void **state) {
    (void)state;
    double r;
    aic_value v = aic_int(3);
    assert_true(aic_as_real(&v, &r) && r == 3.0);
    v = aic_bool(true);
    assert_false(aic_as_real(&v, &r));
    assert_true(aic_truthy(&v));
    v = AIC_NULL_VALUE;
    assert_false(aic_truthy(&v));
    assert_string_equal(aic_vtype_name(AIC_V_STR), "text");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_literals),
        TEST(test_arithmetic),
        TEST(test_arithmetic_errors),
        TEST(test_comparisons),
        TEST(test_logic),
        TEST(test_functions),
        TEST(test_scope_functions_come_first),
        TEST(test_syntax_errors),
        TEST(test_unknown_names),
        TEST(test_hostile_texts),
        TEST(test_without_arena),
        TEST(test_slots),
        TEST(test_document_nodes),
        TEST(test_templates),
        TEST(test_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
