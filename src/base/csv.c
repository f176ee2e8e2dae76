#include "base/csv.h"
#include "base/io.h"
#include "base/mem.h"
#include "base/text_internal.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_RECORD = 1 << 20, PIECE = 1 << 16 };

struct aic_csv {
    int fd;
    int failed; /* errno of the read that failed, or 0 */
    char *path;
    size_t at, filled; /* the next byte in piece, bytes in it */
    int next_line;     /* line the next byte stands on */
    int record_line;   /* first line of the record just read */
    aic_buf text;      /* the record's fields, each followed by a NUL */
    size_t *starts;    /* offsets of the fields in text */
    bool *quoted;      /* as many: the field stood in quotes */
    size_t n_starts, cap_starts;
    char **fields; /* the same as pointers, made when the record is whole */
    size_t cap_fields;
    char piece[PIECE];
};

/* The next byte, not taken; EOF at the end (or after a read error, told apart at the end of the file). */
static int peek(aic_csv *c) {
    if (c->at == c->filled) {
        ssize_t n = aic_io_read(c->fd, c->piece, PIECE);
        c->failed = n < 0 ? errno : 0;
        c->filled = n > 0 ? (size_t)n : 0;
        c->at = 0;
        if (c->filled == 0)
            return EOF;
    }
    return (unsigned char)c->piece[c->at];
}

static int take(aic_csv *c) {
    int ch = peek(c);
    if (ch != EOF)
        c->at++;
    if (ch == '\n')
        c->next_line++;
    return ch;
}

aic_csv *aic_csv_open(const char *path, aic_error *err) {
    int fd = aic_io_open(path, O_RDONLY, 0);
    if (fd < 0) {
        aic_fail(err, AIC_IO, "cannot open %s: %s", path, strerror(errno));
        return NULL;
    }
    aic_csv *c = AIC_NEW(aic_csv);
    c->fd = fd;
    size_t size = strlen(path) + 1;
    c->path = aic_alloc(size, 1);
    memcpy(c->path, path, size);
    c->next_line = 1;
    if (peek(c) == 0xef && c->filled >= 3 && memcmp(c->piece, "\xef\xbb\xbf", 3) == 0)
        c->at = 3; /* a byte order mark, as spreadsheets write it */
    return c;
}

void aic_csv_close(aic_csv *c) {
    if (!c)
        return;
    aic_io_close(c->fd);
    aic_buf_free(&c->text);
    free(c->starts);
    free(c->quoted);
    free(c->fields);
    free(c->path);
    free(c);
}

static bool fail(const aic_csv *c, int line, const char *what, aic_error *err) {
    return aic_fail_at(err, c->path, line, 0, "%s", what);
}

static bool too_long(const aic_csv *c, aic_error *err) {
    return fail(c, c->record_line, "a record longer than 1 MiB; is a closing quote missing?", err);
}

static bool append(aic_csv *c, char byte, aic_error *err) {
    if (c->text.len >= LONGEST_RECORD)
        return too_long(c, err);
    aic_buf_addn(&c->text, &byte, 1);
    return true;
}

/* A byte of a field. */
static bool keep(aic_csv *c, int ch, aic_error *err) {
    if (ch == '\0')
        return fail(c, c->next_line, "a NUL byte; this is not a text file", err);
    return append(c, (char)ch, err);
}

typedef enum ending { MORE_FIELDS, LAST_FIELD, BROKEN } ending;

/* Takes what ends a field: a comma, or LF, CR LF, the end of the file. */
static ending take_ending(aic_csv *c, aic_error *err) {
    int ch = take(c);
    if (ch == ',')
        return MORE_FIELDS;
    if (ch == '\n' || ch == EOF)
        return LAST_FIELD;
    if (ch == '\r' && (peek(c) == '\n' || peek(c) == EOF)) {
        take(c);
        return LAST_FIELD;
    }
    fail(c, c->next_line, ch == '\r' ? "a carriage return inside a line" : "text after a closing quote", err);
    return BROKEN;
}

static ending read_quoted(aic_csv *c, aic_error *err) {
    take(c);
    for (;;) {
        int ch = take(c);
        if (ch == EOF) {
            fail(c, c->record_line, "a quote is opened in this record and never closed", err);
            return BROKEN;
        }
        if (ch == '"') {
            if (peek(c) != '"')
                return take_ending(c, err);
            take(c);
        }
        if (!keep(c, ch, err))
            return BROKEN;
    }
}

static bool is_plain(char ch) {
    return ch != ',' && ch != '\n' && ch != '\r' && ch != '"' && ch != '\0';
}

/* How many bytes at hand mean nothing but themselves. */
static size_t plain_run(const aic_csv *c) {
    size_t at = c->at;
    while (at < c->filled && is_plain(c->piece[at]))
        at++;
    return at - c->at;
}

static ending read_plain(aic_csv *c, aic_error *err) {
    for (;;) {
        int ch = peek(c);
        size_t run = ch == EOF ? 0 : plain_run(c);
        if (run) {
            if (run > LONGEST_RECORD - c->text.len) {
                too_long(c, err);
                return BROKEN;
            }
            aic_buf_addn(&c->text, c->piece + c->at, run);
            c->at += run;
            continue;
        }
        if (ch == ',' || ch == '\n' || ch == '\r' || ch == EOF)
            return take_ending(c, err);
        if (ch == '"')
            fail(c, c->next_line, "a quote inside a field that does not begin with one", err);
        else
            keep(c, ch, err);
        return BROKEN;
    }
}

/* Empty lines (of spaces not) are passed over; false at the end of the file. */
static bool skip_blank_lines(aic_csv *c) {
    for (;;) {
        int ch = peek(c);
        if (ch != '\n' && ch != '\r')
            return ch != EOF;
        take(c);
    }
}

static bool check_text(const aic_csv *c, aic_error *err) {
    if (aic_utf8_bad(c->text.data, c->text.len) < c->text.len)
        return fail(c, c->record_line, "the text is not valid UTF-8", err);
    return true;
}

static void point_at_fields(aic_csv *c) {
    if (c->cap_fields < c->cap_starts) {
        c->cap_fields = c->cap_starts;
        c->fields = aic_realloc(c->fields, c->cap_fields, sizeof *c->fields);
    }
    for (size_t i = 0; i < c->n_starts; i++)
        c->fields[i] = c->text.data + c->starts[i];
}

static void start_field(aic_csv *c, bool quoted) {
    if (c->n_starts == c->cap_starts) {
        c->cap_starts = c->cap_starts ? aic_mul(c->cap_starts, 2) : 16;
        c->starts = aic_realloc(c->starts, c->cap_starts, sizeof *c->starts);
        c->quoted = aic_realloc(c->quoted, c->cap_starts, sizeof *c->quoted);
    }
    c->starts[c->n_starts] = c->text.len;
    c->quoted[c->n_starts++] = quoted;
}

int aic_csv_next(aic_csv *c, char ***fields, size_t *n, aic_error *err) {
    aic_buf_clear(&c->text);
    c->n_starts = 0;
    if (!skip_blank_lines(c)) {
        if (!c->failed)
            return 0;
        aic_fail(err, AIC_IO, "cannot read %s: %s", c->path, strerror(c->failed));
        return -1;
    }
    c->record_line = c->next_line;
    ending end = MORE_FIELDS;
    while (end == MORE_FIELDS) {
        bool quoted = peek(c) == '"';
        start_field(c, quoted);
        end = quoted ? read_quoted(c, err) : read_plain(c, err);
        if (end == BROKEN || !append(c, '\0', err))
            return -1;
    }
    if (!check_text(c, err))
        return -1;
    point_at_fields(c);
    *fields = c->fields;
    *n = c->n_starts;
    return 1;
}

int aic_csv_line(const aic_csv *c) {
    return c->record_line;
}

bool aic_csv_quoted(const aic_csv *c, size_t i) {
    return c->quoted[i];
}

const char *aic_csv_path(const aic_csv *c) {
    return c->path;
}

void aic_csv_quote(aic_buf *b, const char *field) {
    if (!field[strcspn(field, ",\"\r\n")]) {
        aic_buf_add(b, field);
        return;
    }
    aic_buf_add(b, "\"");
    for (const char *p = field; *p; p++)
        aic_buf_addn(b, *p == '"' ? "\"\"" : p, *p == '"' ? 2 : 1);
    aic_buf_add(b, "\"");
}
