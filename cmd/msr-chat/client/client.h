/*
 * What the parts of the client share.
 *
 *	terminal | pipe ─ line ─▶ command ─▶ net ─▶ server
 *	terminal | pipe ◀─ show ◀─ inbox (save) ◀─ net
 */
#ifndef MSR_CHAT_CLIENT_H
#define MSR_CHAT_CLIENT_H

#include <stdbool.h>
#include <stdint.h>

#include "../text.h"

struct inbox;
struct loop;
struct names;
struct net;
struct terminal;
struct voice;

struct client_settings {
	const char *address, *username, *save_dir, *password_file, *ca, *voice_command;
	int64_t max_file, wait; /* bytes; us */
	bool json, bell, color, images, tls, reconnect, commands;
};

struct client {
	struct client_settings set;
	struct loop *loop;
	struct net *net;
	struct inbox *inbox;
	struct names *names;
	struct voice *voice;
	struct terminal *term; /* NULL: a pipe */
	char name[NAME_SIZE];  /* ours */
	bool done;	       /* leave the main loop */
	bool failed;	       /* something was refused: exit status 1 */
};

/* client.c: what net tells the program. */

/* Logged in, for the first time or again. */
void client_ready(struct client *c);
/* The connection ended; `why` is for people. `final`: trying again is of no use. */
void client_lost(struct client *c, const char *why, bool final);
/* One line of input: a command or a text. */
void client_line(struct client *c, const char *line);
/* The end of the input: send what is queued, then end. */
void client_quit(struct client *c);

#endif
