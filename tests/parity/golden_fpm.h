/* Reference answers of FpmForward, evaluated here and compared.
 *
 * The file carries its own tables: the first line gives model and identity, a line with "rows" is a table (on
 * the hardware it names, b200_sxm by default), and the lines after it are queries of it. Each table becomes a
 * database in a temporary folder.
 */
#ifndef AICFG_TESTS_GOLDEN_FPM_H
#define AICFG_TESTS_GOLDEN_FPM_H

#include "parity/golden_ops.h"

/* Is this such a file? */
bool golden_fpm_holds(const char *path);
/* sheets: folder of spec sheets. mode: as a record names it. Returns false when the file cannot be read. */
bool golden_fpm_run(const char *path, const char *sheets, const char *mode, golden_report *report);

#endif
