/* report: what became of the points. */
#include "results/file.h"
#include <stdlib.h>

static int by_count(const void *a, const void *b) {
    const res_reason *p = a, *q = b;
    if (p->count != q->count)
        return p->count > q->count ? -1 : 1;
    return p->example < q->example ? -1 : p->example > q->example;
}

bool res_report(res_file *f, FILE *out, aic_error *err) {
    typedef unsigned long long ull;
    aic_buf b = {0};
    aic_buf_printf(&b, "%s: %llu points", f->in.path, (ull)f->points);
    if (f->shard > 0)
        aic_buf_printf(&b, ", shard %llu of %llu: points from %llu on, of %llu", (ull)f->shard,
                       (ull)f->shards, (ull)f->first_point, (ull)f->total);
    else if (!f->complete)
        aic_buf_printf(&b, " of %llu", (ull)f->total);
    if (!f->complete)
        aic_buf_add(&b, " (unfinished)");
    aic_buf_printf(&b, ", %zu deployments, %llu breakdown rows\n", f->deployments.rows, (ull)f->rows);
    for (size_t s = 0; s < SRV_STATUS_COUNT; s++) {
        char name[64];
        uint64_t n;
        snprintf(name, sizeof name, "points_%s", srv_status_name((srv_status)s));
        if (!res_in_u64(&f->in, "/", name, &n, err)) {
            aic_buf_free(&b);
            return false;
        }
        if (n > 0)
            aic_buf_printf(&b, "%12llu  %s\n", (ull)n, srv_status_name((srv_status)s));
    }
    res_reason *sorted = aic_calloc(f->n_reasons, sizeof *sorted);
    for (size_t i = 0; i < f->n_reasons; i++)
        sorted[i] = f->reasons[i];
    qsort(sorted, f->n_reasons, sizeof *sorted, by_count);
    for (size_t i = 0; i < f->n_reasons; i++)
        aic_buf_printf(&b, "%12llu  %s: %s (first: point %llu)\n", (ull)sorted[i].count,
                       srv_status_name(sorted[i].status), sorted[i].text, (ull)sorted[i].example);
    free(sorted);
    bool ok = res_report_basis(f, &b, err) && res_flush(&b, true, out, err);
    aic_buf_free(&b);
    return ok;
}
