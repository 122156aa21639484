/* What the files of lib/peer know of a peer_env (peer.h). */
#ifndef MSR_PEER_ENV_H
#define MSR_PEER_ENV_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "peer.h"

#define ENV_ADDRESSES_MAX 8	  /* local ones that are used; the rest is left out, IPv4 first */
#define ENV_LOOK_US	  1000000 /* between looks which there are */

struct dtls_identity;
struct ports;

struct env_addresses {
	struct sockaddr_storage a[ENV_ADDRESSES_MAX];
	unsigned n;
};

struct peer_env {
	struct dtls_identity *identity;
	struct ports *ports;
	bool all;			   /* use all of the machine */
	struct env_addresses given;	   /* else these only */
	struct env_addresses local;	   /* of them, what was there at the last look */
	struct mono looked;		   /* when that was */
	char public_ip[PEER_ADDRESS_SIZE]; /* "" for none */
	bool tcp;
};

/*
 * Looks which addresses there are: interfaces come and go, and so do the addresses that they have.
 * 1 when they are others than before, 0, or -errno.
 */
int env_look(struct peer_env *e);

#endif
