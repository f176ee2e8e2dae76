#include "base/progress.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/progress_internal.h"
#include "base/text.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const double REDRAW_SECONDS = 0.2, LINE_SECONDS = 30.0;

struct aic_progress {
    char unit[32];
    uint64_t total;
    bool quiet, terminal, colour;
    atomic_flag busy; /* held by the thread that draws; others go on without waiting */
    bool begun; /* the first update was seen: what was done before it (a resumed sweep) is no part of the rate
                 */
    uint64_t base;
    double base_time, next_time;
};

static atomic_bool line_on_screen;

double aic_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void aic_progress_clear_line(void) {
    if (atomic_exchange(&line_on_screen, false))
        fputs("\r\033[K", stderr);
}

aic_progress *aic_progress_start(const char *unit, uint64_t total, bool quiet) {
    aic_progress *p = AIC_NEW(aic_progress);
    const char *term = getenv("TERM"), *no_colour = getenv("NO_COLOR");
    snprintf(p->unit, sizeof p->unit, "%s", unit);
    p->total = total;
    p->quiet = quiet;
    p->terminal = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
    p->colour = p->terminal && !(no_colour && *no_colour);
    atomic_flag_clear(&p->busy);
    p->base_time = aic_now();
    p->next_time = p->base_time + (p->terminal ? REDRAW_SECONDS : LINE_SECONDS);
    return p;
}

static void clock_text(double seconds, char out[32]) {
    if (!(seconds < 1e9)) {
        snprintf(out, 32, "?");
        return;
    }
    long s = (long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, 32, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, 32, "%ld:%02ld", s / 60, s % 60);
}

static void draw(const aic_progress *p, uint64_t done, uint64_t refused, double now) {
    char done_text[32], total_text[32], rate_text[32], refused_text[32], eta[32], line[256];
    double seconds = now - p->base_time;
    double rate = done > p->base && seconds > 0 ? (double)(done - p->base) / seconds : 0;
    aic_group_digits(done, done_text);
    aic_group_digits((uint64_t)rate, rate_text);
    int n;
    if (p->total) {
        aic_group_digits(p->total, total_text);
        clock_text(done < p->total ? (double)(p->total - done) / rate : 0, eta);
        n = snprintf(line, sizeof line, "%s/%s %s  %.1f %%  %s/s  ETA %s", done_text, total_text, p->unit,
                     100.0 * (double)done / (double)p->total, rate_text, eta);
    } else {
        n = snprintf(line, sizeof line, "%s %s  %s/s", done_text, p->unit, rate_text);
    }
    if (refused && n > 0 && (size_t)n < sizeof line) {
        aic_group_digits(refused, refused_text);
        snprintf(line + n, sizeof line - (size_t)n,
                 p->colour ? "  \033[33m%s refused\033[0m" : "  %s refused", refused_text);
    }
    if (p->terminal) {
        fprintf(stderr, "\r%s\033[K", line);
        fflush(stderr);
        atomic_store(&line_on_screen, true);
    } else {
        fprintf(stderr, "%s\n", line);
    }
}

void aic_progress_update(aic_progress *p, uint64_t done, uint64_t refused) {
    if (p->quiet || atomic_flag_test_and_set_explicit(&p->busy, memory_order_acquire))
        return;
    double now = aic_now();
    if (!p->begun) {
        p->begun = true;
        p->base = done;
        p->base_time = now;
    }
    if (now >= p->next_time) {
        draw(p, done, refused, now);
        p->next_time = now + (p->terminal ? REDRAW_SECONDS : LINE_SECONDS);
    }
    atomic_flag_clear_explicit(&p->busy, memory_order_release);
}

void aic_progress_end(aic_progress *p) {
    if (!p)
        return;
    aic_progress_clear_line();
    free(p);
}

static atomic_int caught; /* lock-free, so fit for a handler and for many readers */

/* Only async-signal-safe calls in here. */
static void on_signal(int signal_number) {
    int code = AIC_SIGNALS + signal_number;
    if (atomic_exchange(&caught, code))
        _exit(code);
}

/* A signal that is ignored when the program starts stays so: nohup and shells without job control rely on it.
 */
static void handle(int signal_number, const struct sigaction *action) {
    struct sigaction before;
    if (sigaction(signal_number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(signal_number, action, NULL);
}

void aic_interrupt_install(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART; /* reads and writes under way are finished, not broken off */
    sigemptyset(&action.sa_mask);
    handle(SIGINT, &action);
    handle(SIGTERM, &action);
    handle(SIGHUP, &action);
}

void aic_ignore_closed_pipes(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_IGN;
    sigemptyset(&action.sa_mask);
    sigaction(SIGPIPE, &action, NULL);
}

int aic_interrupted(void) {
    return atomic_load_explicit(&caught, memory_order_relaxed);
}
