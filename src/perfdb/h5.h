/* Private parts of perfdb that see HDF5. All functions here expect the HDF5 lock to be held. */
#ifndef AICFG_PERFDB_H5_H
#define AICFG_PERFDB_H5_H

#include "perfdb/internal.h"
#include <hdf5.h>

#define PDB_FORMAT "aicfg-perfdb"
enum { PDB_FORMAT_VERSION = 1 };

struct pdb_file {
    char *path;
    hid_t id;
    pdb_head head;
    pdb_shelf *shelf;
};

bool pdb_h5_has(hid_t from, const char *path);                            /* reachable through hard links */
bool pdb_h5_text(hid_t object, const char *name, char *out, size_t size); /* a fixed-length text attribute */
bool pdb_h5_int(hid_t object, const char *name, int64_t *out);            /* an integer attribute */
/* Puts "perfdb path: group g: what (HDF5: cause)" into err; returns false. group may be NULL. */
bool pdb_h5_fail(aic_error *err, const char *path, const char *group, const char *what);

#endif
