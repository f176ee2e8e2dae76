/* What a value rests on: names of its kinds, and the byte in which they add up. */
#include "serving/serving.h"

_Static_assert((int)SRV_CARRIED_other_version == (int)PDB_OTHER_VERSION &&
                   (int)SRV_CARRIED_other_backend == (int)PDB_OTHER_BACKEND &&
                   (int)SRV_CARRIED_both == (int)PDB_CARRIED,
               "the kinds of marks number these");
_Static_assert(PDB_ORIGIN_BITS + (int)OP_TIER_COUNT - 1 <= 8, "a byte has a bit for every tier but none");

static const char *const names[] = {
#define NAME(name, meaning) #name,
    SRV_CARRIED(NAME)
#undef NAME
};

const char *srv_carried_name(srv_carried c) {
    return names[c];
}
