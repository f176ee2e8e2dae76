/* Decode walks of a block. Rows that do not read the KV position have one step for each batch
 * (factored_still.c), the others one for each position: columns of them where their ops have fans
 * (factored_fan.c), else one walk for each (batch, isl), here. Output lengths on the same walk take snapshots
 * of one running sum, and steps are shared between walks that meet at a (batch, position). */
#include "serving/answers.h"
#include "serving/layout.h"
#include <string.h>

/* Folded steps seen so far, one slot per hash of the position: a lost slot is only asked again. Bounds the
 * memory of a block whatever its lengths; strides of one residue never collide within the number of slots. */
enum { MAX_SLOTS = 1 << 16, SPARE = 4 };

typedef struct steps {
    size_t mask;
    uint64_t *keys; /* batch << 32 | position; 0 = empty */
    srv_folded tables;
} steps;

typedef struct walker {
    const srv_deployment *d;
    srv_block *b;
    const srv_part *part;
    uint32_t last; /* position that no step of the walk at hand goes beyond */
    steps store;
    srv_folded sum;   /* one table: the running sum of full strides */
    srv_folded walks; /* the snapshots */
    size_t n_walks;
    uint32_t *lengths; /* batch, isl and the output lengths of the walk at hand */
} walker;

static size_t slot_of(const steps *s, uint32_t stride, uint32_t position) {
    return (position / stride + (size_t)(position % stride) * 40503u) & s->mask;
}

/* Steps that are asked for together, op by op. */
enum { AHEAD = 64 };
typedef struct asked {
    size_t n;
    uint32_t position[AHEAD];
    size_t slot[AHEAD];
} asked;

/* Folds one op's answers into the steps that have none missing so far. */
static void ask_op(walker *w, uint32_t batch, size_t index, const asked *a) {
    const srv_plan *plan = srv_plan_of(w->d);
    const uint32_t op = w->part->ops[index];
    srv_folded *t = &w->store.tables;
    for (size_t i = 0; i < a->n; i++) {
        const op_shape shape = srv_decode_shape(w->d, batch, a->position[i]);
        if (t->gap[a->slot[i]].cls == OP_OK)
            srv_folded_ask(t, a->slot[i], w->part->slots[index], &plan->generation.ops[op], op, plan->mode,
                           &shape, w->b);
    }
}

static uint64_t step_key(uint32_t batch, uint32_t position) {
    return (uint64_t)batch << 32 | position;
}

/* Asks for the step at a position and, as far as they are not known, for those that the walk comes to next.
 */
static void ask_steps(walker *w, uint32_t batch, uint32_t position) {
    uint32_t stride = w->d->tuning.stride;
    asked a = {0};
    for (uint64_t at = position; at <= w->last && a.n < AHEAD; at += stride) {
        size_t slot = slot_of(&w->store, stride, (uint32_t)at);
        if (w->store.keys[slot] == step_key(batch, (uint32_t)at))
            continue;
        w->store.keys[slot] = step_key(batch, (uint32_t)at);
        srv_folded_clear(&w->store.tables, slot);
        a.slot[a.n] = slot;
        a.position[a.n++] = (uint32_t)at;
    }
    for (size_t i = 0; i < w->part->n_ops; i++)
        ask_op(w, batch, i, &a);
}

/* The slot that holds the folded step of a batch at a position. */
static size_t step_at(walker *w, uint32_t batch, uint32_t position) {
    size_t slot = slot_of(&w->store, w->d->tuning.stride, position);
    if (w->store.keys[slot] != step_key(batch, position))
        ask_steps(w, batch, position);
    return slot;
}

/* Adds the step after `done` decoded tokens to table i, or leaves a gap there. */
static void add_step(walker *w, srv_folded *to, size_t i, srv_key group, uint32_t done, uint32_t repeats) {
    size_t slot = step_at(w, (uint32_t)(group.hi >> 32), (uint32_t)group.hi + done + 1);
    if (w->store.tables.gap[slot].cls == OP_OK) {
        srv_folded_step(to, i, &w->store.tables, slot, (double)repeats, done == 0);
    } else {
        to->gap[i] = w->store.tables.gap[slot];
        to->gap[i].step = done;
    }
}

/* How many full strides from slot on, up to `most` and no further than the slots go, are known to have
 * answers. */
static size_t known_steps(const walker *w, size_t slot, uint32_t batch, uint32_t position, size_t most) {
    const steps *s = &w->store;
    size_t n = 0, room = s->mask + 1 - slot;
    most = most < room ? most : room;
    uint64_t key = step_key(batch, position);
    while (n < most && s->keys[slot + n] == key && s->tables.gap[slot + n].cls == OP_OK) {
        n++;
        key += w->d->tuning.stride;
    }
    return n;
}

/* Adds the next full strides of the walk to the running sum: at least one, at most `most` of them. Returns
 * how many. */
static uint32_t add_strides(walker *w, srv_key group, uint32_t done, uint32_t most) {
    uint32_t stride = w->d->tuning.stride, batch = (uint32_t)(group.hi >> 32);
    uint32_t position = (uint32_t)group.hi + done + 1;
    if (done > 0) {
        size_t slot = step_at(w, batch, position), n = known_steps(w, slot, batch, position, most);
        if (n > 0) {
            srv_folded_steps(&w->sum, 0, &w->store.tables, slot, n, (double)stride);
            return (uint32_t)n;
        }
    }
    add_step(w, &w->sum, 0, group, done, stride);
    return 1;
}

/* One walk: keys[from..to) share batch and isl and ascend in osl. */
static void walk(walker *w, const srv_key *keys, size_t from, size_t to, uint32_t *walk_of) {
    uint32_t stride = w->d->tuning.stride, done = 0;
    srv_folded_clear(&w->sum, 0);
    uint64_t longest = keys[to - 1].lo;
    w->last = (uint32_t)(keys[from].hi + (longest > 1 ? longest - 1 : 0));
    for (size_t i = from; i < to;) {
        uint64_t osl = keys[i].lo;
        uint32_t upper = osl > 1 ? (uint32_t)osl - 1 : 0;
        while (w->sum.gap[0].cls == OP_OK && upper - done >= stride)
            done += stride * add_strides(w, keys[from], done, (upper - done) / stride);
        size_t id = w->n_walks++;
        srv_folded_copy(&w->walks, id, &w->sum, 0);
        if (w->sum.gap[0].cls == OP_OK && upper > done)
            add_step(w, &w->walks, id, keys[from], done, upper - done);
        for (; i < to && keys[i].lo == osl; i++)
            walk_of[keys[i].item] = (uint32_t)id;
    }
}

/* ---- walks that another deployment took ---------------------------------------------------------- */

/* Walks of fewer steps are as fast taken as found. */
enum { MIN_STEPS = 3 };

static srv_question question_of(walker *w, const srv_key *keys, size_t from, size_t to) {
    size_t n = 2;
    w->lengths[0] = (uint32_t)(keys[from].hi >> 32);
    w->lengths[1] = (uint32_t)keys[from].hi;
    for (size_t i = from; i < to; i++)
        if (i == from || keys[i].lo != keys[i - 1].lo)
            w->lengths[n++] = (uint32_t)keys[i].lo;
    uint32_t stride = w->d->tuning.stride, longest = w->lengths[n - 1];
    uint32_t steps = longest > 1 ? (longest - 2) / stride + 1 : 0;
    return (srv_question){.who = w->part->who,
                          .bytes = w->lengths,
                          .len = n * sizeof *w->lengths,
                          .queries = steps * (uint32_t)w->part->n_ops};
}

static void number_walks(const walker *w, const srv_key *keys, size_t from, size_t to, uint32_t *walk_of) {
    size_t id = w->n_walks;
    for (size_t i = from; i < to; i++) {
        id += i > from && keys[i].lo != keys[i - 1].lo;
        walk_of[keys[i].item] = (uint32_t)id;
    }
}

/* The same, from what others found out, or for them to find. */
static void share_walk(walker *w, const srv_key *keys, size_t from, size_t to, uint32_t *walk_of) {
    srv_answers *shared = srv_plan_of(w->d)->answers;
    srv_question q = question_of(w, keys, from, to);
    size_t first = w->n_walks, n = q.len / sizeof *w->lengths - 2;
    if (q.queries < MIN_STEPS * w->part->n_ops) {
        walk(w, keys, from, to, walk_of);
        return;
    }
    srv_answer *a = srv_answers_find(shared, &q);
    if (a) {
        srv_cargo kept = {.way = SRV_UNPACK, .at = a->value};
        srv_folded_carry(&kept, &w->walks, first, n, w->part->ops, w->part->n_ops, w->b);
        srv_answers_release(a);
        number_walks(w, keys, from, to, walk_of);
        w->n_walks += n;
        return;
    }
    walk(w, keys, from, to, walk_of);
    srv_cargo mine = {.way = SRV_COUNT};
    srv_folded_carry(&mine, &w->walks, first, n, w->part->ops, w->part->n_ops, w->b);
    a = srv_answers_draft(shared, &q, mine.size);
    if (a) {
        mine = (srv_cargo){.way = SRV_PACK, .at = a->value};
        srv_folded_carry(&mine, &w->walks, first, n, w->part->ops, w->part->n_ops, w->b);
        srv_answers_put(shared, a);
    }
}

static steps new_steps(const walker *w, const srv_key *keys, size_t n) {
    size_t longest = 1, slots = 1;
    for (size_t k = 0; k < n; k++) {
        size_t end = (uint32_t)keys[k].hi + keys[k].lo;
        longest = end > longest ? end : longest;
    }
    while (slots < MAX_SLOTS && slots <= SPARE * (longest / w->d->tuning.stride))
        slots *= 2;
    steps s = {.mask = slots - 1,
               .keys = srv_take(w->b, slots, sizeof(uint64_t)),
               .tables = srv_folded_take(w->b, slots, w->part->n_rows)};
    memset(s.keys, 0, slots * sizeof(uint64_t));
    return s;
}

/* Walk by walk. */
static srv_folded walk_all(const srv_deployment *d, srv_block *b, const srv_key *keys, size_t n,
                           uint32_t *walk_of) {
    walker w = {.d = d, .b = b, .part = &srv_plan_of(d)->parts[SRV_MOVING]};
    w.store = new_steps(&w, keys, n);
    w.sum = srv_folded_take(b, 1, w.part->n_rows);
    w.walks = srv_folded_take(b, n, w.part->n_rows);
    w.lengths = srv_take(b, n + 2, sizeof *w.lengths);
    for (size_t from = 0; from < n;) {
        size_t to = from + 1;
        while (to < n && keys[to].hi == keys[from].hi)
            to++;
        if (w.part->who)
            share_walk(&w, keys, from, to, walk_of);
        else
            walk(&w, keys, from, to, walk_of);
        from = to;
    }
    return w.walks;
}

srv_folded srv_moving_sums(const srv_deployment *d, srv_block *b, const srv_live *l,
                           const uint32_t **walk_of) {
    srv_folded sums;
    if (srv_fan_sums(d, b, l, &sums)) {
        *walk_of = l->layout->walk_of;
        return sums;
    }
    uint32_t *of = srv_take(b, l->n, sizeof *of);
    *walk_of = of;
    return walk_all(d, b, srv_layout_walks(b, l), l->n, of);
}
