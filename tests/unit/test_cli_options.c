/* links: sweep. Parsing of command lines; the parser's source is compiled in, the program's modules being no
 * library. */
#include "cli/options.c"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const cli_option options[] = {
    {"output", 'o', CLI_TEXT, "OUT", AT(output), ""},  {"quiet", 'q', CLI_FLAG, NULL, AT(quiet), ""},
    {"threads", 'j', CLI_COUNT, "N", AT(threads), ""}, {"set", 0, CLI_TEXTS, "P=V", AT(sets), ""},
    {"top", 'n', CLI_TOP, "N", AT(top), ""},
};
static const cli_command command = {.name = "test",
                                    .operands = "SPEC",
                                    .min_operands = 1,
                                    .max_operands = 1,
                                    .options = options,
                                    .n_options = sizeof options / sizeof *options,
                                    .fields = true,
                                    .data = true};

static cli_args args;
static aic_error err;

static bool parse(const char *line) {
    static char words[512];
    static char *argv[32];
    int argc = 0;
    cli_args_free(&args);
    args = (cli_args){0};
    err = (aic_error){0};
    snprintf(words, sizeof words, "%s", line);
    for (char *p = strtok(words, " "); p; p = strtok(NULL, " "))
        argv[argc++] = p;
    return cli_parse(&command, argc, argv, &args, &err);
}

static void test_accepted(void **state) {
    (void)state;
    assert_true(parse("a.yaml -o x.h5 --threads=4 -q --set a=1 --set b=2 --perfdb d1 --perfdb d2"));
    assert_string_equal(args.operands.v[0], "a.yaml");
    assert_string_equal(args.output, "x.h5");
    assert_int_equal(args.threads, 4);
    assert_true(args.quiet);
    assert_int_equal(args.sets.n, 2);
    assert_string_equal(args.sets.v[1], "b=2");
    assert_int_equal(args.perfdb.n, 2);
    assert_false(args.top_given);
    assert_true(parse("-j8 -n 0 --moe-tp 4 --nextn-accepted -1 -- -strange.yaml"));
    assert_int_equal(args.threads, 8);
    assert_true(args.top_given);
    assert_string_equal(args.fields[swp_field_find("moe_tp")], "4");
    assert_string_equal(args.fields[swp_field_find("nextn_accepted")], "-1");
    assert_string_equal(args.operands.v[0], "-strange.yaml");
    assert_true(parse("--help")); /* needs no operands */
    assert_true(args.help);
}

static void refused(const char *line, const char *expected) {
    if (parse(line))
        fail_msg("accepted: %s", line);
    assert_string_equal(err.text, expected);
    assert_int_equal(err.code, AIC_BAD_INPUT);
}

static void test_refused(void **state) {
    (void)state;
    refused("", "test: expected SPEC; see 'aicfg-sweep help test'");
    refused("a b", "test: \"b\" is one argument too many; see 'aicfg-sweep help test'");
    refused("a --thread 4", "test: unknown option \"--thread\"; did you mean \"--threads\"?");
    refused("a --moe_tp 4", "test: unknown option \"--moe_tp\"; did you mean \"--moe-tp\"?");
    refused("a --xyzzy", "test: unknown option \"--xyzzy\"; see 'aicfg-sweep help test'");
    refused("a -z", "test: unknown option \"-z\"; see 'aicfg-sweep help test'");
    refused("a --threads", "--threads: a value is missing");
    refused("a --threads two", "--threads: expected a whole number, found \"two\"");
    refused("a --threads -2", "--threads: expected a whole number, found \"-2\"");
    refused("a --quiet=1", "--quiet=1 takes no value");
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_accepted), cmocka_unit_test(test_refused)};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    cli_args_free(&args);
    return failed;
}
