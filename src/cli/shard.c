/* --shard: which shards of a sweep this process runs, from the option's text or from the variables of a Slurm
 * array.
 */
#include "cli/cli.h"
#include <stdlib.h>
#include <string.h>

/* "N": decimal digits up to end, from 1 to SWP_MAX_SHARDS. */
static bool parse_number(const char *text, size_t len, uint64_t *out) {
    char digits[16];
    int64_t v;
    if (len == 0 || len >= sizeof digits)
        return false;
    memcpy(digits, text, len);
    digits[len] = '\0';
    if (!aic_parse_i64(digits, &v) || v < 1 || v > SWP_MAX_SHARDS)
        return false;
    *out = (uint64_t)v;
    return true;
}

static bool bad_text(const char *text, aic_error *err) {
    return aic_fail(err, AIC_BAD_INPUT,
                    "--shard: expected I/N with 1 <= I <= N <= %d, slurm or slurm/N, found \"%.60s\"",
                    SWP_MAX_SHARDS, text);
}

/* ---- Slurm ------------------------------------------------------------------------------------------- */

/* A number of the array: our variable where it is set, else Slurm's. */
static bool array_number(const char *what, int64_t *out, bool *own, aic_error *err) {
    char name[64];
    snprintf(name, sizeof name, "AICFG_ARRAY_%s", what);
    const char *text = getenv(name);
    *own = text && *text;
    if (!*own) {
        snprintf(name, sizeof name, "SLURM_ARRAY_TASK_%s", what);
        text = getenv(name);
    }
    if (!text || !*text)
        return aic_fail(err, AIC_BAD_INPUT, "--shard slurm: %s is not set: not a task of an array", name);
    return (aic_parse_i64(text, out) && *out >= 0 && *out < INT32_MAX) ||
           aic_fail(err, AIC_BAD_INPUT, "--shard slurm: %s is \"%.60s\", not a whole number", name, text);
}

typedef struct task {
    uint64_t rank, count; /* place of this task in the array, from 0; tasks of the array */
} task;

/* An array whose numbers have gaps (some tasks of a larger one, submitted again) does not say which place a
 * task has: our variables tell of the array it was. */
static bool read_task(task *out, aic_error *err) {
    int64_t id, min, count, max;
    bool own_id, own_min, own_count, own_max;
    if (!array_number("ID", &id, &own_id, err) || !array_number("MIN", &min, &own_min, err) ||
        !array_number("COUNT", &count, &own_count, err))
        return false;
    bool planned = own_min && own_count;
    if (!planned && (!array_number("MAX", &max, &own_max, err)))
        return false;
    if (!planned && max - min + 1 != count)
        return aic_fail(
            err, AIC_BAD_INPUT,
            "--shard slurm: this array has %lld tasks numbered from %lld to %lld; set "
            "AICFG_ARRAY_MIN and AICFG_ARRAY_COUNT to the first number and the size of the whole array",
            (long long)count, (long long)min, (long long)max);
    if (count < 1 || id < min || id - min >= count)
        return aic_fail(err, AIC_BAD_INPUT, "--shard slurm: task %lld is not one of %lld tasks from %lld on",
                        (long long)id, (long long)count, (long long)min);
    *out = (task){(uint64_t)(id - min), (uint64_t)count};
    return true;
}

/* Each task runs a range of shards: as even as whole numbers allow, none when there are more tasks than
 * shards. */
static bool parse_slurm(const char *text, cli_shards *out, aic_error *err) {
    task t = {0, 1};
    const char *count = text + strlen("slurm");
    if (*count && (*count != '/' || !parse_number(count + 1, strlen(count + 1), &out->count)))
        return bad_text(text, err);
    if (!read_task(&t, err))
        return false;
    if (!*count)
        out->count = t.count;
    if (out->count > SWP_MAX_SHARDS)
        return aic_fail(err, AIC_BAD_INPUT, "--shard slurm: more than %d shards", SWP_MAX_SHARDS);
    out->from = out->count * t.rank / t.count + 1;
    out->to = out->count * (t.rank + 1) / t.count;
    return true;
}

/* ---- the option -------------------------------------------------------------------------------------- */

bool cli_shards_parse(const char *text, cli_shards *out, aic_error *err) {
    *out = (cli_shards){0};
    if (!text)
        return true;
    if (strncmp(text, "slurm", 5) == 0)
        return parse_slurm(text, out, err);
    size_t len = strcspn(text, "/");
    if (text[len] != '/' || !parse_number(text, len, &out->from) ||
        !parse_number(text + len + 1, strlen(text + len + 1), &out->count) || out->from > out->count)
        return bad_text(text, err);
    out->to = out->from;
    return true;
}
