/*
 * Local addresses that come and go, and what peers are bound to then: on the loopback of a network
 * of our own.
 */
#include "peer/env.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../support/skip.h"
#include "../../support/test.h"

#define FIRST  "10.9.8.1"
#define SECOND "10.9.8.2"

static void set_up(const char *name, bool up)
{
	struct ifreq r = {.ifr_flags = up ? IFF_UP : 0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	CHECK_INT(ioctl(fd, SIOCSIFFLAGS, &r), 0);
	close(fd);
}

/* Under a label, which takes it away again when it is set down. */
static void add_address(const char *label, const char *address)
{
	struct ifreq r = {0};
	struct sockaddr_in *a = (void *)&r.ifr_addr;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", label);
	a->sin_family = AF_INET;
	inet_pton(AF_INET, address, &a->sin_addr);
	CHECK_INT(ioctl(fd, SIOCSIFADDR, &r), 0);
	close(fd);
}

/* False where nobody may have a network of his own. */
static bool own_network(void)
{
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
		printf("# no user namespaces here\n");
		return false;
	}
	set_up("lo", true);
	add_address("lo:1", FIRST);
	return true;
}

/* What a new peer gets: its addresses, each with a blank behind it, or the error's name. */
static const char *addresses(struct peer_env *env)
{
	static char text[200];
	struct peer_local local;
	struct peer *p;
	int ret = peer_new(&p, env, true, &local);

	if (ret < 0)
		return ret == -EADDRNOTAVAIL ? "none" : strerror(-ret);
	text[0] = '\0';
	for (unsigned i = 0; i < local.n_candidates; i++)
		if (!strchr(local.candidate[i].address, ':'))
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s ",
				 local.candidate[i].address);
	peer_free(p);
	return text;
}

TEST(peers_use_the_addresses_that_are_there)
{
	static const char *const given[] = {FIRST, NULL};
	struct peer_env_config c = {0}, named = {.addresses = given};
	struct peer_env *env, *one;
	unsigned used, total;

	if (!own_network())
		return;
	CHECK_INT(peer_env_new(&env, &c), 0);
	CHECK_INT(peer_env_new(&one, &named), 0);
	CHECK_STR(addresses(env), "127.0.0.1 " FIRST " ");
	/* One that goes fails nobody, not even at once; */
	set_up("lo:1", false);
	CHECK_STR(addresses(env), "127.0.0.1 ");
	CHECK_STR(addresses(one), "none");
	/* others are found soon. */
	add_address("lo:1", FIRST);
	add_address("lo:2", SECOND);
	skip(ENV_LOOK_US);
	CHECK_STR(addresses(env), "127.0.0.1 " FIRST " " SECOND " ");
	CHECK_STR(addresses(one), FIRST " ");
	peer_env_ports(env, &used, &total);
	CHECK_INT(used, 0);
	peer_env_ports(one, &used, &total);
	CHECK_INT(used, 0);
	peer_env_free(env);
	peer_env_free(one);
}
