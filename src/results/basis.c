/* report: what the points' figures rest on besides measurements of the version asked for. */
#include "results/internal.h"

enum { N_KINDS = 2 };
static const int kinds[N_KINDS] = {RES_C_tier, RES_C_carried};

static bool has_figures(srv_status s) {
    return s != SRV_ST_missing && s != SRV_ST_invalid;
}

/* Points with figures by value of the columns in `kinds`. */
static bool count(res_file *f, uint64_t counts[N_KINDS][UINT8_MAX + 1], aic_error *err) {
    int columns[N_KINDS + 1] = {RES_C_status};
    res_window *w = res_window_new(f);
    bool ok = true;
    for (int k = 0; k < N_KINDS; k++)
        columns[k + 1] = kinds[k];
    for (uint64_t first = 0, n; ok && first < res_count(f); first += n) {
        n = res_window_points(f, first, res_count(f), false);
        ok = res_window_load(w, first, (size_t)n, columns, N_KINDS + 1, false, err);
        for (size_t i = 0; ok && i < n; i++)
            for (int k = 0; k < N_KINDS && has_figures(res_window_status(w, i)); k++)
                counts[k][(uint8_t)res_window_number(w, i, kinds[k])]++;
    }
    res_window_free(w);
    return ok;
}

bool res_report_basis(res_file *f, aic_buf *out, aic_error *err) {
    uint64_t counts[N_KINDS][UINT8_MAX + 1] = {0};
    if (!count(f, counts, err))
        return false;
    for (int k = 0; k < N_KINDS; k++) {
        const res_column *c = res_column_at((size_t)kinds[k]);
        for (size_t v = 0; v < res_enum_count(res_enum_stored(c->type)); v++)
            if (counts[k][v] > 0)
                aic_buf_printf(out, "%12llu  %s %s\n", (unsigned long long)counts[k][v], c->name,
                               res_enum_text(c->type, v));
    }
    return true;
}
