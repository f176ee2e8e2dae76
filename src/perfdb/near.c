/* The few nearest leaves of a nested tree, exactly as a scan over all leaves would find them.
 *
 * Distances add up axis by axis, and a partial sum never exceeds the whole, so a branch whose partial sum is
 * already beyond the worst leaf kept is skipped; nodes are visited from the target outwards, so the bound
 * tightens early. Leaves are ordered by the rounded root of the sum, and two different sums may round to one
 * root: the bound is taken a few ulps above the square of the worst distance, and ties are decided by rank.
 */
#include "perfdb/internal.h"
#include <float.h>

typedef struct search {
    const pdb_near_tree *tree;
    const double *target;
    int want, have;
    pdb_near_accept accept;
    const void *ctx;
    pdb_near_hit *hit;
    double bound; /* a sum above it cannot be among the nearest */
    uint32_t path[PDB_MAX_AXES];
} search;

static uint32_t rank_of(const search *s, uint32_t leaf) {
    return s->tree->rank ? s->tree->rank[leaf] : leaf;
}

static bool closer(const search *s, double distance, uint32_t leaf, const pdb_near_hit *than) {
    return distance < than->distance ||
           (distance == than->distance && rank_of(s, leaf) < rank_of(s, than->leaf));
}

static void offer(search *s, uint32_t leaf, double sum) {
    double distance = sqrt(sum), value = 0;
    bool full = s->have == s->want;
    if (full && !closer(s, distance, leaf, &s->hit[s->want - 1]))
        return;
    if (s->accept && !s->accept(s->ctx, s->path, &value))
        return;
    int at = full ? s->want - 1 : s->have++;
    for (; at > 0 && closer(s, distance, leaf, &s->hit[at - 1]); at--)
        s->hit[at] = s->hit[at - 1];
    s->hit[at] = (pdb_near_hit){distance, leaf, value};
    if (s->have == s->want) {
        double worst = s->hit[s->want - 1].distance;
        s->bound = worst * worst * (1 + 8 * DBL_EPSILON) + DBL_MIN;
    }
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
        if (sum > s->bound)
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
                .want = want,
                .accept = accept,
                .ctx = ctx,
                .hit = hit,
                .bound = INFINITY};
    visit(&s, 0, 0, t->roots, 0.0);
    return s.have;
}
