/* Folded tables of many shapes at once: the arrays the factored path gathers from. Private to serving. */
#ifndef AICFG_SERVING_FOLDED_H
#define AICFG_SERVING_FOLDED_H

#include "serving/cargo.h"

/* Why a walk has no answer: the first refusing op of its first refusing step. cls OP_OK = it has one. */
typedef struct srv_gap {
    op_class cls;
    uint32_t step, op;
    const char *text;
} srv_gap;

/* Columns of tables that are mostly all 0. */
enum { SRV_ENERGY = 1, SRV_BASIS = 2, SRV_GAPS = 4, SRV_RARE = SRV_ENERGY | SRV_BASIS | SRV_GAPS };

/* count tables of n_rows rows each, table-major. */
typedef struct srv_folded {
    size_t n_rows;
    unsigned kinds; /* covers, by bit, that may be other than 0; 0: that is not known */
    unsigned blank; /* SRV_RARE columns that are all 0: nobody wrote them, nor is anybody to look at them */
    double *latency, *energy; /* count x n_rows */
    uint8_t *source;          /* op_source */
    srv_basis *basis,
        *any; /* count x n_rows; count: of all rows, mostly 0, and then nothing is to be added */
    double (*cover)[OP_COVERS]; /* count, ms */
    srv_gap *gap;               /* count */
} srv_folded;
static inline bool srv_folded_has(const srv_folded *f, unsigned column) {
    return !(f->blank & column);
}
/* The gap of table t; NULL: it has none. */
static inline const srv_gap *srv_folded_gap(const srv_folded *f, size_t t) {
    return srv_folded_has(f, SRV_GAPS) && f->gap[t].cls != OP_OK ? &f->gap[t] : NULL;
}

/* What an op answers to distinct shapes, repeat included, in columns. */
typedef struct srv_replies {
    bool any_energy, any_basis, any_gap; /* else the column is not to be looked at */
    double *latency, *energy;
    uint8_t *kind;              /* op_cover where that is all of the latency, OP_COVERS: in parts */
    double (*parts)[OP_COVERS]; /* of those */
    uint8_t *source;            /* op_source */
    srv_basis *basis;
    srv_gap *gap;
} srv_replies;

srv_folded srv_folded_take(srv_block *b, size_t count, size_t n_rows);
void srv_folded_clear(srv_folded *f, size_t i);
/* All of them, rare columns blank. */
void srv_folded_clear_all(srv_folded *f, size_t count);
/* Writes zeros to a rare column that is blank. */
void srv_folded_open(srv_folded *f, size_t count, unsigned column);
/* Adds one op's result to row `row` of table i; `opens` marks the row's first op. */
void srv_folded_op(srv_folded *f, size_t i, uint32_t row, bool opens, const op_result *r);
/* Asks an op, number `index` of its phase, and folds what it answers, or leaves a gap. */
void srv_folded_ask(srv_folded *f, size_t i, uint32_t row, const srv_op *o, uint32_t index, op_mode mode,
                    const op_shape *shape, srv_block *b);
/* Folds for all of count tables that have no gap, from reply of[t] each; where that is a gap, the table
 * has it from then on. */
void srv_folded_replies(srv_folded *f, size_t count, const uint32_t *of, uint32_t row, bool opens,
                        const srv_replies *r);
/* Adds table `step` of `from`, times repeats, to table i; `first` marks the first step. */
void srv_folded_step(srv_folded *f, size_t i, const srv_folded *from, size_t step, double repeats,
                     bool first);
/* The same for tables step .. step + n - 1, one after another, none of them the first. */
void srv_folded_steps(srv_folded *f, size_t i, const srv_folded *from, size_t step, size_t n, double repeats);
void srv_folded_copy(srv_folded *to, size_t i, const srv_folded *from, size_t j);

/* Tables i .. i + n - 1. Ops of gaps are written as their places in ops (n_ops ascending indices), so that
 * deployments that number their ops differently understand each other. */
void srv_folded_carry(srv_cargo *to, srv_folded *f, size_t i, size_t n, const uint32_t *ops, size_t n_ops,
                      srv_block *b);

/* Encoder tables of what points `live` (n of them) encode; images_of[k] is the table of point live[k], left
 * alone where it encodes nothing. Returns an empty one when none does. */
srv_folded srv_encoder_tables(const srv_deployment *d, srv_block *b, const uint32_t *live, size_t n,
                              uint32_t *images_of, size_t *count);
/* Context tables of the distinct shapes of the live points, as the layout numbers them. */
srv_folded srv_context_tables(const srv_deployment *d, srv_block *b, const srv_live *l);
/* Sums over decode steps of the moving generation rows; walk_of[k] is the table of live point k. */
srv_folded srv_moving_sums(const srv_deployment *d, srv_block *b, const srv_live *l,
                           const uint32_t **walk_of);

/* Of the still rows, for n walks by (batch << 32, osl), each once, sorted: a table for each. */
srv_folded srv_still_sums(const srv_deployment *d, srv_block *b, const srv_key *keys, size_t n);
/* Of the moving rows in columns. False: some op has no fan, or no measured answer to some step, or there are
 * too many steps; nothing is said then. */
bool srv_fan_sums(const srv_deployment *d, srv_block *b, const srv_live *l, srv_folded *out);

/* ---- the distinct shapes of a block ---- */

/* The distinct shapes of one key class, and which of them each of `count` workloads (or tables) uses. */
typedef struct srv_shapes {
    size_t count;
    op_shape *shapes;
    uint64_t (*fields)[2]; /* per shape: what tells it apart, the fields that ops of the class read */
    uint32_t *of;          /* per workload */
} srv_shapes;
/* loads: workloads as walked. keys has room for count. */
srv_shapes srv_distinct_shapes(const srv_deployment *d, srv_block *b, const srv_key_class *class,
                               const srv_workload *loads, size_t count, srv_key *keys);
srv_replies srv_replies_take(srv_block *b, size_t count);
/* Asks an op, number `index` of its phase, for every shape; r has room for them. */
void srv_ask_shapes(const srv_deployment *d, srv_block *b, const srv_op *o, uint32_t index,
                    const srv_shapes *shapes, srv_replies *r);
/* Numbers the distinct images of those points among `live` that encode: images_of[k] for live[k], firsts[i] a
 * place in live that has images i. Returns their count. */
size_t srv_number_images(const srv_deployment *d, srv_block *b, const uint32_t *live, size_t n,
                         uint32_t *images_of, uint32_t *firsts);

#endif
