/* Checked allocation and arenas.
 *
 * Running out of memory ends the process with exit code 3 and a message: result files are published by rename
 * only when whole, so nothing half-written is ever seen (docs/formats/results.md). Every size is count x
 * size, checked for overflow.
 */
#ifndef AICFG_BASE_MEM_H
#define AICFG_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void *aic_alloc(size_t count, size_t size);  /* uninitialised; count*size may be 0: a valid pointer */
void *aic_calloc(size_t count, size_t size); /* zeroed */
void *aic_realloc(void *p, size_t count, size_t size); /* grows or shrinks */
/* The calling thread will take so many bytes from the heap: the system is asked to give them in large pages,
 * for a fault of a small one costs as much as filling it four times over. None is taken before it is used. A
 * thread other than the first has at most 64 MiB that lie together. */
void aic_mem_expect(size_t bytes);
/* For tests: asked before every allocation whether it may succeed; from any thread. NULL = nobody is asked.
 */
typedef bool aic_mem_watch(size_t bytes);
void aic_mem_set_watch(aic_mem_watch *watch);
size_t aic_mul(size_t a, size_t b); /* a*b, ends the process on overflow */
size_t aic_add(size_t a, size_t b); /* a+b, ends the process on overflow */

char *aic_strdup(const char *text);
/* Cuts memory into arrays: returns the next n values of so many bytes and moves on. */
static inline void *aic_carve(char **memory, size_t n, size_t size) {
    void *p = *memory;
    *memory += n * size;
    return p;
}
/* Are n bytes all 0? Memory against itself is the fastest look. */
bool aic_all_zero(const void *p, size_t n);

#define AIC_NEW(type)          ((type *)aic_calloc(1, sizeof(type)))
#define AIC_NEW_ARRAY(type, n) ((type *)aic_calloc((n), sizeof(type)))

/* Makes room for one more element in a growing array `items` with fields `count` and `cap`. */
#define AIC_GROW(items, count, cap)                                                                          \
    do {                                                                                                     \
        if ((count) == (cap)) {                                                                              \
            (cap) = (cap) ? aic_mul((cap), 2) : 16;                                                          \
            (items) = aic_realloc((items), (cap), sizeof *(items));                                          \
        }                                                                                                    \
    } while (0)

/* Arena: memory freed all at once. Not thread-safe; one owner at a time. */
typedef struct aic_arena aic_arena;
aic_arena *aic_arena_new(void);
void aic_arena_free(aic_arena *a);                              /* NULL is allowed */
void *aic_arena_alloc(aic_arena *a, size_t count, size_t size); /* zeroed, aligned for any type */
void *aic_arena_take(aic_arena *a, size_t count,
                     size_t size); /* the same, of any content where it is large */
char *aic_arena_strdup(aic_arena *a, const char *s);
char *aic_arena_strndup(aic_arena *a, const char *s, size_t len);
char *aic_arena_printf(aic_arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
size_t aic_arena_bytes(const aic_arena *a); /* bytes handed out so far */

#endif
