/* Counts of a comparison: of one unit, and of all of them together. */
#include "results/compare.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static size_t label_count(const cmp_ids *ids, size_t grouping) {
    return aic_intern_count(ids->groupings[grouping].labels) - 1;
}

void cmp_tally_init(cmp_tally *t, const cmp_ids *ids, size_t top) {
    *t = (cmp_tally){.top = top, .move_keys = aic_intern_new(), .turn_keys = aic_intern_new()};
    for (size_t g = 0; g < ids->n_groupings; g++)
        t->groups[g] = AIC_NEW_ARRAY(cmp_group_row, label_count(ids, g));
}

void cmp_tally_free(cmp_tally *t, const cmp_ids *ids) {
    for (size_t g = 0; g < ids->n_groupings; g++)
        free(t->groups[g]);
    aic_intern_free(t->move_keys);
    aic_intern_free(t->turn_keys);
    aic_buf_free(&t->text);
    free(t->moves);
    free(t->turns);
    free(t->drifts);
    free(t->lines);
    *t = (cmp_tally){0};
}

void cmp_tally_clear(cmp_tally *t, const cmp_ids *ids) {
    memset(t->points, 0, sizeof t->points);
    for (size_t g = 0; g < ids->n_groupings; g++)
        memset(t->groups[g], 0, label_count(ids, g) * sizeof *t->groups[g]);
    if (t->n_moves) {
        aic_intern_free(t->move_keys);
        t->move_keys = aic_intern_new();
    }
    if (t->n_turns) {
        aic_intern_free(t->turn_keys);
        t->turn_keys = aic_intern_new();
    }
    t->n_moves = t->n_turns = t->n_drifts = t->n_lines = 0;
    aic_buf_clear(&t->text);
}

/* ---- rows by key ------------------------------------------------------------------------------------- */

size_t cmp_tally_move(cmp_tally *t, uint32_t op, uint32_t site_a, uint32_t site_b) {
    const uint32_t key[] = {op, site_a, site_b};
    size_t at = aic_intern_add(t->move_keys, (const char *)key, sizeof key) - 1;
    if (at == t->n_moves) {
        AIC_GROW(t->moves, t->n_moves, t->cap_moves);
        t->moves[t->n_moves++] = (cmp_move){.op = op, .site = {site_a, site_b}};
    }
    return at;
}

cmp_turn *cmp_tally_turn(cmp_tally *t, const cmp_turn *turn, const cmp_ids *ids) {
    const uint32_t key[] = {turn->difference, turn->status[CMP_A], turn->status[CMP_B],
                            ids->side[CMP_A].cause[turn->reason[CMP_A]],
                            ids->side[CMP_B].cause[turn->reason[CMP_B]]};
    size_t at = aic_intern_add(t->turn_keys, (const char *)key, sizeof key) - 1;
    if (at == t->n_turns) {
        AIC_GROW(t->turns, t->n_turns, t->cap_turns);
        t->turns[t->n_turns] = *turn;
        t->turns[t->n_turns++].points = 0;
    }
    return &t->turns[at];
}

/* Does the point come before the other in the list of the largest? Equal ones keep their order. */
static bool before(const cmp_drift *a, const cmp_drift *b) {
    return a->size > b->size || (a->size == b->size && a->point[CMP_A] < b->point[CMP_A]);
}

void cmp_tally_drift(cmp_tally *t, const cmp_drift *d) {
    if (t->n_drifts == t->top && (t->top == 0 || !before(d, &t->drifts[t->n_drifts - 1])))
        return;
    if (t->n_drifts < t->top) {
        AIC_GROW(t->drifts, t->n_drifts, t->cap_drifts);
        t->n_drifts++;
    }
    size_t at = t->n_drifts - 1;
    for (; at > 0 && before(d, &t->drifts[at - 1]); at--)
        t->drifts[at] = t->drifts[at - 1];
    t->drifts[at] = *d;
}

/* ---- adding units ------------------------------------------------------------------------------------ */

static void merge_groups(cmp_tally *total, const cmp_tally *unit, const cmp_ids *ids) {
    for (size_t g = 0; g < ids->n_groupings; g++)
        for (size_t i = 0; i < label_count(ids, g); i++) {
            cmp_group_row *to = &total->groups[g][i];
            const cmp_group_row *from = &unit->groups[g][i];
            for (int d = 0; d < RES_DIFFERENCE_COUNT; d++)
                to->points[d] += from->points[d];
            to->compared += from->compared;
            to->logs += from->logs;
            to->lowest = fmin(to->lowest, from->lowest);
            to->highest = fmax(to->highest, from->highest);
        }
}

static void merge_move(cmp_tally *total, const cmp_move *from) {
    size_t at = cmp_tally_move(total, from->op, from->site[CMP_A], from->site[CMP_B]);
    cmp_move *to = &total->moves[at];
    to->points += from->points;
    to->sources += from->sources;
    to->effect += from->effect;
    to->moved += from->moved;
    for (int s = 0; s < CMP_SIDES; s++)
        to->ms[s] += from->ms[s];
    if (from->largest > to->largest) {
        to->largest = from->largest;
        memcpy(to->example, from->example, sizeof to->example);
    }
}

void cmp_tally_merge(cmp_tally *total, const cmp_tally *unit, const cmp_ids *ids) {
    for (int d = 0; d < RES_DIFFERENCE_COUNT; d++)
        total->points[d] += unit->points[d];
    merge_groups(total, unit, ids);
    for (size_t i = 0; i < unit->n_moves; i++)
        merge_move(total, &unit->moves[i]);
    for (size_t i = 0; i < unit->n_turns; i++) {
        const cmp_turn *t = &unit->turns[i];
        cmp_tally_turn(total, t, ids)->points += t->points;
    }
    for (size_t i = 0; i < unit->n_drifts; i++)
        cmp_tally_drift(total, &unit->drifts[i]);
}
