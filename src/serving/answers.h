/* What deployments of a sweep share: answers of ops, kept by what they depend on. Private to serving.
 *
 * An answer is a pure function of its question, so that it does not matter who asked first, or whether the
 * answer is still there: the store changes no bit of any result. The plain path does not know it.
 */
#ifndef AICFG_SERVING_ANSWERS_H
#define AICFG_SERVING_ANSWERS_H

#include "serving/internal.h"
#include <stdatomic.h>

/* What the answers of one op or several depend on besides the shapes, as bytes; compared whole. */
struct srv_identity {
    size_t len;
    uint64_t hash;
    const void *bytes;
};

typedef struct srv_question {
    const srv_identity *who;
    const void *bytes; /* the shapes; no padding in them */
    size_t len;
    uint32_t queries; /* questions to single ops that its answer saves */
} srv_question;

typedef struct srv_answer {
    struct srv_answer *next;          /* of its bucket */
    struct srv_answer *newer, *older; /* of its shard, by last use */
    uint64_t hash;
    atomic_uint holders; /* the store and those who found it */
    size_t who_len, question_len, size;
    void *value; /* size bytes, aligned for doubles */
} srv_answer;

/* NULL: not there. What is found stays valid and as it is until it is released. Any thread. */
srv_answer *srv_answers_find(srv_answers *s, const srv_question *q);
void srv_answers_release(srv_answer *a);
/* An answer to be filled in, with room for a value of size bytes; NULL when it is too large to be kept. */
srv_answer *srv_answers_draft(const srv_answers *s, const srv_question *q, size_t size);
/* Hands a filled answer over. Somebody else may have been faster: then it is dropped, theirs says the same.
 * The oldest of the shard make room. */
void srv_answers_put(srv_answers *s, srv_answer *a);

#endif
