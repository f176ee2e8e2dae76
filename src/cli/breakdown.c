/* --breakdown, --no-breakdown, --precision: what a result holds of the ops of its points. */
#include "cli/cli.h"
#include <string.h>

static bool ops_stored(const cli_args *args, res_writer_options *out, aic_error *err) {
    static const char top[] = "top:";
    const char *text = args->ops_stored ? args->ops_stored : args->no_breakdown ? "none" : "all";
    bool none = strcmp(text, "none") == 0, some = strncmp(text, top, sizeof top - 1) == 0;
    uint32_t n = 0;
    if (some ? !aic_parse_u32(text + sizeof top - 1, &n) || n < 1 || n > RES_TOP_MAX
             : !none && strcmp(text, "all") != 0)
        return aic_fail(err, AIC_BAD_INPUT,
                        "--breakdown: expected all, none or top:N with N from 1 to %d, found \"%.40s\"",
                        RES_TOP_MAX, text);
    if (!none && args->no_breakdown)
        return aic_fail(err, AIC_BAD_INPUT, "--breakdown %s contradicts --no-breakdown", text);
    out->breakdown = !none;
    out->top = n;
    return true;
}

bool cli_breakdown(const cli_args *args, res_writer_options *out, aic_error *err) {
    if (!ops_stored(args, out, err))
        return false;
    if (args->precision && !res_precision_find(args->precision, &out->precision))
        return aic_fail(err, AIC_BAD_INPUT, "--precision: expected f64 or f32, found \"%.40s\"",
                        args->precision);
    return !args->precision || out->breakdown ||
           aic_fail(err, AIC_BAD_INPUT, "--precision is about the ops of points, which are not stored");
}
