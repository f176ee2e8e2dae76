/* The three ways versions are ordered (docs/model/sources.md): PEP 440 for sources, slot keys, lane keys. */
#include "perfdb/internal.h"
#include <string.h>

static bool digit(char c) {
    return c >= '0' && c <= '9';
}

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool alnum(char c) {
    return digit(c) || (lower(c) >= 'a' && lower(c) <= 'z');
}

/* Reads digits at *p; false when there are none or they do not fit. */
static bool number(const char **p, uint64_t *out) {
    const char *s = *p;
    if (!digit(*s))
        return false;
    for (*out = 0; digit(*s); s++) {
        uint64_t d = (uint64_t)(*s - '0');
        if (*out > (UINT64_MAX - d) / 10)
            return false;
        *out = *out * 10 + d;
    }
    *p = s;
    return true;
}

static int compare_numbers(uint64_t a, uint64_t b) {
    return (a > b) - (a < b);
}

/* ---- PEP 440 --------------------------------------------------------------------------------- */

enum { PRE_DEV_ONLY, PRE_A, PRE_B, PRE_RC, PRE_NONE }; /* ranks of pdb_pep440.pre */

static bool separator(char c) {
    return c == '-' || c == '_' || c == '.';
}

/* Skips "[-_.]word[-_.]number" at *p when it stands there; the number defaults to 0. */
static bool labelled(const char **p, const char *word, uint64_t *out) {
    const char *s = *p;
    if (separator(*s))
        s++;
    for (const char *w = word; *w; w++, s++)
        if (lower(*s) != *w)
            return false;
    if (alnum(*s) && !digit(*s))
        return false;
    if (separator(*s) && digit(s[1]))
        s++;
    *out = 0;
    if (digit(*s) && !number(&s, out))
        return false;
    *p = s;
    return true;
}

static void read_pre(const char **p, pdb_pep440 *v) {
    static const struct {
        const char *word;
        int rank;
    } words[] = {{"alpha", PRE_A}, {"a", PRE_A},  {"beta", PRE_B},     {"b", PRE_B},
                 {"rc", PRE_RC},   {"c", PRE_RC}, {"preview", PRE_RC}, {"pre", PRE_RC}};
    v->pre = PRE_NONE;
    for (size_t i = 0; i < sizeof words / sizeof *words && v->pre == PRE_NONE; i++)
        if (labelled(p, words[i].word, &v->pre_number))
            v->pre = words[i].rank;
}

static void read_post(const char **p, pdb_pep440 *v) {
    const char *s = *p + 1;
    if (**p == '-' && number(&s, &v->post)) {
        v->has_post = true;
        *p = s;
        return;
    }
    v->has_post = labelled(p, "post", &v->post) || labelled(p, "rev", &v->post) || labelled(p, "r", &v->post);
}

/* "+part.part": letters and digits, separated. */
static bool read_local(const char **p, pdb_pep440 *v) {
    v->local = "";
    if (**p != '+')
        return true;
    const char *s = v->local = *p + 1;
    for (; *s; s++)
        if (!alnum(*s) && !(separator(*s) && s > v->local && alnum(s[-1]) && alnum(s[1])))
            return false;
    *p = s;
    return s > v->local;
}

pdb_pep440 pdb_pep440_read(const char *text) {
    pdb_pep440 v = {.local = ""};
    const char *p = text;
    if (lower(*p) == 'v')
        p++;
    const char *start = p;
    if (number(&p, &v.epoch) && *p == '!')
        p++;
    else {
        p = start;
        v.epoch = 0;
    }
    do {
        if (v.n_release == PEP_RELEASE_MAX || !number(&p, &v.release[v.n_release]))
            return v;
        v.n_release++;
    } while (*p == '.' && digit(p[1]) && p++);
    while (v.n_release > 1 && v.release[v.n_release - 1] == 0)
        v.n_release--;
    read_pre(&p, &v);
    read_post(&p, &v);
    v.has_dev = labelled(&p, "dev", &v.dev);
    if (v.pre == PRE_NONE && !v.has_post && v.has_dev)
        v.pre = PRE_DEV_ONLY;
    v.ok = read_local(&p, &v) && *p == '\0';
    return v;
}

/* Local parts: numbers above words, numbers by value, words bytewise in lower case, a longer list above its
 * prefix. */
static int compare_local(const char *a, const char *b) {
    while (*a && *b) {
        const char *ea = a, *eb = b;
        uint64_t na = 0, nb = 0;
        while (alnum(*ea))
            ea++;
        while (alnum(*eb))
            eb++;
        const char *pa = a, *pb = b;
        bool da = number(&pa, &na) && pa == ea, db = number(&pb, &nb) && pb == eb;
        if (da != db)
            return da ? 1 : -1;
        int order = da ? compare_numbers(na, nb) : 0;
        for (; !da && order == 0 && (a < ea || b < eb); a++, b++) {
            if (a == ea || b == eb)
                return a == ea ? -1 : 1;
            order = (unsigned char)lower(*a) - (unsigned char)lower(*b);
        }
        if (order)
            return order;
        a = *ea ? ea + 1 : ea;
        b = *eb ? eb + 1 : eb;
    }
    return (*a != '\0') - (*b != '\0');
}

int pdb_pep440_compare(const pdb_pep440 *a, const pdb_pep440 *b) {
    int order = compare_numbers(a->epoch, b->epoch);
    for (int i = 0; order == 0 && (i < a->n_release || i < b->n_release); i++)
        order = compare_numbers(i < a->n_release ? a->release[i] : 0, i < b->n_release ? b->release[i] : 0);
    if (order == 0)
        order = a->pre - b->pre;
    if (order == 0 && a->pre != PRE_NONE)
        order = compare_numbers(a->pre_number, b->pre_number);
    if (order == 0)
        order = a->has_post - b->has_post;
    if (order == 0)
        order = compare_numbers(a->post, b->post);
    if (order == 0)
        order = b->has_dev - a->has_dev;
    if (order == 0)
        order = compare_numbers(a->dev, b->dev);
    return order ? order : compare_local(a->local, b->local);
}

int pdb_version_compare(const char *a, const char *b) {
    pdb_pep440 x = pdb_pep440_read(a), y = pdb_pep440_read(b);
    int order = x.ok && y.ok ? pdb_pep440_compare(&x, &y) : x.ok - y.ok;
    return order ? order : strcmp(a, b);
}

/* ---- slot keys ------------------------------------------------------------------------------- */

/* "number.number" or, with parts = 3, "number.number.number" at s; returns its end or NULL. */
static const char *dotted(const char *s, int parts, uint64_t *out) {
    for (int i = 0; i < parts; i++) {
        if (i && *s++ != '.')
            return NULL;
        if (!number(&s, &out[i]))
            return NULL;
    }
    return s;
}

/* First place in text where `parts` dotted numbers stand; returns their end or NULL. */
static const char *find_dotted(const char *text, int parts, uint64_t *out) {
    const char *end = NULL;
    for (const char *s = text; *s && !end; s++)
        if (digit(*s))
            end = dotted(s, parts, out);
    return end;
}

void pdb_sort_key(const char *text, uint64_t key[6]) {
    memset(key, 0, 6 * sizeof *key);
    const char *end = find_dotted(text, 3, key);
    if (!end) {
        memset(key, 0, 6 * sizeof *key);
        end = find_dotted(text, 2, key);
    }
    if (!end) {
        memset(key, 0, 6 * sizeof *key);
        return;
    }
    key[3] = 1;
    for (const char *s = text; *s; s++) {
        if (lower(*s) != 'r' || lower(s[1]) != 'c')
            continue;
        const char *n = s + 2;
        bool numbered = number(&n, &key[4]);
        key[3] = 0;
        if (numbered)
            break; /* a numbered rc decides; a bare one only marks the text */
    }
    for (const char *s = end; *s;) {
        if (!digit(*s)) {
            s++;
            continue;
        }
        if (!number(&s, &key[5]))
            break;
    }
}

int pdb_sort_key_compare(const char *a, const char *b) {
    uint64_t x[6], y[6];
    pdb_sort_key(a, x);
    pdb_sort_key(b, y);
    int order = 0;
    for (int i = 0; i < 6 && order == 0; i++)
        order = compare_numbers(x[i], y[i]);
    return order;
}

/* ---- lane keys ------------------------------------------------------------------------------- */

/* Next number of a dotted version: a part that is not whole contributes its leading digits, if any, and ends
 * it. */
static bool lane_part(const char **p, uint64_t *out) {
    if (!*p || !number(p, out))
        return false;
    *p = **p == '.' ? *p + 1 : NULL;
    return true;
}

int pdb_lane_version_compare(const char *a, const char *b) {
    if (!digit(*a))
        a = "0";
    if (!digit(*b))
        b = "0";
    for (;;) {
        uint64_t x = 0, y = 0;
        bool more_a = lane_part(&a, &x), more_b = lane_part(&b, &y);
        if (!more_a || !more_b)
            return more_a - more_b;
        if (x != y)
            return compare_numbers(x, y);
    }
}
