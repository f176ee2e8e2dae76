/* What a result depends on: each reading of a table through a view is an entry of the view, with a digest of
 * what was read; a record is a set of entries.
 *
 * Readings meet here whatever module asks: rows come from pdb_scan alone, lists of sources from pdb_sources
 * alone, and what is derived from them is kept with the set of its own making. The record in effect belongs
 * to the thread, since the callers in between hold no more than a const view.
 */
#include "perfdb/internal.h"
#include <stdlib.h>

static _Thread_local pdb_reads *recording; /* innermost record, NULL = none */

bool pdb_read_known(const pdb_view_impl *v, const void *identity) {
    for (size_t i = 0; i < v->n_reads; i++)
        if (v->reads[i].identity == identity)
            return true;
    return false;
}

const char *pdb_read_digest(const pdb_view_impl *v, const void *identity) {
    size_t i = 0;
    while (v->reads[i].identity != identity)
        i++;
    return v->reads[i].sha256;
}

static size_t entry_of(pdb_view_impl *v, const void *identity, const char *sha256) {
    size_t i = 0;
    while (i < v->n_reads && v->reads[i].identity != identity)
        i++;
    if (i == v->n_reads) {
        AIC_GROW(v->reads, v->n_reads, v->cap_reads);
        v->reads[i].identity = identity;
        memcpy(v->reads[i].sha256, sha256, sizeof v->reads[i].sha256);
        v->n_reads++;
    }
    return i;
}

void pdb_read_note(pdb_view_impl *v, const void *identity, const char *sha256) {
    size_t i = entry_of(v, identity, sha256);
    if (!recording)
        return;
    if (recording->view == &v->pub && i < PDB_READ_WORDS * 64)
        recording->set[i / 64] |= UINT64_C(1) << i % 64;
    else
        recording->incomplete = true;
}

void pdb_reads_add(const pdb_reads *inner) {
    if (!recording || recording == inner)
        return;
    for (int i = 0; i < PDB_READ_WORDS; i++)
        recording->set[i] |= inner->set[i];
    recording->incomplete |= inner->incomplete || recording->view != inner->view;
}

void pdb_reads_begin(pdb_reads *r, const pdb_view *view) {
    *r = (pdb_reads){.view = view, .outer = recording};
    recording = r;
}

static int by_digest(const void *a, const void *b) {
    return memcmp(a, b, 64);
}

/* Entries in the order of their digests: that of their numbers is an accident of this run. */
static void digest_set(const pdb_view_impl *v, const uint64_t *set, char digest[65]) {
    char(*list)[64] = aic_alloc(v->n_reads, 64);
    size_t n = 0;
    for (size_t i = 0; i < v->n_reads && i < PDB_READ_WORDS * 64; i++)
        if (set[i / 64] >> i % 64 & 1)
            memcpy(list[n++], v->reads[i].sha256, 64);
    qsort(list, n, 64, by_digest);
    aic_sha256_text(list, n * 64, digest);
    free(list);
}

static void digest_of(pdb_view_impl *v, const uint64_t *set, char digest[65]) {
    size_t i = 0;
    while (i < v->n_read_sets && memcmp(v->read_sets[i].set, set, sizeof v->read_sets[i].set) != 0)
        i++;
    if (i == v->n_read_sets) {
        AIC_GROW(v->read_sets, v->n_read_sets, v->cap_read_sets);
        memcpy(v->read_sets[i].set, set, sizeof v->read_sets[i].set);
        digest_set(v, set, v->read_sets[i].sha256);
        v->n_read_sets++;
    }
    memcpy(digest, v->read_sets[i].sha256, 65);
}

void pdb_reads_end(pdb_reads *r, char digest[65]) {
    pdb_view_impl *v = pdb_impl(r->view);
    recording = r->outer;
    pdb_reads_add(r);
    if (digest)
        digest[0] = '\0';
    if (!digest || r->incomplete)
        return;
    pthread_mutex_lock(&v->lock);
    digest_of(v, r->set, digest);
    pthread_mutex_unlock(&v->lock);
}
