/* The part of results that sees HDF5. Functions take the HDF5 lock: none may be called with it held. */
#ifndef AICFG_RESULTS_H5_H
#define AICFG_RESULTS_H5_H

#include "results/internal.h"
#include <hdf5.h>

/* ---- files being written (h5write.c) ----------------------------------------------------------------- */

enum { RES_KINDS = 16 };
typedef struct res_out {
    hid_t file;     /* -1 = none */
    int level;      /* deflate */
    bool raw_final; /* once closed: no raw data was written twice */
    hid_t group;    /* made last, and still open; -1 = none */
    char group_path[32];
    struct res_kind { /* property lists of datasets made so far: making one takes as long as using it */
        hid_t id;
        size_t chunk;
        bool shuffled;
    } kinds[RES_KINDS];
    size_t n_kinds;
    char path[RES_PATH_MAX];
} res_out;

/* Replaces a file of that name. */
bool res_out_create(res_out *o, const char *path, int level, aic_error *err);
/* Flushes and closes; the bytes are on the disk after res_fsync or res_seal_put. On failure the file is
 * closed as far as possible and of no use. */
bool res_out_close(res_out *o, aic_error *err);
void res_out_discard(res_out *o); /* closes without caring, removes the file */

/* Attributes of an object ("/" = the file). width: bytes of the stored text, 0 = those it has; longer texts
 * are cut with "...". */
bool res_out_text(res_out *o, const char *object, const char *name, const char *text, size_t width,
                  aic_error *err);
bool res_out_u64(res_out *o, const char *object, const char *name, uint64_t v, aic_error *err);
bool res_out_f64(res_out *o, const char *object, const char *name, double v, aic_error *err);
/* The same for an attribute that exists. */
bool res_out_set_u64(res_out *o, const char *object, const char *name, uint64_t v, aic_error *err);

bool res_out_group(res_out *o, const char *path, const char *meaning, aic_error *err);
/* A text of a dataset at hand. */
bool res_out_note(res_out *o, hid_t id, const char *name, const char *text, aic_error *err);
/* Creates an empty dataset; ids stay open until res_out_done. unit "" = none. */
bool res_out_dataset(res_out *o, const char *path, res_dtype type, size_t width, size_t chunk,
                     const char *unit, const char *meaning, hid_t *id, aic_error *err);
void res_out_done(hid_t id);
/* Makes scale the dimension scale of itself and of the n datasets ids (which may contain it). */
bool res_out_scale(res_out *o, const char *name, hid_t scale, const hid_t *ids, size_t n, aic_error *err);
/* Chunks stored from `gather` on stay where they are until `gathered`, which writes them together. */
void res_out_gather(res_out *o);
bool res_out_gathered(res_out *o, aic_error *err);
/* Extends the dataset to `rows` and stores encoded bytes as its chunk `index`; size 0 = extends only. */
bool res_out_chunk(res_out *o, hid_t id, uint64_t index, size_t chunk, uint64_t rows, const res_coded *coded,
                   aic_error *err);

/* ---- the seal at the end of a file (seal.c; docs/formats/results.md) --------------------------------- */

enum {
    RES_SEAL_BYTES = 64,
    RES_SEAL_PIECE = 4 << 20 /* of a file: what one thread of a team reads in one go */
};
typedef struct res_seal {
    uint64_t length; /* bytes before the seal */
    uint32_t crc;    /* of them */
} res_seal;
/* Bytes first .. end-1 of a file; once they were read, their CRC. */
typedef struct res_seal_range {
    uint64_t first, end;
    uint32_t crc;
    bool read;
} res_seal_range;
/* What else there is to do while bytes are read: called once, by any thread of the team that reads. */
typedef struct res_beside {
    void (*call)(void *context); /* NULL = nothing */
    void *context;
} res_beside;
/* Adds bytes first .. end-1 to a list of n ranges, in pieces that a team can share; returns how many there
 * are then. */
size_t res_seal_pieces(res_seal_range **list, size_t n, size_t *cap, uint64_t first, uint64_t end);
/* Reads ranges of a growing file that will not change any more. */
bool res_seal_begin(const char *path, res_seal_range *list, size_t n, unsigned threads,
                    const res_beside *beside, aic_error *err);
/* Ranges of an open file that hold raw data, in order and apart, for res_seal_begin; the caller frees the
 * list. They are final where raw_final says so in the end. (h5write.c) */
size_t res_out_raw(const res_out *o, res_seal_range **list);
/* Seals a closed file that has no seal yet: reads the rest of it, appends the line and syncs. list: what was
 * read before, in order and apart. */
bool res_seal_put(const char *path, const res_seal_range *list, size_t n, unsigned threads,
                  const res_beside *beside, aic_error *err);
/* Reads it and compares the length: AIC_BAD_INPUT when it is missing, damaged or another file's. */
bool res_seal_read(const char *path, res_seal *out, aic_error *err);
/* The same, and reads the whole file to compare the CRC. */
bool res_seal_check(const char *path, aic_error *err);

/* ---- digests (digest.c) ------------------------------------------------------------------------------ */

/* Digest of a dataset: SHA-256 over the hex XXH3-128 of each chunk's rows. Content: one line per dataset, in
 * order of writing. */
typedef char res_chunk_digest[AIC_XXH128_HEX];
enum { RES_DIGEST = sizeof(res_chunk_digest) - 1 }; /* hex digits */
void res_digest_rows(const void *data, size_t bytes, res_chunk_digest out);
void res_digest_add(aic_sha256 *column, const res_chunk_digest digest);
void res_digest_chunk(aic_sha256 *column, const void *data, size_t bytes); /* both */
void res_content_line(aic_buf *content, const char *path, uint64_t rows, const char *sha256);

/* ---- tables written whole (h5table.c) ---------------------------------------------------------------- */

/* A one-column dataset or all datasets of a group, from memory; their digests go to content. */
bool res_out_array(res_out *o, res_codec *c, const char *path, res_dtype type, size_t width, size_t chunk,
                   const char *unit, const char *meaning, const void *data, uint64_t rows, aic_buf *content,
                   aic_error *err);
bool res_out_table(res_out *o, res_codec *c, const res_table *t, const char *meaning, aic_buf *content,
                   aic_error *err);
bool res_out_axis(res_out *o, res_codec *c, res_axis a, const aic_intern *texts, aic_buf *content,
                  aic_error *err);

/* ---- groups written while points arrive (stream.c) --------------------------------------------------- */

typedef struct res_stripe res_stripe; /* press.h */

/* Rows gather in stripes; full ones go to the file through the press, in an order that depends on the points
 * alone. */
typedef struct res_stream {
    const res_group *group;
    res_stripe *open;          /* the stripe being filled; never NULL */
    uint64_t stripes;          /* full ones so far, over all files */
    uint64_t base;             /* of them, those in earlier chunk files */
    hid_t ids[RES_MAX_FIELDS]; /* of the current file */
    aic_sha256 *digests[RES_MAX_FIELDS];
} res_stream;
void res_stream_init(res_stream *s, res_group_id g, res_precision breakdown);
void res_stream_free(res_stream *s);
uint64_t res_stream_rows(const res_stream *s);                    /* all rows so far */
bool res_stream_begin(res_stream *s, res_out *o, aic_error *err); /* creates the group in a new file */
/* Digests the rows of the open stripe and writes the digests: once, after they were stored. */
bool res_stream_seal(res_stream *s, res_out *o, aic_buf *content, aic_error *err);
void res_stream_end(res_stream *s); /* closes the ids */

/* ---- files being read (h5read.c) --------------------------------------------------------------------- */

typedef struct res_in {
    hid_t file;     /* -1 = none */
    uint64_t bytes; /* size of the file */
    char path[RES_PATH_MAX];
} res_in;

/* A dataset checked against what the format says of it. */
typedef struct res_dataset {
    hid_t id; /* -1 = not open */
    res_dtype type;
    size_t width, chunk;
    bool sparse;
    uint64_t rows;
} res_dataset;

bool res_in_open(res_in *in, const char *path, aic_error *err);
void res_in_close(res_in *in);
bool res_in_has(const res_in *in, const char *path);
bool res_in_text(const res_in *in, const char *object, const char *name, aic_arena *a, const char **out,
                 aic_error *err);
bool res_in_u64(const res_in *in, const char *object, const char *name, uint64_t *out, aic_error *err);
/* The root attribute breakdown_precision; f64 where it is absent. */
bool res_in_precision(const res_in *in, res_precision *out, aic_error *err);
/* Refuses a dataset of another type, rank, chunk size or filter, or with more rows than the file can hold. */
bool res_in_dataset(const res_in *in, const char *path, res_dtype type, size_t chunk, bool sparse,
                    res_dataset *out, aic_error *err);
void res_dataset_close(res_dataset *d);
/* Decodes chunk `index` into out (chunk x width bytes). */
bool res_in_chunk(const res_in *in, const res_dataset *d, const char *path, uint64_t index, res_codec *c,
                  void *out, aic_error *err);
/* The stored bytes of a chunk, into *buffer (grown as needed), where *out points; size 0 = a sparse chunk
 * that is not stored. */
bool res_in_stored(const res_in *in, const res_dataset *d, const char *path, uint64_t index, uint8_t **buffer,
                   size_t *cap, res_coded *out, aic_error *err);
/* A whole group; its tables are the caller's to free. */
bool res_in_group(const res_in *in, const res_group *g, res_codec *c, res_table *out, aic_error *err);

/* ---- tables taken from the last chunk file of an earlier run (tables.c) ------------------------------ */

/* Both fill what was just initialised; it then stands as when the file was written. */
bool res_deployments_restore(res_deployments *d, const res_in *in, res_codec *c, aic_error *err);
bool res_reasons_restore(res_reason_list *r, const res_in *in, res_codec *c, aic_error *err);

/* ---- what a sweep is made from (inputs.c) ------------------------------------------------------------- */

/* Adds lines for every input that a file names otherwise than this run: "- what: then", "+ what: now". */
bool res_diff_inputs(const res_in *in, const res_origin *now, const char *databases,
                     const res_writer_options *opt, aic_buf *diff, aic_error *err);
void res_diff_texts(aic_buf *diff, const char *what, const char *then, const char *now);

/* "path: object: what"; returns false. For files that are not what they should be. */
bool res_damaged(aic_error *err, const char *path, const char *object, const char *what);
/* The same for a failed call, with the cause HDF5 or the system gives; with the HDF5 lock held. */
bool res_h5_fail(aic_error *err, const char *path, const char *what);

hid_t res_h5_type(res_dtype t, size_t width); /* a stored type, to be closed; with the HDF5 lock held */

/* ---- the folder of a running sweep (part.c), its journal (journal.c) and chunk files (chunk.c) ------- */

typedef struct res_part {
    char final[RES_PATH_MAX];  /* NAME */
    char folder[RES_PATH_MAX]; /* folder NAME stands in */
    char dir[RES_PATH_MAX];    /* NAME.part */
    int lock;                  /* descriptor of NAME.part/lock, -1 = not held */
} res_part;
/* Makes and locks NAME.part; refuses when another run holds it, or when NAME exists and may not be replaced.
 */
bool res_part_open(res_part *p, const char *final, bool replace, aic_error *err);
void res_part_path(const res_part *p, const char *name, char out[RES_PATH_MAX]);
/* Removes every file of ours in it but the lock, the first `chunks` chunk files, and, if there are any, the
 * journal. */
void res_part_clear(const res_part *p, uint64_t chunks);
void res_part_close(res_part *p, bool remove); /* unlocks; remove: the folder goes, too */
/* Removes what a run left beside NAME that was struck after it had published, unless another run holds it. */
void res_part_clear_beside(const char *final);
/* rename + fsync of the folder that holds `to`. */
bool res_publish(const char *from, const char *to, const char *folder, aic_error *err);
bool res_fsync(const char *path, aic_error *err);
bool res_sync_folder(const char *folder, aic_error *err); /* the entries of a folder */

enum { RES_JOURNAL_MAX = 64 << 20 }; /* bytes: a quarter of a million chunk files */
typedef struct res_journal_chunk {
    uint64_t first_point, points, first_row, rows, by_status[SRV_STATUS_COUNT];
    char sha256[65]; /* of the chunk file's bytes */
} res_journal_chunk;
typedef struct res_journal_head {
    char spec[65]; /* digest of the spec */
    uint64_t total_points;
    uint64_t first_point; /* of what this folder's run writes; chunks count from there */
    int deflate;
    bool breakdown;
} res_journal_head;
/* A new journal of n chunks; replaces one that is there whole or not at all (rename, synced to disk). */
bool res_journal_write(const res_part *p, const res_journal_head *h, const res_journal_chunk *chunks,
                       size_t n, aic_error *err);
/* Adds chunk `index`; synced to disk on return. */
bool res_journal_append(const char *path, uint64_t index, const res_journal_chunk *c, aic_error *err);
/* Reads what is whole: *n chunks (owned by the caller). A line that is cut, damaged or out of order ends the
 * list; *lost says how many bytes it and what follows have. False: no journal, or not one of this version. */
bool res_journal_read(const char *path, res_journal_head *h, res_journal_chunk **chunks, size_t *n,
                      size_t *lost);

void res_chunk_name(uint64_t index, char out[32]); /* "chunk-000000.h5" */
/* What a chunk file says beside its datasets: its full stripes in the order they filled. */
typedef struct res_stripes {
    aic_buf order;   /* one byte each: the group it belongs to */
    aic_buf digests; /* 64 hex digits for every column of each */
} res_stripes;
bool res_chunk_describe(res_out *o, res_codec *c, const res_stream *streams, const res_stripes *stripes,
                        const res_journal_chunk *j, aic_error *err);
/* Copies the full stripes of a chunk file, in order, to the streams' current file; next[] counts those copied
 * so far. */
bool res_chunk_copy(const char *path, res_stream *streams, uint64_t *next, res_out *o, aic_error *err);
/* Counts the full stripes of a chunk file in the streams and adds their digests, as if they had been stored.
 */
bool res_chunk_count(const char *path, res_stream *streams, aic_error *err);
/* Takes the partial stripes that stand at the end of a chunk file: rows[g] rows in all of group g so far. */
bool res_chunk_tail(const char *path, res_stream *streams, const uint64_t *rows, aic_error *err);

#endif
