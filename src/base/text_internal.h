/* Text helpers shared by the readers inside base. */
#ifndef AICFG_BASE_TEXT_INTERNAL_H
#define AICFG_BASE_TEXT_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>

/* What a text is under the one number grammar of this program: [+-] digits, no leading zeros; reals with a
 * point, an exponent or both. */
typedef enum aic_number_shape { AIC_NOT_A_NUMBER, AIC_INTEGER_SHAPE, AIC_REAL_SHAPE } aic_number_shape;
aic_number_shape aic_shape_of_number(const char *s);

/* Bytes of the UTF-8 character at s, of which `rest` bytes are there; 0 when it is not valid (overlong forms,
 * surrogates and code points beyond 10FFFF included). */
size_t aic_utf8_length(const char *s, size_t rest);

/* Offset of the first byte that is not valid UTF-8, or len. */
size_t aic_utf8_bad(const char *s, size_t len);

/* A hostile text made fit to stand in a message: control and invalid bytes as \xNN, cut with "..." after
 * about 60 bytes. Returns out. */
enum { AIC_SHOWN = 80 };
const char *aic_shown(const char *s, char out[AIC_SHOWN]);

#endif
