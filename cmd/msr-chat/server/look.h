/*
 * What a name looks like: names that people cannot tell apart have the same look (the skeleton of
 * UTS #39, by ICU). "аnn" with a Cyrillic first letter looks like "ann", "Il" like "ll".
 */
#ifndef MSR_CHAT_LOOK_H
#define MSR_CHAT_LOOK_H

struct look;

/* 0, -ENOMEM, or -ENOENT after logging that ICU has no data. */
int look_open(struct look **lp);
/* Accepts NULL. */
void look_close(struct look *l);

/* The look of a name (text_name), owned by the caller, or NULL when memory is out. */
char *look_of(const struct look *l, const char *name);

#endif
