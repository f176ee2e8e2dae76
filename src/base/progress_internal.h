/* What the rest of base needs of progress: whoever writes to standard error first wipes a line drawn there.
 */
#ifndef AICFG_BASE_PROGRESS_INTERNAL_H
#define AICFG_BASE_PROGRESS_INTERNAL_H

void aic_progress_clear_line(void); /* nothing when no progress line is on screen; thread-safe */

#endif
