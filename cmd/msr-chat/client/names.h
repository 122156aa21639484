/* The users in the room, as far as the server told: for /users and completion. */
#ifndef MSR_CHAT_NAMES_H
#define MSR_CHAT_NAMES_H

#include <stddef.h>

struct names;

/* 0 or -ENOMEM. */
int names_new(struct names **np);
/* Accepts NULL. */
void names_free(struct names *n);

void names_add(struct names *n, const char *name);
void names_remove(struct names *n, const char *name);
/* The content of Users: a JSON array. What is not one is ignored. */
void names_set(struct names *n, const char *json, size_t len);

size_t names_count(const struct names *n);
/* Sorted; lent until the next change. */
const char *names_at(const struct names *n, size_t i);

#endif
