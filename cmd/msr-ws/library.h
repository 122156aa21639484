/* GET /recordings: the finished recordings of the storage, as JSON. */
#ifndef MSR_WS_LIBRARY_H
#define MSR_WS_LIBRARY_H

struct library;
struct web_server;

/* `dir` is lent. Adds the routes for the list and the files. 0, -ENOMEM or -errno of the folder. */
int library_new(struct library **lp, const char *dir, struct web_server *s);
/* Accepts NULL. */
void library_free(struct library *l);

#endif
