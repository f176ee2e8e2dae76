#ifdef __linux__
#define _DEFAULT_SOURCE /* madvise */
#endif
#include "base/mem.h"
#ifdef __GLIBC__
#include <sys/mman.h>
#endif
#include <stdlib.h>

/* What the allocator has grown by it keeps, and hands out from there next: the advice stays with the pages.
 */
void aic_mem_expect(size_t bytes) {
#ifdef __GLIBC__
    enum { PAGE = 1 << 21 };
    char *memory = malloc(bytes);
    if (memory && bytes > 2 * PAGE) {
        const size_t before = PAGE - (uintptr_t)memory % PAGE;
        madvise(memory + before, (bytes - before) / PAGE * PAGE, MADV_HUGEPAGE);
    }
    free(memory);
#else
    (void)bytes;
#endif
}
