/* Tables that ops merge from several files, for comparing with the reference (perfdb_cases.h). */
#ifndef AICFG_TESTS_MERGED_CASES_H
#define AICFG_TESTS_MERGED_CASES_H

#include "ops/large_ep_internal.h"
#include "perfdb_cases.h"

static const merged op_tables[] = {
    {"_moe_a2a_data", {&a2a_schema}},
    {"_moe_ep_data", {&expert_schema}},
    {"_dsv4_megamoe_module_data", {&megamoe_schema}},
};

static const pdb_table *load_op_table(const pdb_view *view, const pdb_schema *schema, const char **why) {
    return schema == &a2a_schema      ? a2a_table(view, why)
           : schema == &expert_schema ? expert_table(view, why)
                                      : megamoe_table(view, why);
}

#endif
