/* Loops over columns, built for several widths of vectors. */
#ifndef AICFG_BASE_WIDE_H
#define AICFG_BASE_WIDE_H

/* A function of it is compiled twice, for every machine of the architecture and for those with AVX2, and the
 * system picks when the program is loaded. The bits are the same: no step is fused or reordered, more lanes
 * take it at once. For functions that are one loop; their names must be unique in the program, static ones'
 * too (clang makes a global symbol of each). Checkers instrument what would run before they are set up. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define AIC_CHECKED_ 1
#endif
#endif
#if defined(__x86_64__) && defined(__gnu_linux__) && defined(__GNUC__) && !defined(AIC_CHECKED_) &&          \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define AIC_WIDE __attribute__((target_clones("avx2", "default")))
#else
#define AIC_WIDE
#endif

/* Before a loop over registers: it must go for values to stay there. gcc wants to be told, clang does worse
 * when it is. */
#ifdef __clang__
#define AIC_UNROLL
#else
#define AIC_UNROLL _Pragma("GCC unroll 8")
#endif

#ifdef __GNUC__
typedef double aic_four __attribute__((vector_size(32))); /* in a register, or two of them */
#endif

#endif
