/* The table of op kinds, and how answers are chosen by database mode. */
#include "ops/internal.h"

#include <string.h>

static const op_desc *const kinds[] = {
#define KIND_ENTRY(name) &op_desc_##name,
    OP_KINDS(KIND_ENTRY)
#undef KIND_ENTRY
};

size_t op_desc_count(void) {
    return OP_COUNT(kinds);
}

const op_desc *op_desc_at(size_t i) {
    return kinds[i];
}

const op_desc *op_desc_find(const char *kind) {
    for (size_t i = 0; i < OP_COUNT(kinds); i++)
        if (strcmp(kinds[i]->kind, kind) == 0)
            return kinds[i];
    return NULL;
}
