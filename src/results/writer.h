/* The state of a writer, shared by the file that takes points (writer.c, place.c) and the one that makes
 * files of them (assemble.c). */
#ifndef AICFG_RESULTS_WRITER_H
#define AICFG_RESULTS_WRITER_H

#include "results/press.h"
#include <time.h>

struct res_writer {
    res_writer_options opt;
    aic_arena *arena;  /* copies of the origin's texts */
    res_origin origin; /* spec_text is borrowed, the rest lies in the arena */
    char spec_sha256[65];
    const char *databases; /* joined by newlines */
    time_t started;
    double started_s, checkpoint_s; /* aic_now at the start and at the last checkpoint */

    res_part part;
    res_codec *codec; /* for what is written whole */
    res_out out;      /* the file that stripes go to, NAME.part/open.tmp */
    res_stream streams[RES_STREAMS];
    res_press *press;
    res_stripes stripes; /* full ones of this file */
    aic_buf content;     /* digests of this file's datasets */
    uint64_t n_chunks;   /* chunk files so far */
    res_journal_chunk
        ahead; /* what no chunk file has yet: first_point, first_row, by_status; the rest is unused */

    res_deployments deployments;
    res_reason_list reasons;
    uint64_t points, rows, by_status[SRV_STATUS_COUNT];
    uint64_t resumed;  /* of the points: those an earlier run left */
    bool already;      /* NAME was there, whole: nothing is written */
    res_summary found; /* what it says */
};

/* Starts open.tmp, in the state a result file has before its first point. Chunk files after the first do
 * without the spec. */
bool res_writer_begin_file(res_writer *w, const char *name, bool with_spec, aic_error *err);
/* Continues what an earlier run left in NAME.part, if anything: the writer then stands as after its last
 * checkpoint. False when it is another sweep's, or cannot be read. */
bool res_writer_restore(res_writer *w, aic_error *err);
/* Is NAME itself this sweep's result, whole? False with the differences in err when it is something else. */
bool res_writer_is_done(res_writer *w, aic_error *err);
/* The journal's head for this writer. */
res_journal_head res_writer_head(const res_writer *w);

/* Inputs that make two runs the same sweep, as they stand in the root attributes of a file (inputs.c): false
 * with what differs in err. */
bool res_writer_same_inputs(const res_writer *w, const res_in *in, aic_error *err);

/* Closes open.tmp as the next chunk file and enters it into the journal. */
bool res_writer_close_chunk(res_writer *w, aic_error *err);
/* Marks the rows of a block that a breakdown of the `top` slowest ops of each point keeps; the earlier of two
 * that are equal. keep: p->n_rows. (top.c) */
void res_top_rows(const res_points *p, unsigned top, bool *keep);

/* The whole file under a temporary name, from open.tmp alone or from all chunk files; temporary gets its
 * path. */
bool res_writer_make_result(res_writer *w, bool complete, char temporary[RES_PATH_MAX], res_summary *out,
                            aic_error *err);

#endif
