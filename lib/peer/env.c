/* Addresses, ports and certificate of the process: see peer.h. */
#include "env.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dtls.h"
#include "ports.h"

static bool parse(const char *text, struct sockaddr_storage *out)
{
	struct sockaddr_in *v4 = (void *)out;
	struct sockaddr_in6 *v6 = (void *)out;

	memset(out, 0, sizeof(*out));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		out->ss_family = AF_INET;
		return true;
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		out->ss_family = AF_INET6;
		return true;
	}
	return false;
}

/* Link-local addresses need a scope that a candidate cannot carry. */
static bool usable(const struct ifaddrs *i, int family)
{
	if (!i->ifa_addr || i->ifa_addr->sa_family != family || !(i->ifa_flags & IFF_UP))
		return false;
	if (family == AF_INET)
		return true;
	return !IN6_IS_ADDR_LINKLOCAL(
	    &((const struct sockaddr_in6 *)(void *)i->ifa_addr)->sin6_addr);
}

/* Whether it is an address of this machine. */
static int try_bind(const struct sockaddr_storage *a)
{
	int fd = socket(a->ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int ret = fd < 0 ? -errno : 0;

	if (!ret && bind(fd, (const struct sockaddr *)a, sizeof(*a)) < 0)
		ret = -errno;
	if (fd >= 0)
		close(fd);
	return ret;
}

/* Each once: a port cannot be bound to one again. */
static void add(struct env_addresses *to, const struct sockaddr *a, int family)
{
	struct sockaddr_storage full = {0};

	memcpy(&full, a,
	       family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
	for (unsigned i = 0; i < to->n; i++)
		if (!memcmp(&to->a[i], &full, sizeof(full)))
			return;
	if (to->n < ENV_ADDRESSES_MAX)
		to->a[to->n++] = full;
}

static int list_interfaces(struct env_addresses *to)
{
	static const int families[] = {AF_INET, AF_INET6};
	struct ifaddrs *all;

	if (getifaddrs(&all) < 0)
		return -errno;
	for (unsigned f = 0; f < 2; f++)
		for (struct ifaddrs *i = all; i; i = i->ifa_next)
			if (usable(i, families[f]))
				add(to, i->ifa_addr, families[f]);
	freeifaddrs(all);
	return 0;
}

int env_look(struct peer_env *e)
{
	struct env_addresses all = e->given, now = {0};
	int ret = e->all ? list_interfaces(&all) : 0;

	e->looked = mono_now();
	/* Interfaces also list those that cannot be used, or not yet (RFC 4862, section 5.4). */
	for (unsigned i = 0; i < all.n; i++)
		if (try_bind(&all.a[i]) != -EADDRNOTAVAIL)
			now.a[now.n++] = all.a[i];
	if (ret < 0 || (now.n == e->local.n && !memcmp(now.a, e->local.a, sizeof(now.a))))
		return ret;
	e->local = now;
	return 1;
}

static int set_up(struct peer_env *e, const struct peer_env_config *c)
{
	struct sockaddr_storage a;
	int ret = ports_new(&e->ports, c->min_port, c->max_port);

	if (!ret && c->public_ip && *c->public_ip) {
		if (!parse(c->public_ip, &a))
			return -EINVAL;
		snprintf(e->public_ip, sizeof(e->public_ip), "%s", c->public_ip);
	}
	e->all = !c->addresses;
	for (const char *const *t = c->addresses; !ret && t && *t; t++) {
		if (!parse(*t, &a))
			return -EINVAL;
		if ((ret = try_bind(&a)) < 0)
			return ret;
		add(&e->given, (const struct sockaddr *)&a, a.ss_family);
	}
	if (!ret && (ret = env_look(e)) >= 0)
		ret = e->local.n ? 0 : -EADDRNOTAVAIL;
	if (!ret)
		ret = dtls_identity_new(&e->identity, !c->no_gcm);
	e->tcp = c->tcp && c->min_port;
	return ret;
}

int peer_env_new(struct peer_env **out, const struct peer_env_config *config)
{
	struct peer_env *e = calloc(1, sizeof(*e));
	int ret = e ? set_up(e, config) : -ENOMEM;

	if (ret < 0) {
		peer_env_free(e);
		return ret;
	}
	*out = e;
	return 0;
}

void peer_env_free(struct peer_env *e)
{
	if (!e)
		return;
	dtls_identity_free(e->identity);
	ports_free(e->ports);
	free(e);
}

const uint8_t *peer_env_fingerprint(const struct peer_env *e)
{
	return dtls_identity_hash(e->identity);
}

void peer_env_ports(const struct peer_env *e, unsigned *used, unsigned *total)
{
	ports_count(e->ports, used, total);
}
