/* What the files of lib/peer know of a peer_env (peer.h). */
#ifndef MSR_PEER_ENV_H
#define MSR_PEER_ENV_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "peer.h"

#define ENV_ADDRESSES_MAX 8 /* local ones that are used; the rest is left out, IPv4 first */

struct dtls_identity;
struct ports;

struct peer_env {
	struct dtls_identity *identity;
	struct ports *ports;
	struct sockaddr_storage address[ENV_ADDRESSES_MAX];
	unsigned n_addresses;
	char public_ip[PEER_ADDRESS_SIZE]; /* "" for none */
	bool tcp;
};

#endif
