/* links: base. Progress output and the interrupt flag, seen from outside in a child process. */
#define _XOPEN_SOURCE 700 /* pseudo-terminals */
#include "base/base.h"
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* Runs f in a child; what it wrote to standard error comes back, its wait status in *status. */
static void run_child(void (*f)(void), char *text, size_t size, int *status) {
    int ends[2];
    fflush(NULL);
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        close(ends[1]);
        f();
        fflush(stderr);
        _exit(0);
    }
    close(ends[1]);
    size_t len = 0;
    ssize_t n;
    while ((n = read(ends[0], text + len, size - 1 - len)) > 0)
        len += (size_t)n;
    text[len] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(pid, status, 0), pid);
}

static void many_updates(void) {
    aic_progress *p = aic_progress_start("points", 1000, false);
    for (uint64_t i = 0; i <= 1000; i++)
        aic_progress_update(p, i, i / 10);
    aic_progress_end(p);
}

static void quiet_warnings(void) {
    aic_warn("first %d", 1);
    aic_quiet(true);
    aic_warn("second");
    aic_quiet(false);
    aic_warn("third");
}

static void test_plain_output(void **state) {
    (void)state;
    char text[4096];
    int status;
    run_child(many_updates, text, sizeof text, &status);
    assert_int_equal(status, 0);
    assert_string_equal(text, ""); /* no terminal: nothing before 30 s have passed */
    run_child(quiet_warnings, text, sizeof text, &status);
    assert_string_equal(text, "warning: first 1\nwarning: third\n");
}

/* The same on a pseudo-terminal. */
static void run_on_terminal(void (*f)(void), char *text, size_t size) {
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    assert_true(terminal >= 0);
    assert_int_equal(grantpt(terminal), 0);
    assert_int_equal(unlockpt(terminal), 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(open(ptsname(terminal), O_RDWR | O_NOCTTY), STDERR_FILENO);
        f();
        fflush(stderr);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid); /* what it writes fits the terminal's buffer */
    assert_int_equal(status, 0);
    ssize_t n = read(terminal, text, size - 1);
    text[n > 0 ? n : 0] = '\0';
    close(terminal);
}

static void draw(uint64_t total, bool quiet) {
    struct timespec pause = {0, 220000000};
    aic_progress *p = aic_progress_start("points", total, quiet);
    aic_progress_update(p, 1234567, 0);
    nanosleep(&pause, NULL);
    aic_progress_update(p, 1234567, 1200);
    aic_progress_update(p, 1234568, 1200); /* too soon to be drawn */
    aic_warn("careful");
    aic_progress_end(p);
}

static void draw_in_colour(void) {
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    draw(5000000, false);
}

static void draw_without_colour(void) {
    setenv("TERM", "xterm", 1);
    setenv("NO_COLOR", "1", 1);
    draw(0, false);
}

static void draw_on_dumb_terminal(void) {
    setenv("TERM", "dumb", 1);
    draw(5000000, false);
}

static void draw_quietly(void) {
    setenv("TERM", "xterm", 1);
    draw(5000000, true);
}

/* Bare containers have no /dev/pts. */
static bool has_terminals(void) {
    int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal >= 0)
        close(terminal);
    return terminal >= 0;
}

static void test_terminal(void **state) {
    (void)state;
    if (!has_terminals())
        skip();
    char text[4096];
    run_on_terminal(draw_in_colour, text, sizeof text);
    assert_string_equal(text,
                        "\r1,234,567/5,000,000 points  24.7 %  0/s  ETA ?  \033[33m1,200 refused\033[0m\033[K"
                        "\r\033[Kwarning: careful\r\n");
    run_on_terminal(draw_without_colour, text, sizeof text);
    assert_string_equal(text, "\r1,234,567 points  0/s  1,200 refused\033[K\r\033[Kwarning: careful\r\n");
    run_on_terminal(draw_on_dumb_terminal, text, sizeof text);
    assert_string_equal(text, "warning: careful\r\n");
    run_on_terminal(draw_quietly, text, sizeof text);
    assert_string_equal(text, "warning: careful\r\n");
}

static void first_signal(void) {
    aic_interrupt_install();
    if (aic_interrupted() != 0)
        _exit(10);
    raise(SIGTERM);
    _exit(aic_interrupted() == AIC_TERMINATED ? 11 : 12);
}

static void ignored_signal(void) {
    signal(SIGINT, SIG_IGN); /* as nohup and background jobs have it */
    aic_interrupt_install();
    raise(SIGINT);
    if (aic_interrupted() != 0)
        _exit(10);
    raise(SIGHUP);
    _exit(aic_interrupted() == AIC_HUNG_UP ? 11 : 12);
}

static void closed_pipe(void) {
    int ends[2];
    aic_ignore_closed_pipes();
    if (pipe(ends) != 0 || close(ends[0]) != 0)
        _exit(10);
    _exit(write(ends[1], "x", 1) < 0 ? 11 : 12);
}

static void second_signal(void) {
    aic_interrupt_install();
    raise(SIGINT);
    if (aic_interrupted() != AIC_INTERRUPTED)
        _exit(10);
    raise(SIGINT);
    _exit(12); /* not reached */
}

static void test_signals(void **state) {
    (void)state;
    char text[256];
    int status;
    run_child(first_signal, text, sizeof text, &status);
    assert_int_equal(WEXITSTATUS(status), 11);
    run_child(second_signal, text, sizeof text, &status);
    assert_int_equal(WEXITSTATUS(status), AIC_INTERRUPTED);
    run_child(ignored_signal, text, sizeof text, &status);
    assert_int_equal(WEXITSTATUS(status), 11);
    run_child(closed_pipe, text, sizeof text, &status);
    assert_int_equal(WEXITSTATUS(status), 11);
    assert_int_equal(aic_interrupted(), 0);
}

static void test_clock(void **state) {
    (void)state;
    double before = aic_now();
    struct timespec pause = {0, 2000000};
    nanosleep(&pause, NULL);
    double after = aic_now();
    assert_true(after - before >= 0.002 && after - before < 10);
    aic_progress_end(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_output),
        cmocka_unit_test(test_terminal),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
