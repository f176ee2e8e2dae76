/* links: results */
/* Our own deflate against zlib's inflate, within its bound, for texts made to hit its edges; Huffman codes
 * against what makes a code complete and best. */
#include "base/base.h"
#include "results/deflate.h"
#include "results/huffman.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

enum { MOST = 1 << 18, GUARD = 32 };

static uint64_t state_of_random = 1;

static uint64_t any(void) { /* splitmix64 */
    uint64_t z = state_of_random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static size_t below(size_t n) {
    return (size_t)(any() % n);
}

/* ---- streams ----------------------------------------------------------------------------------------- */

typedef struct bench {
    res_deflate *d;
    uint8_t *in, *out, *back;
} bench;

static int set_up(void **state) {
    bench *b = AIC_NEW(bench);
    *b = (bench){res_deflate_new(), aic_alloc(MOST + 8, 1), aic_alloc(2 * MOST, 1), aic_alloc(MOST + 8, 1)};
    *state = b;
    return 0;
}

static int tear_down(void **state) {
    bench *b = *state;
    res_deflate_free(b->d);
    free(b->in);
    free(b->out);
    free(b->back);
    free(b);
    return 0;
}

static void check_stream(const bench *b, size_t n, size_t size, size_t bound) {
    uLongf back = MOST + 8;
    uLong taken = (uLong)size;
    assert_true(size <= bound);
    for (size_t i = 0; i < GUARD; i++)
        assert_int_equal(b->out[bound + i], 0xA5);
    assert_int_equal(uncompress2(b->back, &back, b->out, &taken), Z_OK);
    assert_int_equal(back, n);
    assert_int_equal(taken, size);
    assert_memory_equal(b->in, b->back, n);
}

static size_t check_words(const bench *b, size_t n, unsigned word) {
    size_t bound = res_deflate_bound(n * word, 1);
    memset(b->out, 0xA5, bound + GUARD);
    size_t size = res_deflate_words(b->d, b->in, n, word, b->out);
    check_stream(b, n * word, size, bound);
    return size;
}

/* As sorts that are judged say, and with all others. */
static size_t check_pieces(const bench *b, size_t n, size_t piece) {
    size_t bound = res_deflate_bound(n * piece, n), size = 0;
    res_sort sorts[8];
    for (int way = 0; way < 2; way++) {
        for (size_t i = 0; i < n; i++)
            sorts[i] = (res_sort)below(3);
        if (way)
            res_deflate_pieces_cost(b->d, b->in, n, piece, sorts);
        memset(b->out, 0xA5, bound + GUARD);
        size = res_deflate_pieces(b->d, b->in, n, piece, sorts, b->out);
        check_stream(b, n * piece, size, bound);
    }
    return size;
}

static void check_all(const bench *b, size_t bytes) {
    check_words(b, bytes / 8, 8);
    check_words(b, bytes / 4, 4);
    for (size_t n = 1; n <= 8; n *= 2)
        check_pieces(b, n, bytes / n);
}

/* Text by chance: bytes, runs and copies from before, each as likely as the case says. */
static void scribble(uint8_t *p, size_t n, unsigned alphabet, unsigned runs, unsigned copies, size_t longest,
                     size_t unit) {
    for (size_t i = 0; i < n;) {
        size_t length = (1 + below(longest)) * unit, what = below(100);
        if (length > n - i)
            length = n - i;
        if (what < runs) {
            memset(p + i, (int)below(256), length);
        } else if (what < runs + copies && i >= unit) {
            size_t back = (1 + below(i / unit)) * unit;
            for (size_t k = 0; k < length; k++)
                p[i + k] = p[i + k - back];
        } else {
            length = length < unit ? length : unit;
            for (size_t k = 0; k < length; k++)
                p[i + k] = (uint8_t)below(alphabet);
        }
        i += length;
    }
}

static void test_texts_by_chance(void **state) {
    const bench *b = *state;
    for (int round = 0; round < 600; round++) {
        size_t most = round % 20 == 0 ? MOST : round % 3 == 0 ? 20000 : 300;
        size_t bytes = below(most) + 1, unit = (size_t[]){1, 4, 8}[below(3)];
        scribble(b->in, bytes, 1 + (unsigned)below(256), (unsigned)below(50), (unsigned)below(50),
                 1 + below(round % 2 ? 6 : 400), unit);
        check_all(b, bytes);
    }
}

/* A match is sent in pieces of 3 to 258 bytes, at most 32 KiB back: lengths and distances around all limits.
 */
static void test_matches_of_every_length(void **state) {
    const bench *b = *state;
    static const size_t distances[] = {1,   2,     3,     4,     5,     8,     100,  256,
                                       257, 32764, 32767, 32768, 32769, 32772, 40000};
    for (size_t d = 0; d < sizeof distances / sizeof *distances; d++)
        for (size_t length = 1; length < 1100; length += length < 12 || (length + 8) % 258 < 16 ? 1 : 7) {
            size_t n = 0, bytes = distances[d] + length + 9;
            for (; n < distances[d]; n++)
                b->in[n] = (uint8_t)any();
            for (size_t i = 0; i < length; i++, n++)
                b->in[n] = b->in[n - distances[d]];
            for (; n < bytes; n++)
                b->in[n] = (uint8_t)~b->in[n - distances[d]];
            check_pieces(b, 1, bytes);
            check_words(b, bytes / 8, 8);
            check_words(b, bytes / 4, 4);
        }
}

static void test_ends(void **state) {
    const bench *b = *state;
    memset(b->in, 7, MOST);
    for (size_t bytes = 0; bytes < 100; bytes++)
        check_all(b, bytes);
    for (size_t i = 0; i < MOST; i++)
        b->in[i] = (uint8_t)any();
    for (size_t bytes = 0; bytes < 100; bytes++)
        check_all(b, bytes);
    for (size_t bytes = 65533; bytes < 65540; bytes++) /* stored blocks hold 65535 bytes */
        check_all(b, bytes);
    check_all(b, MOST);
}

/* Noise takes what it is, and a little; what recurs, next to nothing. */
static void test_sizes(void **state) {
    const bench *b = *state;
    for (size_t i = 0; i < MOST; i++)
        b->in[i] = (uint8_t)any();
    assert_in_range(check_words(b, MOST / 8, 8), MOST, MOST + 64);
    assert_in_range(check_pieces(b, 8, MOST / 8), MOST, MOST + 64);
    memset(b->in, 0, MOST / 2);
    assert_in_range(check_words(b, MOST / 8, 8), MOST / 2, MOST * 6 / 10);
    assert_in_range(check_pieces(b, 8, MOST / 8), MOST / 2, MOST / 2 + 1024);
    for (size_t i = 0; i < MOST; i++)
        b->in[i] = (uint8_t)(i / 8 % 200 * 8 + i % 8);
    assert_in_range(check_words(b, MOST / 8, 8), 100, 3000);
    for (size_t i = 0; i < MOST; i++)
        b->in[i] = (uint8_t)(below(3) * below(3)); /* no matches, but few bytes */
    assert_in_range(check_pieces(b, 1, MOST), MOST / 8, MOST / 3);
}

/* Planes of values come to the planes that a shuffle makes, whichever of them go where they belong at once.
 */
static void test_planes(void **state) {
    const bench *b = *state;
    static const size_t counts[] = {1, 31, 1000, 16384, 21846, 32768};
    uint8_t *room = aic_alloc(MOST, 1), *values = aic_alloc(MOST, 1);
    for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
        for (unsigned round = 0; round < 40; round++) {
            const size_t n = counts[c], width = (size_t)1 << below(4);
            const size_t noise = below(width + 1);
            res_sort sorts[8];
            for (size_t j = 0; j < width; j++)
                sorts[j] = j < noise ? RES_NOISE : (res_sort)below(3);
            for (size_t i = 0; i < n * width; i++)
                values[i] = i % width < noise ? (uint8_t)any() : (uint8_t)(i / width / 7 % 5);
            const size_t bound = res_deflate_bound(n * width, width);
            memset(b->out, 0xA5, bound + GUARD);
            size_t size = res_deflate_planes(b->d, values, n, width, sorts, room, b->out);
            aic_shuffle(values, b->in, n, width);
            check_stream(b, n * width, size, bound);
        }
    free(room);
    free(values);
}

/* What costs less is what takes less, where the difference is plain. */
static void test_costs(void **state) {
    const bench *b = *state;
    enum { ROWS = 1024 };
    res_sort sorts[8];
    uint8_t *planes = b->in + 8 * ROWS;
    for (size_t i = 0; i < 8 * ROWS; i++) /* one word in four is new */
        b->in[i] = i / 8 % 4 == 0 || i < 256 ? (uint8_t)any() : b->in[i - 256];
    aic_shuffle(b->in, planes, ROWS, 8);
    assert_true(res_deflate_words_cost(b->d, b->in, ROWS, 8) <
                res_deflate_pieces_cost(b->d, planes, 8, ROWS, sorts));
    for (size_t i = 0; i < 8 * ROWS; i++) /* noise below, two bytes in turn, one throughout */
        b->in[i] = i % 8 < 6 ? (uint8_t)any() : i % 8 == 6 ? (uint8_t)(0x30 + i / 8 % 2) : 0x40;
    aic_shuffle(b->in, planes, ROWS, 8);
    assert_true(res_deflate_words_cost(b->d, b->in, ROWS, 8) >
                res_deflate_pieces_cost(b->d, planes, 8, ROWS, sorts));
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(sorts[i], i < 6 ? RES_NOISE : RES_MATCHED);
    for (size_t i = 0; i < ROWS; i++)
        b->in[i] = (uint8_t)(below(4) * 17);
    res_deflate_pieces_cost(b->d, b->in, 1, ROWS, sorts);
    assert_int_equal(sorts[0], RES_CODED);
    assert_int_equal(res_deflate_pieces_cost(b->d, b->in, 8, 0, sorts), 0);
}

/* ---- codes ------------------------------------------------------------------------------------------- */

/* No code is the beginning of another and none is missing: their shares of all streams add up to 1. */
static uint64_t check_code(const uint32_t *weights, size_t n) {
    huf_code code;
    uint64_t share = 0, cost = 0;
    huf_build(weights, n, &code);
    for (size_t i = 0; i < n; i++) {
        unsigned length = huf_length(code.of[i]);
        assert_true(length <= HUF_LONGEST && (length > 0 || weights[i] == 0));
        assert_true(huf_bits(code.of[i]) >> length == 0);
        share += length ? 1u << (HUF_LONGEST - length) : 0;
        cost += (uint64_t)weights[i] * length;
        for (size_t k = 0; length && k < i; k++) {
            unsigned other = huf_length(code.of[k]), shorter = length < other ? length : other;
            assert_true(!other || (huf_bits(code.of[i]) ^ huf_bits(code.of[k])) & ((1u << shorter) - 1));
        }
    }
    assert_int_equal(share, 1u << HUF_LONGEST);
    return cost;
}

/* The least cost: the two lightest trees become one until one is left. */
static uint64_t least_cost(const uint32_t *weights, size_t n) {
    uint64_t trees[HUF_SYMBOLS], cost = 0;
    size_t left = 0;
    for (size_t i = 0; i < n; i++)
        if (weights[i])
            trees[left++] = weights[i];
    while (left > 1) {
        for (size_t k = 0; k < 2; k++) /* the two lightest to the end */
            for (size_t i = 0; i + 1 + k < left; i++)
                if (trees[i] < trees[left - 1 - k]) {
                    uint64_t t = trees[i];
                    trees[i] = trees[left - 1 - k];
                    trees[left - 1 - k] = t;
                }
        left--;
        cost += trees[left - 1] += trees[left];
    }
    return cost;
}

static void test_codes(void **state) {
    (void)state;
    uint32_t weights[HUF_SYMBOLS] = {0};
    check_code(weights, HUF_SYMBOLS); /* nothing to send: two codes all the same */
    for (size_t one = 0; one < HUF_SYMBOLS; one += 41) {
        memset(weights, 0, sizeof weights);
        weights[one] = 12345;
        check_code(weights, HUF_SYMBOLS);
    }
    for (int round = 0; round < 500; round++) {
        size_t n = 2 + below(HUF_SYMBOLS - 1);
        uint64_t sum = 0;
        for (size_t i = 0; i < n; i++)
            sum += weights[i] = below(3) ? (uint32_t)below(round % 2 ? 200 : 4) + (i < 2) : i < 2;
        uint64_t cost = check_code(weights, n);
        if (sum < 987) /* Fibonacci's 16th number: no tree of less is deeper than HUF_LONGEST */
            assert_int_equal(cost, least_cost(weights, n));
    }
}

/* Weights like Fibonacci's numbers make trees as deep as they can be. */
static void test_codes_are_short(void **state) {
    (void)state;
    uint32_t weights[HUF_SYMBOLS] = {0};
    for (size_t n = 3; n <= 40; n++) {
        weights[0] = weights[1] = 1;
        for (size_t i = 2; i < n; i++)
            weights[i] = weights[i - 1] + weights[i - 2];
        check_code(weights, n);
    }
    for (size_t i = 0; i < HUF_SYMBOLS; i++)
        weights[i] = i % 9 == 0 ? 1u << 23 : 1;
    check_code(weights, HUF_SYMBOLS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_texts_by_chance),
        TEST(test_matches_of_every_length),
        TEST(test_ends),
        TEST(test_sizes),
        TEST(test_planes),
        TEST(test_costs),
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_codes_are_short),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
