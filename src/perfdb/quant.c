/* The table of quantisation modes and its readers (docs/model/quantisation.md). */
#include "perfdb/quant.h"
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static const pdb_quant_info quants[PDB_QUANT_COUNT] = {[PDB_Q_UNSET] = {"unset", 0.0, 0, PDB_DTYPE_NONE, 0},
#define PDB_QUANT_ROW(name, bytes, compute, dtype, kinds)                                                    \
    [PDB_Q_##name] = {#name, bytes, compute, dtype, kinds},
                                                       PDB_QUANTS(PDB_QUANT_ROW)
#undef PDB_QUANT_ROW
};

/* Names of the kinds, by bit number. */
enum { KINDS = 5 };
static const char *const kind_names[KINDS] = {"GEMM", "MoE", "FMHA", "KV-cache", "communication"};

static int kind_bit(unsigned kind) {
    for (int bit = 0; bit < KINDS; bit++)
        if (kind & (1u << bit))
            return bit;
    return -1;
}

const pdb_quant_info *pdb_quant_get(pdb_quant q) {
    return &quants[q];
}

pdb_quant pdb_quant_parse(const char *name, unsigned kind) {
    for (int q = PDB_Q_UNSET + 1; q < PDB_QUANT_COUNT; q++)
        if ((quants[q].kinds & kind) && strcmp(quants[q].name, name) == 0)
            return (pdb_quant)q;
    return PDB_Q_UNSET;
}

const char *pdb_quant_kind_name(unsigned kind) {
    int bit = kind_bit(kind);
    return bit < 0 ? "unknown" : kind_names[bit];
}

static char name_lists[KINDS][512]; /* filled once; the longest list needs half of it */
static pthread_once_t name_lists_made = PTHREAD_ONCE_INIT;

static void make_name_lists(void) {
    for (int bit = 0; bit < KINDS; bit++) {
        size_t used = 0;
        for (int q = PDB_Q_UNSET + 1; q < PDB_QUANT_COUNT; q++) {
            size_t room = sizeof name_lists[bit] - used, len = strlen(quants[q].name);
            if (!(quants[q].kinds & (1u << bit)) || len + 3 > room)
                continue;
            used += (size_t)snprintf(name_lists[bit] + used, room, "%s%s", used ? ", " : "", quants[q].name);
        }
    }
}

const char *pdb_quant_names(unsigned kind) {
    int bit = kind_bit(kind);
    pthread_once(&name_lists_made, make_name_lists);
    return bit < 0 ? "" : name_lists[bit];
}

const char *pdb_dtype_key(pdb_dtype d) {
    static const char *const keys[] = {
        [PDB_BFLOAT16] = "bfloat16_tc_flops", [PDB_INT8] = "int8_tc_flops", [PDB_FP8] = "fp8_tc_flops",
        [PDB_FP4] = "fp4_tc_flops",           [PDB_DTYPE_NONE] = "none",
    };
    return keys[d];
}
