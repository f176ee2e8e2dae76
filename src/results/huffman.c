#include "results/huffman.h"
#include <string.h>

enum { WEIGHT_BITS = 16 };

/* A symbol that is used. */
typedef struct leaf {
    uint16_t weight, symbol;
} leaf;

/* By one byte of the weight, stable. */
static void sort_by(const leaf *in, leaf *out, size_t n, unsigned shift) {
    uint16_t at[257] = {0};
    for (size_t i = 0; i < n; i++)
        at[(in[i].weight >> shift & 0xFF) + 1]++;
    for (size_t i = 1; i < 256; i++)
        at[i] = (uint16_t)(at[i] + at[i - 1]);
    for (size_t i = 0; i < n; i++)
        out[at[in[i].weight >> shift & 0xFF]++] = in[i];
}

/* Symbols that are used, by ascending weight. Weights are scaled to 16 bits: what a code loses by it is less
 * than its header costs. */
static size_t sorted_leaves(const uint32_t *weights, size_t n, leaf *out) {
    leaf half[HUF_SYMBOLS];
    uint64_t sum = 0;
    size_t used = 0;
    unsigned shift = 0;
    for (size_t i = 0; i < n; i++)
        sum += weights[i];
    while (sum >> shift >> WEIGHT_BITS)
        shift++;
    for (size_t i = 0; i < n; i++) {
        uint32_t weight = weights[i] >> shift;
        if (weights[i])
            out[used++] = (leaf){(uint16_t)(weight ? weight : 1), (uint16_t)i};
    }
    sort_by(out, half, used, 0);
    sort_by(half, out, used, 8);
    return used;
}

/* Depths of a Huffman tree over n >= 2 leaves whose weights ascend (Moffat and Katajainen, in place): a[i]
 * goes from weight to depth. */
static void tree_depths(uint32_t *a, int n) {
    int leaf = 2, root = 0;
    a[0] += a[1];
    for (int next = 1; next < n - 1; next++) {
        uint32_t sum = 0;
        for (int half = 0; half < 2; half++) {
            if (leaf >= n || (root < next && a[root] < a[leaf])) {
                sum += a[root];
                a[root++] = (uint32_t)next; /* its parent */
            } else {
                sum += a[leaf++];
            }
        }
        a[next] = sum;
    }
    a[n - 2] = 0;
    for (int next = n - 3; next >= 0; next--)
        a[next] = a[a[next]] + 1;
    int available = 1, used = 0, next = n - 1;
    uint32_t depth = 0;
    root = n - 2;
    while (available > 0) {
        while (root >= 0 && a[root] == depth) {
            used++;
            root--;
        }
        while (available > used) {
            a[next--] = depth;
            available--;
        }
        available = 2 * used;
        depth++;
        used = 0;
    }
}

/* Counts of leaves by depth, none deeper than HUF_LONGEST: those that were go there, and for each excess leaf
 * one less deep becomes the parent of two, until the code is complete again. */
static void limit_depths(const uint32_t *depths, size_t n, unsigned *count) {
    memset(count, 0, (HUF_LONGEST + 1) * sizeof *count);
    uint32_t taken = 0; /* of 1 << HUF_LONGEST codes */
    for (size_t i = 0; i < n; i++) {
        uint32_t depth = depths[i] < HUF_LONGEST ? depths[i] : HUF_LONGEST;
        count[depth]++;
        taken += 1u << (HUF_LONGEST - depth);
    }
    for (; taken > 1u << HUF_LONGEST; taken--) {
        unsigned depth = HUF_LONGEST - 1;
        while (!count[depth])
            depth--;
        count[depth]--;
        count[depth + 1] += 2;
        count[HUF_LONGEST]--;
    }
}

static uint32_t reversed(uint32_t code, unsigned length) {
    code = (code & 0x5555) << 1 | (code >> 1 & 0x5555);
    code = (code & 0x3333) << 2 | (code >> 2 & 0x3333);
    code = (code & 0x0F0F) << 4 | (code >> 4 & 0x0F0F);
    code = (code & 0x00FF) << 8 | (code >> 8 & 0x00FF);
    return code >> (16 - length);
}

void huf_assign(const uint8_t *lengths, size_t n, huf_code *out) {
    uint32_t next[HUF_LONGEST + 2] = {0}, count[HUF_LONGEST + 1] = {0};
    for (size_t i = 0; i < n; i++)
        count[lengths[i]]++;
    count[0] = 0;
    for (unsigned bits = 1; bits <= HUF_LONGEST; bits++)
        next[bits + 1] = (next[bits] + count[bits]) << 1;
    for (size_t i = 0; i < n; i++) {
        unsigned length = lengths[i];
        out->of[i] = length ? reversed(next[length]++, length) | length << 16 : 0;
    }
}

void huf_build(const uint32_t *weights, size_t n, huf_code *out) {
    leaf leaves[HUF_SYMBOLS] = {{0, 0}};
    uint32_t depths[HUF_SYMBOLS];
    uint8_t lengths[HUF_SYMBOLS] = {0};
    unsigned count[HUF_LONGEST + 1];
    size_t used = sorted_leaves(weights, n, leaves);
    if (used < 2) {
        lengths[0] = lengths[1] = 1;
        if (used == 1 && leaves[0].symbol > 1)
            lengths[1] = 0, lengths[leaves[0].symbol] = 1;
        huf_assign(lengths, n, out);
        return;
    }
    for (size_t i = 0; i < used; i++)
        depths[i] = leaves[i].weight;
    tree_depths(depths, (int)used);
    limit_depths(depths, used, count);
    size_t i = 0;
    for (unsigned depth = HUF_LONGEST; depth > 0; depth--)
        for (unsigned k = count[depth]; k > 0; k--)
            lengths[leaves[i++].symbol] = (uint8_t)depth;
    huf_assign(lengths, n, out);
}
