/* links: base. The JSON reader on any bytes, by way of a file as config.json comes; seeds in seeds/json. */
#include "base/base.h"
#include <stdlib.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[] = "/tmp/aicfg-fuzz-json-XXXXXX";

static void remove_file(void) {
    unlink(path);
}

/* One file for the whole run: NaN words are replaced only in files. */
static void write_file(const uint8_t *data, size_t size) {
    static FILE *f;
    if (!f) {
        f = fdopen(mkstemp(path), "wb");
        if (!f)
            abort();
        atexit(remove_file);
    }
    rewind(f);
    if (fwrite(data, 1, size, f) != size || fflush(f) != 0 || ftruncate(fileno(f), (off_t)size) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    aic_arena *a = aic_arena_new();
    aic_error err = {0};
    aic_node *strict = aic_doc_json_text(a, "fuzz.json", (const char *)data, size, &err);
    if ((strict == NULL) != (err.code != AIC_OK))
        abort();
    write_file(data, size);
    aic_node *lenient = aic_doc_json_file(a, path, true, &err);
    if (strict && !lenient) /* what is JSON as it stands stays so */
        abort();
    bool parts = true;
    aic_node *outline = aic_doc_json_outline_text(a, "fuzz.json", (const char *)data, size, 1, NULL);
    for (size_t i = 0; outline && i < outline->count; i++)
        parts =
            (!aic_doc_is_part(outline->items[i]) || aic_doc_json_part(a, outline->items[i], false, NULL)) &&
            parts;
    if (outline && parts && !strict && size < AIC_DOC_MAX_DEPTH) /* JSON, made of what is JSON, is JSON */
        abort();
    if (strict && (!outline || !parts))
        abort();
    aic_arena_free(a);
    return 0;
}
