/* Progress on standard error, and the interrupt flag.
 *
 * On a terminal one line is redrawn: done/total, rate, ETA, refusals so far; otherwise a plain line every
 * 30 s. NO_COLOR and quiet are honoured.
 */
#ifndef AICFG_BASE_PROGRESS_H
#define AICFG_BASE_PROGRESS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct aic_progress aic_progress;
/* Counts `unit`s ("points") up to total, 0 = unknown. */
aic_progress *aic_progress_start(const char *unit, uint64_t total, bool quiet);
/* Cheap, from any thread; draws at most 5 times a second. What the first call reports as done (a resumed
 * sweep's points) does not count towards the rate. */
void aic_progress_update(aic_progress *p, uint64_t done, uint64_t refused);
void aic_progress_end(aic_progress *p); /* clears the line, frees; NULL is allowed */

/* Installs handlers for SIGINT, SIGTERM and SIGHUP, those that are not ignored: the first signal sets the
 * flag, a second ends the process at once. */
void aic_interrupt_install(void);
int aic_interrupted(void); /* 0, or AIC_SIGNALS + number after a signal */
/* Writing to a pipe nobody reads any more becomes an error instead of the end of the process: what runs for
 * hours must not die of a closed log. */
void aic_ignore_closed_pipes(void);

double aic_now(void); /* monotonic seconds */

#endif
