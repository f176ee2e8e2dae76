/* Merging shards: what its steps share (docs/formats/results.md). */
#ifndef AICFG_RESULTS_MERGE_H
#define AICFG_RESULTS_MERGE_H

#include "results/file.h"
#include "results/writer.h"

/* ---- which points a file holds (shards.c) ------------------------------------------------------------ */

typedef struct res_shard_file {
    const char *path;
    uint64_t shard, shards, first, points; /* shard `shard` of `shards`: points first .. first+points-1 */
    uint64_t rows;                         /* of /breakdown */
    char content[65];                      /* its content_sha256 */
} res_shard_file;

/* Reads the root groups and proves that the files are complete shards of one sweep: equal in every text of
 * theirs but the content digest. list: n; paths are borrowed. */
bool res_shards_read(const char *const *paths, size_t n, res_shard_file *list, uint64_t *total,
                     aic_error *err);
/* Proves that they hold every point of 0 .. total-1 once; sorts them by first point. The message of a failure
 * names what is missing and what is there twice. With allow_duplicates a range that several files hold with
 * equal contents is taken once: *n shrinks. Shards without points may be missing or doubled. */
bool res_shards_partition(res_shard_file *list, size_t *n, uint64_t total, bool allow_duplicates,
                          aic_error *err);

/* ---- one file's tables joined to those of the files before it (union.c) ------------------------------- */

/* How values of a shard change in the whole. */
typedef struct res_joined {
    size_t n_deployments, n_reasons;
    uint32_t *deployment; /* row of /deployments by row in the shard */
    uint32_t *reason;     /* 1 + row of /reasons by the same in the shard, n_reasons values; [0] = 0 */
} res_joined;
/* Files in point order. The tables grow as if the points of all of them had been written to one file. */
bool res_join(res_file *f, res_deployments *deployments, res_reason_list *reasons, res_joined *out,
              aic_error *err);
void res_joined_free(res_joined *j);

/* ---- points in the whole (shift.c) --------------------------------------------------------------------- */

/* Rows of /points or /breakdown of a shard, decoded a piece at a time and changed to what they are in the
 * whole. */
typedef struct res_shift res_shift;
/* first_row: rows of /breakdown before the shard's; codecs: n_codecs, one per thread; all borrowed. */
res_shift *res_shift_new(res_file *f, res_group_id g, const res_joined *j, uint64_t first_row,
                         res_codec **codecs, unsigned n_codecs);
void res_shift_free(res_shift *s);
/* Makes row `row` available: *at is its index in the piece, *n how many rows from it on are there. */
bool res_shift_at(res_shift *s, uint64_t row, size_t *at, size_t *n, aic_error *err);
const uint8_t *res_shift_field(const res_shift *s, size_t field); /* of the piece */
/* Does merging change values of a field? The others can be mapped as they are. */
bool res_shift_changes(res_group_id g, size_t field);

/* ---- a view (view.c) ----------------------------------------------------------------------------------- */

bool res_view_write(const res_merge_options *opt, const res_shard_file *list, size_t n, res_summary *out,
                    aic_error *err);

#endif
