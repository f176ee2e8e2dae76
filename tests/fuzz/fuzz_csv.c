/* links: base. The CSV reader on any bytes, and its records written and read again; seeds in seeds/csv. */
#include "base/base.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char paths[2][32] = {"/tmp/aicfg-fuzz-csv-XXXXXX", "/tmp/aicfg-fuzz-csv-XXXXXX"};
static FILE *files[2];

static void remove_files(void) {
    unlink(paths[0]);
    unlink(paths[1]);
}

static void write_file(int which, const void *data, size_t size) {
    FILE *f = files[which];
    rewind(f);
    if (fwrite(data, 1, size, f) != size || fflush(f) != 0 || ftruncate(fileno(f), (off_t)size) != 0)
        abort();
}

/* All records of a file, quoted anew; *ok tells whether it was read to its end. */
static aic_buf rewrite(const char *path, bool *ok) {
    aic_error err = {0};
    aic_buf out = {0};
    char **fields;
    size_t n;
    int got;
    aic_csv *c = aic_csv_open(path, &err);
    aic_buf_add(&out, "");
    while ((got = aic_csv_next(c, &fields, &n, &err)) == 1) {
        if (n == 1 && !fields[0][0])
            aic_buf_add(&out, "\"\""); /* unquoted it would be a blank line */
        for (size_t i = 0; i < n; i++) {
            aic_buf_add(&out, i ? "," : "");
            aic_csv_quote(&out, fields[i]);
        }
        aic_buf_add(&out, "\n");
    }
    *ok = got == 0;
    if (*ok != (err.code == AIC_OK))
        abort();
    aic_csv_close(c);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    for (int i = 0; i < 2 && !files[i]; i++) {
        files[i] = fdopen(mkstemp(paths[i]), "wb");
        if (!files[i])
            abort();
        if (i == 1)
            atexit(remove_files);
    }
    bool ok, again;
    write_file(0, data, size);
    aic_buf first = rewrite(paths[0], &ok);
    if (ok && size < 100000 && !(first.len >= 3 && memcmp(first.data, "\xef\xbb\xbf", 3) == 0)) {
        write_file(1, first.data, first.len);
        aic_buf second = rewrite(paths[1], &again);
        if (!again || second.len != first.len || memcmp(first.data, second.data, first.len) != 0)
            abort();
        aic_buf_free(&second);
    }
    aic_buf_free(&first);
    return 0;
}
