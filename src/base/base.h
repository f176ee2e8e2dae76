/* base: what every other module stands on. Knows nothing of serving or ops.
 *
 * Other modules include this header only; the files below it are parts of one public interface.
 */
#ifndef AICFG_BASE_BASE_H
#define AICFG_BASE_BASE_H

#include "base/csv.h"      /* comma-separated point lists and exports */
#include "base/digest.h"   /* SHA-256 and CRC-32 */
#include "base/doc.h"      /* YAML and JSON documents with positions */
#include "base/error.h"    /* one error value, exit codes */
#include "base/expr.h"     /* the expression language and name templates */
#include "base/io.h"       /* file calls, which tests can make fail */
#include "base/mem.h"      /* checked allocation, arenas */
#include "base/progress.h" /* progress with rate and ETA, interrupt flag */
#include "base/shelf.h"    /* a table that many threads fill and search */
#include "base/shuffle.h"  /* the byte shuffle of HDF5 files */
#include "base/text.h"     /* string buffer, interning, nearest name */
#include "base/wide.h"     /* loops over columns in wide vectors */

#endif
