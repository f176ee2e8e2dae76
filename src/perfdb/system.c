/* Spec sheets: the hardware's figures of one GPU node type (docs/formats/systems.md). */
#include "perfdb/internal.h"
#include <float.h>
#include <stddef.h>
#include <string.h>

typedef enum presence { REQUIRED, OPTIONAL } presence;
typedef enum figure_type { REAL, COUNT, TEXT, UNUSED } figure_type;

/* One figure of the sheet: where it stands, what it may be, where it goes. */
typedef struct figure {
    const char *key;
    figure_type type;
    presence presence;
    double min;
    size_t offset; /* into pdb_system: double, uint32_t or const char * */
} figure;

#define AT(field) offsetof(pdb_system, field)
static const figure gpu[] = {
    {"mem_bw", REAL, REQUIRED, 1, AT(mem_bw)},
    {"mem_bw_empirical_scaling_factor", REAL, OPTIONAL, 0, AT(mem_bw_factor)},
    {"mem_empirical_constant_latency", REAL, OPTIONAL, 0, AT(mem_latency_s)},
    {"mem_capacity", REAL, OPTIONAL, 0, AT(mem_capacity)},
    {"bfloat16_tc_flops", REAL, OPTIONAL, 0, AT(tc_flops[PDB_BFLOAT16])},
    {"int8_tc_flops", REAL, OPTIONAL, 0, AT(tc_flops[PDB_INT8])},
    {"fp8_tc_flops", REAL, OPTIONAL, 0, AT(tc_flops[PDB_FP8])},
    {"fp4_tc_flops", REAL, OPTIONAL, 0, AT(tc_flops[PDB_FP4])},
    {"power", REAL, OPTIONAL, 0, AT(power_w)},
    {"sm_version", COUNT, OPTIONAL, 1, AT(sm_version)},
    {"float32_tc_flops", UNUSED, OPTIONAL, 0, 0},
};
static const figure node[] = {
    {"num_gpus_per_node", COUNT, REQUIRED, 1, AT(gpus_per_node)},
    {"num_gpus_per_rack", COUNT, OPTIONAL, 1, AT(gpus_per_rack)},
    {"intra_node_bw", REAL, REQUIRED, 1, AT(intra_node_bw)},
    {"inter_node_bw", REAL, REQUIRED, 1, AT(inter_node_bw)},
    {"inter_rack_bw", REAL, OPTIONAL, 1, AT(inter_rack_bw)},
    {"p2p_latency", REAL, OPTIONAL, 0, AT(p2p_latency_s)},
    {"inter_rack_latency", UNUSED, OPTIONAL, 0, 0},
    {"pcie_bw", UNUSED, OPTIONAL, 0, 0},
};
static const figure misc[] = {
    {"other_mem", REAL, OPTIONAL, 0, AT(other_mem)},
    {"nccl_version", TEXT, OPTIONAL, 0, AT(nccl_version)},
    {"oneccl_version", TEXT, OPTIONAL, 0, AT(oneccl_version)},
    {"nccl_mem", UNUSED, OPTIONAL, 0, 0}, /* a mapping of its own, read_nccl_mem */
};
#undef AT
#define COUNT_OF(a) (sizeof(a) / sizeof *(a))

static bool read_figure(const figure *f, const aic_node *n, pdb_system *s, aic_error *err) {
    char *to = (char *)s + f->offset;
    uint32_t count;
    double real;
    const char *text;
    switch (f->type) {
    case REAL:
        if (!aic_node_f64(n, f->key, f->min, DBL_MAX, &real, err))
            return false;
        memcpy(to, &real, sizeof real);
        return true;
    case COUNT:
        if (!aic_node_u32(n, f->key, (uint32_t)f->min, INT32_MAX, &count, err))
            return false;
        memcpy(to, &count, sizeof count); /* sm_version is an int of the same size */
        return true;
    case TEXT:
        if (!aic_node_text(n, f->key, &text, err))
            return false;
        memcpy(to, &text, sizeof text);
        return true;
    case UNUSED:
        break;
    }
    return true;
}

/* A key nobody knows may be a misspelt figure: said, and not fatal, since sheets may come from elsewhere. */
static void warn_unknown(const aic_node *map, const char *where, const char *const *known, size_t n) {
    aic_error unknown = {0};
    if (!aic_map_check_keys(map, where, known, n, &unknown))
        aic_warn("%s (ignored)", unknown.text);
}

static bool read_part(const aic_node *root, const char *part, const figure *figures, size_t n, pdb_system *s,
                      aic_error *err) {
    const aic_node *map = aic_map_get(root, part);
    if (map && map->kind != AIC_K_MAP)
        return aic_node_fail(err, map, "expected %s to be a mapping of figures, found %s", part,
                             aic_kind_name(map->kind));
    const char *known[16];
    for (size_t i = 0; i < n; i++) {
        known[i] = figures[i].key;
        const aic_node *value = map ? aic_map_get(map, figures[i].key) : NULL;
        bool absent = !value || value->kind == AIC_K_NULL;
        if (absent && figures[i].presence == REQUIRED)
            return aic_node_fail(err, map ? map : root, "%s lacks '%s'", part, figures[i].key);
        if (!absent && !read_figure(&figures[i], value, s, err))
            return false;
    }
    if (map)
        warn_unknown(map, part, known, n);
    return true;
}

static bool read_nccl_mem(const aic_node *root, pdb_system *s, aic_error *err) {
    static const char *const gpus[] = {"1", "2", "4", "8"};
    const aic_node *map = aic_map_get(aic_map_get(root, "misc"), "nccl_mem");
    if (!map || map->kind == AIC_K_NULL)
        return true;
    if (map->kind != AIC_K_MAP)
        return aic_node_fail(err, map, "expected nccl_mem to map GPUs to bytes, found %s",
                             aic_kind_name(map->kind));
    if (!aic_map_check_keys(map, "nccl_mem", gpus, 4, err))
        return false;
    for (int i = 0; i < 4; i++) {
        const aic_node *n = aic_map_get(map, gpus[i]);
        if (n && !aic_node_f64(n, "nccl_mem", 0, DBL_MAX, &s->nccl_mem[i], err))
            return false;
    }
    return true;
}

/* A system that nobody measured may borrow the tables of one that was; the name becomes part of a path. */
static bool read_measured_as(const aic_node *root, pdb_system *s, aic_error *err) {
    const aic_node *n = aic_map_get(root, "measured_as");
    if (!n || n->kind == AIC_K_NULL)
        return true;
    if (!aic_node_text(n, "measured_as", &s->measured_as, err))
        return false;
    if (!*s->measured_as || strchr(s->measured_as, '/') || strcmp(s->measured_as, s->name) == 0)
        return aic_node_fail(err, n, "expected measured_as to name another system, found '%s'",
                             s->measured_as);
    return true;
}

const pdb_system *pdb_sheet_read(aic_arena *a, const char *name, const char *path, aic_error *err) {
    static const char *const parts[] = {"gpu", "node", "misc", "data_dir", "measured_as"};
    char sha256[65];
    const aic_node *root = aic_doc_yaml_file_digest(a, path, sha256, err);
    if (!root)
        return NULL;
    if (root->kind != AIC_K_MAP) {
        aic_node_fail(err, root, "expected a system's spec sheet, found %s", aic_kind_name(root->kind));
        return NULL;
    }
    pdb_system *s = aic_arena_alloc(a, 1, sizeof *s);
    *s = (pdb_system){.name = name,
                      .file = path,
                      .mem_bw_factor = 1.0,
                      .sm_version = -1,
                      .other_mem = -1,
                      .nccl_mem = {-1, -1, -1, -1}};
    if (!read_part(root, "gpu", gpu, COUNT_OF(gpu), s, err) ||
        !read_part(root, "node", node, COUNT_OF(node), s, err) ||
        !read_part(root, "misc", misc, COUNT_OF(misc), s, err) || !read_nccl_mem(root, s, err) ||
        !read_measured_as(root, s, err))
        return NULL;
    memcpy(s->sha256, sha256, sizeof sha256);
    warn_unknown(root, "a spec sheet", parts, COUNT_OF(parts));
    if (s->inter_rack_bw == 0)
        s->inter_rack_bw = s->inter_node_bw;
    return s;
}

double pdb_p2p_bw(const pdb_system *s, uint32_t gpus) {
    if (gpus <= s->gpus_per_node)
        return s->intra_node_bw;
    if (s->gpus_per_rack == 0 || gpus <= s->gpus_per_rack)
        return s->inter_node_bw;
    return s->inter_rack_bw;
}

double pdb_flops(const pdb_system *s, pdb_quant q) {
    pdb_dtype d = pdb_quant_get(q)->dtype;
    return d == PDB_DTYPE_NONE ? 0 : s->tc_flops[d];
}
