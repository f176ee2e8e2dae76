/* Huffman codes as deflate (RFC 1951) sends them; private to results. */
#ifndef AICFG_RESULTS_HUFFMAN_H
#define AICFG_RESULTS_HUFFMAN_H

#include <stddef.h>
#include <stdint.h>

enum {
    HUF_SYMBOLS = 288, /* of the larger alphabet: bytes, the end, lengths, two that are never used */
    HUF_LONGEST = 14 /* bits of a code; deflate allows 15, but four of 14 fit into a word with what is held */
};

/* Per symbol its code, reversed as it is sent, and above bit 16 the code's length; 0 = unused. */
typedef struct huf_code {
    uint32_t of[HUF_SYMBOLS];
} huf_code;

static inline uint32_t huf_bits(uint32_t code) {
    return code & 0xFFFF;
}
static inline unsigned huf_length(uint32_t code) {
    return code >> 16;
}

/* The best code for n <= HUF_SYMBOLS symbols of which weights[i] are to be sent, in total below 2^32. At
 * least two symbols have a code: an inflate may insist on it. */
void huf_build(const uint32_t *weights, size_t n, huf_code *out);
/* Canonical codes of given lengths: out->of[i] for i < n. */
void huf_assign(const uint8_t *lengths, size_t n, huf_code *out);

#endif
