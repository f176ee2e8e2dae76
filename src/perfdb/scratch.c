/* A stack of blocks per thread. What it took several blocks to hold, the next time finds in one. */
#include "perfdb/scratch.h"
#include <pthread.h>
#include <stdlib.h>

enum { FIRST = 1 << 18, KEPT = 1 << 25, ALIGN = _Alignof(max_align_t) }; /* KEPT: most that stays unused */

/* An address sanitiser sees what leaves a block: there each piece is a block of its own. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined __SANITIZE_ADDRESS__ || __has_feature(address_sanitizer)
enum { APART = 1 };
#else
enum { APART = 0 };
#endif

typedef struct pdb_scratch_block {
    struct pdb_scratch_block *below;
    size_t size, used;
    _Alignas(max_align_t) unsigned char data[];
} block;

static _Thread_local block *top;
static _Thread_local unsigned depth;    /* levels begun and not ended */
static _Thread_local size_t held, most; /* bytes of all blocks: now, at any time */
static pthread_key_t at_exit;           /* set where a thread has blocks */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void pop(void) {
    block *b = top;
    top = b->below;
    held -= b->size;
    free(b);
}

static void leave(void *unused) {
    (void)unused;
    while (top)
        pop();
}

static void make_key(void) {
    pthread_key_create(&at_exit, leave);
}

static void push(size_t size) {
    if (!top) {
        pthread_once(&once, make_key);
        pthread_setspecific(at_exit, &top);
    }
    block *b = aic_alloc(1, aic_add(sizeof *b, size));
    b->below = top;
    b->size = size;
    b->used = 0;
    top = b;
    held += size;
    most = held > most ? held : most;
}

pdb_scratch pdb_scratch_begin(void) {
    depth++;
    return (pdb_scratch){top, top ? top->used : 0};
}

void *pdb_scratch_take(size_t count, size_t size) {
    size_t bytes = aic_mul(count, size);
    if (!APART)
        bytes = aic_mul(aic_add(bytes, ALIGN - 1) / ALIGN, ALIGN);
    if (APART || !top || top->size - top->used < bytes) {
        size_t more = APART ? 0 : top ? aic_mul(top->size, 2) : FIRST;
        push(more > bytes ? more : bytes);
    }
    void *p = top->data + top->used;
    top->used += bytes;
    return p;
}

void pdb_scratch_end(const pdb_scratch *s) {
    const size_t enough = most < KEPT ? most : KEPT;
    if (--depth > 0) {
        while (top != s->block)
            pop();
        if (top)
            top->used = s->used;
    } else if (!APART && top && !top->below && top->size == enough) {
        top->used = 0;
    } else { /* nothing stays in use */
        while (top)
            pop();
        if (!APART && enough > 0)
            push(enough);
    }
}
