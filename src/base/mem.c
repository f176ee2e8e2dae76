#include "base/mem.h"
#include "base/error.h"
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* exit() would run handlers that may need memory themselves; nothing here needs flushing but stderr,
 * unbuffered. */
static _Noreturn void out_of_memory(const char *what) {
    fprintf(stderr, "error: %s\n", what);
    _Exit(AIC_IO);
}

size_t aic_mul(size_t a, size_t b) {
    if (b != 0 && a > SIZE_MAX / b)
        out_of_memory("a size exceeds the address space");
    return a * b;
}

size_t aic_add(size_t a, size_t b) {
    if (a > SIZE_MAX - b)
        out_of_memory("a size exceeds the address space");
    return a + b;
}

static _Atomic(aic_mem_watch *) watcher;

void aic_mem_set_watch(aic_mem_watch *watch) {
    atomic_store(&watcher, watch);
}

static bool denied(size_t bytes) {
    aic_mem_watch *w = atomic_load_explicit(&watcher, memory_order_relaxed);
    return w && !w(bytes);
}

void *aic_alloc(size_t count, size_t size) {
    size_t bytes = aic_mul(count, size);
    void *p = denied(bytes) ? NULL : malloc(bytes ? bytes : 1);
    if (!p)
        out_of_memory("out of memory");
    return p;
}

void *aic_calloc(size_t count, size_t size) {
    size_t bytes = aic_mul(count, size);
    void *p = denied(bytes) ? NULL : calloc(bytes ? bytes : 1, 1);
    if (!p)
        out_of_memory("out of memory");
    return p;
}

void *aic_realloc(void *p, size_t count, size_t size) {
    size_t bytes = aic_mul(count, size);
    void *q = denied(bytes) ? NULL : realloc(p, bytes ? bytes : 1);
    if (!q)
        out_of_memory("out of memory");
    return q;
}

/* Blocks double from 4 KiB to 1 MiB; what is larger than a quarter block gets one of its own, so that it
 * never throws away the rest of the current block. What is given out is cleared then: most blocks are never
 * full. */
enum { FIRST_BLOCK = 4096, LARGEST_BLOCK = 1 << 20 };

typedef struct block {
    struct block *next;
    size_t size, used; /* bytes of data */
    _Alignas(max_align_t) unsigned char data[];
} block;

struct aic_arena {
    block *current; /* the head; others hang behind it */
    size_t next_size, bytes;
};

aic_arena *aic_arena_new(void) {
    aic_arena *a = AIC_NEW(aic_arena);
    a->next_size = FIRST_BLOCK;
    return a;
}

char *aic_strdup(const char *text) {
    size_t size = strlen(text) + 1;
    return memcpy(aic_alloc(size, 1), text, size);
}

bool aic_all_zero(const void *p, size_t n) {
    const char *bytes = p;
    return n == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0);
}

void aic_arena_free(aic_arena *a) {
    if (!a)
        return;
    for (block *b = a->current; b;) {
        block *next = b->next;
        free(b);
        b = next;
    }
    free(a);
}

static block *new_block(size_t size, bool zeroed) {
    size_t bytes = aic_add(sizeof(block), size);
    block *b = zeroed ? aic_calloc(1, bytes) : aic_alloc(1, bytes);
    b->next = NULL;
    b->size = size;
    b->used = 0;
    return b;
}

static void *alloc_alone(aic_arena *a, size_t bytes, bool zeroed) {
    block *b = new_block(bytes, zeroed);
    b->used = bytes;
    if (a->current) {
        b->next = a->current->next;
        a->current->next = b;
    } else {
        a->current = b;
    }
    return b->data;
}

static void *take(aic_arena *a, size_t count, size_t size, bool zeroed) {
    const size_t align = _Alignof(max_align_t);
    size_t bytes = aic_mul(count, size);
    bytes = aic_mul(aic_add(bytes ? bytes : 1, align - 1) / align, align);
    a->bytes = aic_add(a->bytes, bytes);
    block *b = a->current;
    if (b && bytes <= b->size - b->used) {
        void *p = b->data + b->used;
        b->used += bytes;
        return zeroed ? memset(p, 0, bytes) : p;
    }
    if (bytes > a->next_size / 4)
        return alloc_alone(a, bytes, zeroed);
    b = new_block(a->next_size, false);
    if (a->next_size < LARGEST_BLOCK)
        a->next_size *= 2;
    b->next = a->current;
    b->used = bytes;
    a->current = b;
    return zeroed ? memset(b->data, 0, bytes) : b->data;
}

void *aic_arena_alloc(aic_arena *a, size_t count, size_t size) {
    return take(a, count, size, true);
}

void *aic_arena_take(aic_arena *a, size_t count, size_t size) {
    return take(a, count, size, false);
}

char *aic_arena_strndup(aic_arena *a, const char *s, size_t len) {
    char *copy = aic_arena_take(a, aic_add(len, 1), 1);
    if (len)
        memcpy(copy, s, len);
    copy[len] = '\0';
    return copy;
}

char *aic_arena_strdup(aic_arena *a, const char *s) {
    return aic_arena_strndup(a, s, strlen(s));
}

char *aic_arena_printf(aic_arena *a, const char *fmt, ...) {
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (len < 0)
        out_of_memory("a message could not be formatted");
    char *text = aic_arena_take(a, (size_t)len + 1, 1);
    vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    return text;
}

size_t aic_arena_bytes(const aic_arena *a) {
    return a->bytes;
}
