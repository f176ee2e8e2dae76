/* An open result file, shared by the files that read it. */
#ifndef AICFG_RESULTS_FILE_H
#define AICFG_RESULTS_FILE_H

#include "results/h5.h"

typedef struct res_texts {
    size_t n;
    const char **items;
} res_texts;

struct res_file {
    res_in in;
    aic_arena *arena; /* texts */
    res_codec *codec;
    uint64_t points, rows;
    uint64_t total, shard, shards, first_point; /* shard 0: the whole sweep */
    bool complete;
    res_precision precision; /* of the breakdown */
    unsigned top;            /* ops that it keeps of each point; 0 = all */
    char *spec;
    res_dataset sets[RES_STREAMS][RES_MAX_FIELDS]; /* of /points and /breakdown */
    res_texts axes[RES_AXIS_COUNT];
    res_table deployments, ops; /* checked: indices, enumerations, op runs */
    size_t most_rows;           /* largest op_count */
    size_t n_reasons;
    res_reason *reasons;
    res_texts reason_texts; /* [0] = "" */
    size_t n_attributes;
    struct {
        const char *name, *value;
    } attributes[16]; /* text attributes of the root group */
};

/* Opens the file and reads what the root group says; everything else stays unread. */
res_file *res_open_root(const char *path, aic_error *err);
/* As res_open, of a file that is yet to be sealed. */
res_file *res_open_unsealed(const char *path, aic_error *err);

/* The summary that the run which made the file ended with: all its points are there already. */
bool res_file_summary(const res_file *f, res_summary *out, aic_error *err);

/* Decodes rows first .. first+n-1 of a dataset of /points or /breakdown into out. Safe from several threads,
 * each with a codec of its own. */
bool res_file_rows(const res_file *f, res_codec *codec, res_group_id g, size_t field, uint64_t first,
                   size_t n, void *out, aic_error *err);

#endif
