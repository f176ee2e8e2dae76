/* The few nearest leaves of a nested tree, exactly as a scan over all leaves would find them.
 *
 * Distances add up axis by axis, and a partial sum never exceeds the whole, so a branch whose partial sum is
 * already beyond the worst leaf kept is skipped; nodes are visited from the target outwards, so the bound
 * tightens early. Leaves are ordered by the rounded root of the sum, and two different sums may round to one
 * root: the bound is taken a few ulps above the square of the worst distance, and ties are decided by rank.
 */
#include "perfdb/internal.h"
#include <float.h>

/* The nearest leaves so far, nearest first. */
typedef struct best {
    int want, have;
    pdb_near_hit *hit;
    const uint32_t *rank; /* NULL: leaf order */
    double bound;         /* a sum above it cannot be among the nearest */
} best;

typedef struct search {
    const pdb_near_tree *tree;
    const double *target;
    pdb_near_accept accept;
    const void *ctx;
    best best;
    uint32_t path[PDB_MAX_AXES];
} search;

static bool closer(const best *b, double distance, uint32_t leaf, const pdb_near_hit *than) {
    if (distance != than->distance)
        return distance < than->distance;
    return b->rank ? b->rank[leaf] < b->rank[than->leaf] : leaf < than->leaf;
}

static double bound_of(double distance) {
    return distance * distance * (1 + 8 * DBL_EPSILON) + DBL_MIN;
}

static bool wanted(const best *b, double distance, uint32_t leaf) {
    return b->have < b->want || closer(b, distance, leaf, &b->hit[b->want - 1]);
}

static void keep(best *b, double distance, uint32_t leaf, double value) {
    int at = b->have == b->want ? b->want - 1 : b->have++;
    for (; at > 0 && closer(b, distance, leaf, &b->hit[at - 1]); at--)
        b->hit[at] = b->hit[at - 1];
    b->hit[at] = (pdb_near_hit){distance, leaf, value};
    if (b->have == b->want)
        b->bound = bound_of(b->hit[b->want - 1].distance);
}

static void offer(search *s, uint32_t leaf, double sum) {
    double distance = sqrt(sum), value = 0;
    if (wanted(&s->best, distance, leaf) && (!s->accept || s->accept(s->ctx, s->path, &value)))
        keep(&s->best, distance, leaf, value);
}

/* First node of lo..hi at or after the target. */
static uint32_t split_at(const double *pos, uint32_t lo, uint32_t hi, double target) {
    while (lo < hi) {
        uint32_t mid = lo + (hi - lo) / 2;
        if (pos[mid] < target)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static void visit(search *s, int level, uint32_t lo, uint32_t hi, double partial) {
    const double *pos = s->tree->pos[level];
    double target = s->target[level];
    uint32_t left = split_at(pos, lo, hi, target), right = left;
    while (left > lo || right < hi) {
        bool go_left = right == hi || (left > lo && target - pos[left - 1] < pos[right] - target);
        uint32_t node = go_left ? --left : right++;
        double d = pos[node] - target, sum = partial + d * d;
        if (sum > s->best.bound)
            return; /* the other side's next node is no nearer than this one */
        s->path[level] = node;
        if (level == s->tree->axes - 1)
            offer(s, node, sum);
        else
            visit(s, level + 1, s->tree->first[level][node], s->tree->first[level][node + 1], sum);
    }
}

int pdb_near(const pdb_near_tree *t, const double *target, int want, pdb_near_accept accept, const void *ctx,
             pdb_near_hit *hit) {
    search s = {.tree = t,
                .target = target,
                .accept = accept,
                .ctx = ctx,
                .best = {.want = want, .hit = hit, .rank = t->rank, .bound = INFINITY}};
    visit(&s, 0, 0, t->roots, 0.0);
    return s.best.have;
}

/* ---- lists -------------------------------------------------------------------------------------- */

typedef struct gatherer {
    const pdb_near_tree *tree;
    const double *target;
    double low, high; /* of the last coordinate */
    pdb_near_accept accept;
    const void *ctx;
    double bound;
    uint32_t path[PDB_MAX_AXES];
    pdb_near_list *list;
} gatherer;

/* False: the list is full. */
static bool list_leaf(gatherer *g, uint32_t leaf, double partial) {
    pdb_near_list *l = g->list;
    double value = 0;
    g->path[g->tree->axes - 1] = leaf;
    if (g->accept && !g->accept(g->ctx, g->path, &value))
        return true;
    if (l->n == PDB_NEAR_LIST)
        return false;
    l->partial[l->n] = partial;
    l->pos[l->n] = g->tree->pos[g->tree->axes - 1][leaf];
    l->value[l->n] = value;
    l->leaf[l->n++] = leaf;
    return true;
}

static bool gather(gatherer *g, int level, uint32_t lo, uint32_t hi, double partial) {
    const bool last = level == g->tree->axes - 1;
    const double *pos = g->tree->pos[level];
    double low = last ? g->low : g->target[level], high = last ? g->high : low;
    uint32_t left = split_at(pos, lo, hi, low), right = left;
    for (bool more = true; more;) {
        bool go_left = left > lo && (right == hi || low - pos[left - 1] < pos[right] - high);
        more = go_left || right < hi;
        if (!more)
            break;
        uint32_t node = go_left ? --left : right++;
        double d = pos[node] < low ? low - pos[node] : pos[node] > high ? pos[node] - high : 0.0;
        double sum = partial + d * d;
        if (sum > g->bound)
            return true; /* the other side's next node is no nearer */
        g->path[level] = node;
        bool fits =
            last ? list_leaf(g, node, partial)
                 : gather(g, level + 1, g->tree->first[level][node], g->tree->first[level][node + 1], sum);
        if (!fits)
            return false;
    }
    return true;
}

static void swap_real(double *v, int i, int j) {
    const double x = v[i];
    v[i] = v[j];
    v[j] = x;
}

/* By the distance from the middle of the interval: what is near comes first, and the rest is seen to be
 * farther at a glance. */
static void sort_list(pdb_near_list *l, double middle) {
    double sum[PDB_NEAR_LIST];
    for (int i = 0; i < l->n; i++)
        sum[i] = l->partial[i] + (l->pos[i] - middle) * (l->pos[i] - middle);
    for (int i = 1; i < l->n; i++)
        for (int j = i; j > 0 && sum[j] < sum[j - 1]; j--) {
            const uint32_t leaf = l->leaf[j];
            l->leaf[j] = l->leaf[j - 1];
            l->leaf[j - 1] = leaf;
            swap_real(sum, j, j - 1);
            swap_real(l->partial, j, j - 1);
            swap_real(l->pos, j, j - 1);
            swap_real(l->value, j, j - 1);
        }
}

/* What is nearest to one target is, by the triangle inequality, at most the width of the interval further
 * from any other: that bounds the distance of all that can be among the nearest there. */
bool pdb_near_gather(const pdb_near_tree *t, const double *target, double low, double high, int want,
                     pdb_near_accept accept, const void *ctx, pdb_near_list *list) {
    double ends[PDB_MAX_AXES];
    pdb_near_hit hit[PDB_NEAR_MAX];
    for (int i = 0; i < t->axes; i++)
        ends[i] = i < t->axes - 1 ? target[i] : high;
    gatherer g = {.tree = t, .target = target, .low = low, .high = high, .accept = accept, .ctx = ctx};
    g.list = list;
    list->n = 0;
    g.bound = INFINITY;
    if (pdb_near(t, ends, want, accept, ctx, hit) == want) {
        double reach = (hit[want - 1].distance + (high - low)) * (1 + 16 * DBL_EPSILON);
        g.bound = bound_of(reach);
    }
    if (!gather(&g, 0, 0, t->roots, 0.0))
        return false;
    sort_list(list, low + (high - low) / 2);
    return true;
}

int pdb_near_pick(const pdb_near_list *list, double last, int want, pdb_near_hit *hit) {
    best b = {.want = want, .hit = hit, .bound = INFINITY};
    for (int i = 0; i < list->n; i++) {
        double d = list->pos[i] - last, sum = list->partial[i] + d * d;
        if (sum > b.bound)
            continue;
        double distance = sqrt(sum);
        if (wanted(&b, distance, list->leaf[i]))
            keep(&b, distance, list->leaf[i], list->value[i]);
    }
    return b.have;
}
