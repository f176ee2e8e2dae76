/* Private parts of perfdb that see HDF5. All functions here expect the HDF5 lock to be held. */
#ifndef AICFG_PERFDB_H5_H
#define AICFG_PERFDB_H5_H

#include "perfdb/internal.h"
#include <hdf5.h>

#define PDB_FORMAT "aicfg-perfdb"
enum { PDB_FORMAT_VERSION = 1 };

enum { PDB_H5_PATH = 512 }; /* bytes of a path within a file, its end included */

/* Names of hard links in a group: others could lead out of the file. Zero-initialise, free with
 * pdb_names_free. */
typedef struct pdb_names {
    bool listed;
    bool whole; /* false: the group cannot be listed; names may be missing */
    char **names;
    size_t n, cap;
} pdb_names;
void pdb_names_read(pdb_names *l, hid_t group);
bool pdb_names_have(const pdb_names *l, const char *name);
void pdb_names_free(pdb_names *l);

typedef struct pdb_folder pdb_folder;
typedef struct pdb_table_family {
    char *table, family[64];
} pdb_table_family;

struct pdb_file {
    char *path;
    hid_t id;
    pdb_head head;
    pdb_shelf *shelf;
    pthread_mutex_t folders_lock; /* guards what follows; taken before the HDF5 lock */
    pdb_folder *folders;          /* listed so far */
    pdb_table_family *families;   /* asked for so far */
    size_t n_families, cap_families;
};
void pdb_folders_free(pdb_file *f);

bool pdb_h5_has(hid_t from, const char *path);                            /* reachable through hard links */
bool pdb_h5_text(hid_t object, const char *name, char *out, size_t size); /* a fixed-length text attribute */
bool pdb_h5_int(hid_t object, const char *name, int64_t *out);            /* an integer attribute */
/* Puts "perfdb path: group g: what (HDF5: cause)" into err; returns false. group may be NULL. */
bool pdb_h5_fail(aic_error *err, const char *path, const char *group, const char *what);

#endif
