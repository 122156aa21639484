/*
 * Intrusive doubly linked list. The head is a node of its own; an unlinked node points to itself,
 * so removing twice is harmless.
 */
#ifndef MSR_BASE_LIST_H
#define MSR_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *prev, *next;
};

#define LIST_INIT(l)       \
	{                  \
		&(l), &(l) \
	}

/* The structure that holds node `n` as its member `m`. */
#define container_of(n, type, m) ((type *)((char *)(n)-offsetof(type, m)))

#define list_each(i, l) for (struct list *i = (l)->next; i != (l); i = i->next)
/* The body may unlink `i`, and only `i`. */
#define list_each_safe(i, l)                                            \
	for (struct list *i = (l)->next, *i##_next = i->next; i != (l); \
	     i = i##_next, i##_next = i->next)

static inline void list_init(struct list *l)
{
	l->prev = l->next = l;
}
static inline bool list_empty(const struct list *l)
{
	return l->next == l;
}
static inline void list_remove(struct list *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}
/* Links `n`, which must be unlinked, as the last of `l`. */
static inline void list_push(struct list *l, struct list *n)
{
	n->prev = l->prev;
	n->next = l;
	l->prev->next = n;
	l->prev = n;
}
static inline void list_push_front(struct list *l, struct list *n)
{
	list_push(l->next, n);
}
static inline struct list *list_first(struct list *l)
{
	return list_empty(l) ? NULL : l->next;
}

#endif
