/* Stripes on their way from the points that fill them to the file.
 *
 * A stripe is one chunk of every dataset of a group. Places for rows are given out in order, by one thread at
 * a time; any thread puts rows into their places, encodes full stripes and stores them, side by side with the
 * others. Stripes go to the file one at a time, in the order in which their last place was given out. That
 * order depends on the points alone, and so does every byte of the file.
 */
#ifndef AICFG_RESULTS_PRESS_H
#define AICFG_RESULTS_PRESS_H

#include "results/h5.h"
#include <stdatomic.h>

struct res_stripe {
    res_group_id g;
    uint64_t index;        /* in the group, over all files; once all places are given out */
    res_table rows;        /* rows.rows: places given out so far */
    _Atomic size_t filled; /* rows that are in their places */
    /* Fields by bit: touched ones may hold more than zeros; stale ones hold anything (new memory, what an
     * earlier use put there) where no row was put yet, others zeros. So rows of zeros need to be put into
     * stale fields alone. */
    _Atomic uint64_t touched;
    uint64_t stale;
    _Atomic uint64_t done;   /* fields by bit whose kept (and hex, of full stripes) is there */
    size_t claimed, encoded; /* fields that a thread took on, and that are done; under the press's lock */
    res_kept kept[RES_MAX_FIELDS];
    res_chunk_digest hex[RES_MAX_FIELDS];
    struct res_stripe *next;
};
res_stripe *res_stripe_new(res_group_id g, const res_group *group);
void res_stripe_free(res_stripe *s); /* NULL is allowed */

typedef struct res_press res_press;
/* log: gets the order and digests of stripes as they are stored. threads: how many will work, which bounds
 * memory. All but the press itself is borrowed. */
res_press *res_press_new(int level, unsigned threads, res_stream *streams, res_out *out, res_stripes *log);
void res_press_free(res_press *p); /* with what is still on its way; NULL is allowed */

/* ---- placing: one thread at a time ---- */

typedef struct res_piece {
    res_stripe *stripe;
    size_t at, n; /* rows at .. at+n-1 of the stripe */
} res_piece;
/* Places for the next rows of a group: for n of them, or for as many as its stripe has left. */
res_piece res_press_place(res_press *p, res_group_id g, size_t n);
/* False while so much is on its way that working comes first. */
bool res_press_has_room(res_press *p);

/* ---- any thread ---- */

/* Says that the rows of a piece are in their places. touched: fields by bit, all but those of which they are
 * zeros alone. */
#define RES_FIELD_BIT(field) (UINT64_C(1) << (field))
_Static_assert(RES_MAX_FIELDS <= 64, "a field has a bit");
#define RES_ALL_FIELDS UINT64_MAX
void res_press_filled(const res_piece *piece, uint64_t touched);
/* Encodes some columns of a full stripe or stores an encoded one; *did = false: nothing to take on right now.
 */
bool res_press_work(res_press *p, bool *did, aic_error *err);
bool res_press_is_idle(res_press *p); /* nothing is on its way */

/* ---- with nobody placing or filling ---- */

/* Works, with a team of threads, until the press is idle. A thread that finds nothing to take on leaves:
 * whoever is at work then takes what that work brings up. */
bool res_press_drain(res_press *p, aic_error *err);
double res_press_store_seconds(const res_press *p); /* spent storing full stripes so far */
/* Stores the rows of a group that do not fill a stripe and keeps them. The press must be idle. */
bool res_press_tail(res_press *p, res_group_id g, aic_error *err);

#endif
