/* links: base
 * The byte shuffle against its definition, for every width and for lengths around the unrolled steps. */
#include "base/base.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { MOST = 8 * 97 };

static void test_both_ways(void **state) {
    (void)state;
    uint8_t in[MOST], out[MOST], back[MOST];
    for (size_t i = 0; i < MOST; i++)
        in[i] = (uint8_t)(i * 197 + i / 7);
    for (size_t width = 1; width <= 8; width++)
        for (size_t n = 0; n <= 97; n++) {
            memset(out, 0, sizeof out);
            memset(back, 0, sizeof back);
            aic_shuffle(in, out, n, width);
            for (size_t i = 0; i < n; i++)
                for (size_t j = 0; j < width; j++)
                    assert_int_equal(out[j * n + i], in[i * width + j]);
            aic_unshuffle(out, back, n, width);
            assert_memory_equal(in, back, n * width);
        }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_both_ways)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
