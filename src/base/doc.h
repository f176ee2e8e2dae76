/* Documents: YAML (libyaml) and JSON (jansson) read into one tree of nodes that know where they stand.
 *
 * A plain YAML scalar is typed by these rules and nothing more: null/~/empty, true/false, decimal integers,
 * decimal reals. What only looks like a number or boolean under other rules is not guessed: 010, 0x1F, 1_000,
 * .inf, True, yes/no/on/off and numbers beyond 64 bits stay text, flagged `lookalike`, and readers that
 * expect a number or boolean refuse them with a hint. Errors with a position: duplicate keys, keys that are
 * lists or mappings, merge keys, tags, anchors with cycles, more than 1000 anchors, aliases that expand
 * beyond AIC_DOC_MAX_NODES, more than one document, NUL bytes, invalid UTF-8, depth above AIC_DOC_MAX_DEPTH.
 * Files are at most 16 MiB. Aliases share nodes: a tree may hold one node twice. JSON nodes have the file
 * name but line 0 (jansson keeps no positions) except in syntax errors; the text of a JSON real is the
 * shortest that reads back to it.
 */
#ifndef AICFG_BASE_DOC_H
#define AICFG_BASE_DOC_H

#include "base/error.h"
#include "base/mem.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AIC_DOC_MAX_NODES 2000000
#define AIC_DOC_MAX_DEPTH 64

typedef enum aic_kind {
    AIC_K_NULL,
    AIC_K_BOOL,
    AIC_K_INT,
    AIC_K_REAL,
    AIC_K_TEXT,
    AIC_K_LIST,
    AIC_K_MAP
} aic_kind;

typedef struct aic_node {
    aic_kind kind;
    const char *file; /* path as given, shared by the whole document */
    int line, column; /* from 1; 0 when unknown (JSON) */
    const char *text; /* scalars: the text as written (also for numbers, so versions like 1.10 stay exact) */
    bool quoted;      /* scalar was quoted in the source, hence text */
    bool lookalike;   /* plain text that other YAML rules would read as a number or boolean */
    bool b;           /* AIC_K_BOOL */
    int64_t i;        /* AIC_K_INT */
    double r;         /* AIC_K_REAL, and AIC_K_INT as a real */
    size_t count;     /* LIST items or MAP entries */
    struct aic_node **items; /* LIST items, MAP values, in file order */
    struct aic_node **keys;  /* MAP keys (scalars), same order */
} aic_node;

/* Node tree lives in the arena. NULL on error. An empty YAML document gives an AIC_K_NULL node. */
aic_node *aic_doc_yaml_file(aic_arena *a, const char *path, aic_error *err);
/* The same, with the SHA-256 of the bytes that were read. */
aic_node *aic_doc_yaml_file_digest(aic_arena *a, const char *path, char sha256[65], aic_error *err);
aic_node *aic_doc_yaml_text(aic_arena *a, const char *name, const char *text, size_t len, aic_error *err);
/* nan_is_null: the bare words NaN, Infinity and -Infinity become null (checkpoints' config.json need it). */
aic_node *aic_doc_json_file(aic_arena *a, const char *path, bool nan_is_null, aic_error *err);
aic_node *aic_doc_json_text(aic_arena *a, const char *name, const char *text, size_t len, aic_error *err);

/* A JSON file of many objects of which few will be wanted: those that stand part_depth (1 or more) brackets
 * deep are left for later as parts, whose text nobody but aic_doc_json_part has looked at. All else is read
 * and checked. A part is a document of its own to every limit. */
aic_node *aic_doc_json_outline(aic_arena *a, const char *path, int part_depth, aic_error *err);
aic_node *aic_doc_json_outline_text(aic_arena *a, const char *name, const char *text, size_t len,
                                    int part_depth, aic_error *err);
bool aic_doc_is_part(const aic_node *n); /* of an outline */
aic_node *aic_doc_json_part(aic_arena *a, const aic_node *part, bool nan_is_null, aic_error *err);

const char *aic_kind_name(aic_kind k);                       /* "a mapping", "an integer", ... */
aic_node *aic_map_get(const aic_node *map, const char *key); /* NULL when absent or map is not a MAP */

/* Fails at n's position (n may be NULL: no position). */
bool aic_node_fail(aic_error *err, const aic_node *n, const char *fmt, ...) AIC_PRINTF(3, 4);

/* Typed readers: false with an error at the node's position ("tp: expected an integer from 1 to 8, found
 * ..."). `what` names the value; n may be NULL ("found nothing"). f64 takes integers and reals; text takes a
 * number's text as written too. */
bool aic_node_u32(const aic_node *n, const char *what, uint32_t min, uint32_t max, uint32_t *out,
                  aic_error *err);
bool aic_node_i64(const aic_node *n, const char *what, int64_t min, int64_t max, int64_t *out,
                  aic_error *err);
bool aic_node_f64(const aic_node *n, const char *what, double min, double max, double *out, aic_error *err);
bool aic_node_bool(const aic_node *n, const char *what, bool *out, aic_error *err);
bool aic_node_text(const aic_node *n, const char *what, const char **out, aic_error *err);

/* Refuses any key of `map` not in `known` (n names) and names the nearest. `where` describes the map. */
bool aic_map_check_keys(const aic_node *map, const char *where, const char *const *known, size_t n,
                        aic_error *err);

#endif
