/* The REST interface of msr-sfu(8): rooms, users, offers and answers as JSON. */
#ifndef MSR_SFU_API_REST_H
#define MSR_SFU_API_REST_H

struct rooms;
struct web_server;

/* Adds the routes to a server. `rooms` is lent for the server's life. */
void rest_route(struct web_server *s, struct rooms *rooms);

#endif
