/* What the parts of golden_serving*.c share. */
#ifndef AICFG_TESTS_GOLDEN_SERVING_INTERNAL_H
#define AICFG_TESTS_GOLDEN_SERVING_INTERNAL_H

#include "parity/golden_serving.h"
#include "serving/internal.h"

typedef struct golden_spec {
    const char *cfg;
    const aic_node *node;
} golden_spec;

typedef struct golden_context {
    const srv_env *env;
    golden_serving_report *report;
    aic_arena *kept; /* configurations */
    golden_spec *specs;
    size_t n_specs, cap_specs;
    srv_block fast, plain;
    srv_point point; /* of the last evaluation */
} golden_context;

/* One record under one check. */
typedef struct golden_record {
    golden_context *c;
    const aic_node *node;
    size_t line;
    aic_arena *arena;
    golden_serving_row *row;
    bool failed;
} golden_record;

/* ---- golden_serving.c: the report ---------------------------------------------------------------------- */

golden_serving_row *golden_row_of(golden_serving_report *report, const char *check, const char *family);
void golden_differ(golden_record *r, const char *fmt, ...) AIC_PRINTF(2, 3);
void golden_skip(golden_record *r, const char *why);
void golden_finish(golden_record *r, bool refused);
void golden_expect_number(golden_record *r, const char *what, double got,
                          const aic_node *want); /* null stands for NaN */
void golden_expect_text(golden_record *r, const char *what, const char *got, const aic_node *want);

/* ---- golden_serving_points.c: a point against a record ------------------------------------------------- */

/* Evaluates by both paths; what differs between them is a difference. */
const srv_point *golden_evaluate(golden_record *r, const srv_deployment *d, const srv_workload *w);
/* A block around the point: shapes shared in every way a grid can share them. */
void golden_check_grid(golden_record *r, const srv_deployment *d, const srv_workload *w);
void golden_expect_refusal(golden_record *r, srv_status got, const char *text, const char *error);
/* [[name, latency, energy, source], ...] against n rows of the point just evaluated. */
void golden_expect_rows(golden_record *r, const srv_deployment *d, const aic_node *list, size_t first,
                        size_t n);
void golden_expect_figures(golden_record *r, const srv_deployment *d, const srv_point *p,
                           const aic_node *row);
void golden_expect_modes(golden_record *r, const srv_deployment *d, const aic_node *row);
/* Every value of a static record. modes, memory: whether these can be compared. */
void golden_compare_static(golden_record *r, const srv_deployment *d, bool modes, bool memory);

uint32_t golden_size(const aic_node *map, const char *key, uint32_t otherwise);
double golden_real(const aic_node *map, const char *key, double otherwise);
srv_workload golden_load(const aic_node *map, srv_workload otherwise);

/* ---- golden_serving_checks.c: one record under one check ----------------------------------------------- */

void golden_check_lists(golden_record *r, const golden_spec *s); /* op lists as built */
void golden_check_static_lists(golden_record *r,
                               const golden_spec *s); /* a static point through recorded op lists */
void golden_check_static_model(golden_record *r, const golden_spec *s); /* and through the model builder */
void golden_check_estimate(golden_record *r, const golden_spec *none);
void golden_check_build_error(golden_record *r, const golden_spec *none);
void golden_check_encoder(golden_record *r, const golden_spec *none); /* workers that only encode */
void golden_check_phase(golden_record *r, const golden_spec *none);   /* phase drivers over ad-hoc lists */

#endif
