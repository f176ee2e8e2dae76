/* Answers as bytes: one walk over what is kept counts, packs or unpacks it, so that the three agree. Private
 * to serving. */
#ifndef AICFG_SERVING_CARGO_H
#define AICFG_SERVING_CARGO_H

#include "serving/internal.h"
#include <string.h>

typedef struct srv_cargo {
    enum { SRV_COUNT, SRV_PACK, SRV_UNPACK } way;
    unsigned char *at; /* not looked at when counting */
    size_t size;       /* of what was carried so far */
} srv_cargo;

/* n bytes, no alignment. */
static inline void srv_carry(srv_cargo *c, void *mine, size_t n) {
    if (c->way == SRV_PACK)
        memcpy(c->at + c->size, mine, n);
    else if (c->way == SRV_UNPACK)
        memcpy(mine, c->at + c->size, n);
    c->size += n;
}

/* A reason; one that is unpacked becomes the block's own. */
static inline void srv_carry_text(srv_cargo *c, const char **mine, srv_block *b) {
    const char *text = c->way == SRV_UNPACK ? (const char *)c->at + c->size : *mine;
    const size_t n = strlen(text) + 1;
    if (c->way == SRV_PACK)
        memcpy(c->at + c->size, text, n);
    else if (c->way == SRV_UNPACK)
        *mine = srv_block_text(b, text);
    c->size += n;
}

#endif
