/* aicfg-sweep support: what its files share. Private to cli. */
#ifndef AICFG_CLI_SUPPORT_H
#define AICFG_CLI_SUPPORT_H

#include "cli/cli.h"

/* ---- support_print.c: tables and records of cells */

void sup_print_model(const mdl_inspection *look, const char *id, FILE *out);
void sup_print_cells(const swp_support *s, FILE *out);
void sup_print_ops(const swp_cell *cell, FILE *out); /* evidence per op */
void sup_print_gaps(const swp_cell *cell, FILE *out);
/* One character per cell: a line per model, a column per version of a backend on a system. */
void sup_print_matrix(const swp_support *s, FILE *out);
void sup_print_counts(const swp_support *s, FILE *out);

extern const char *const sup_evidence[OP_COVERS]; /* names of op_cover */

/* ---- support_export.c: cells as CSV or JSON lines; shapes to measure as CSV or YAML */

void sup_export_csv(const swp_support *s, FILE *out);
void sup_export_jsonl(const swp_support *s, FILE *out);
/* The name's ending decides: .csv, .yaml or .yml. */
bool sup_write_shapes(const swp_support *s, const char *path, aic_error *err);

#endif
