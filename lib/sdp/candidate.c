/*
 * candidate:<foundation> <component> <transport> <priority> <address> <port> typ <type>
 *	[raddr <address> rport <port>] [tcptype <type>] [<name> <value>] ...
 */
#include "parse.h"

#include <errno.h>
#include <string.h>

static const char *const types[] = {"host", "srflx", "prflx", "relay"};
static const char *const tcp_types[] = {"", "active", "passive", "so"};

/* The place of a word in a table, or -1. */
static int find(struct text t, const char *const *names, int n)
{
	for (int i = 0; i < n; i++)
		if (text_is(t, names[i]))
			return i;
	return -1;
}

static bool is_word(struct text t, size_t max)
{
	return text_len(t) && text_len(t) <= max;
}

/* The pairs after the type. */
static int parse_extras(struct sdp *s, struct text t, struct sdp_candidate *c)
{
	uint64_t n;

	while (text_len(t)) {
		struct text name = text_word(&t), value = text_word(&t);
		const char **keep = NULL;
		if (text_is(name, "raddr"))
			keep = &c->raddr;
		else if (text_is(name, "ufrag"))
			keep = &c->ufrag;
		else if (text_is(name, "rport") && text_num(value, 65535, &n))
			c->rport = (uint16_t)n;
		else if (text_is(name, "tcptype") && find(value, tcp_types, 4) > 0)
			c->tcp_type = (enum sdp_tcp_type)find(value, tcp_types, 4);
		if (keep && is_word(value, 256)) {
			*keep = text_keep(s, value);
			if (!*keep)
				return -ENOMEM;
		}
	}
	return 0;
}

int sdp_parse_candidate(struct sdp *s, const char *text, size_t len, struct sdp_candidate *out)
{
	struct text t = text_of(text, len);
	struct sdp_candidate c = {0};
	uint64_t component, priority, port;

	if (text_len(t) > 2 && !memcmp(t.p, "a=", 2))
		t.p += 2;
	if (text_len(t) > 10 && !strncmp(t.p, "candidate:", 10))
		t.p += 10;
	if (memchr(t.p, '\n', text_len(t)) || memchr(t.p, '\r', text_len(t)))
		return -EBADMSG;
	struct text foundation = text_word(&t);
	bool ok = text_num(text_word(&t), 256, &component);
	struct text transport = text_word(&t);
	ok = text_num(text_word(&t), UINT32_MAX, &priority) && ok;
	struct text address = text_word(&t);
	ok = text_num(text_word(&t), 65535, &port) && text_is(text_word(&t), "typ") && ok;
	int type = find(text_word(&t), types, 4);
	c.tcp = text_is(transport, "tcp");
	if (!ok || type < 0 || !component || !is_word(foundation, 32) || !is_word(address, 256) ||
	    (!c.tcp && !text_is(transport, "udp")))
		return -EBADMSG;

	c.component = (uint16_t)component;
	c.priority = (uint32_t)priority;
	c.port = (uint16_t)port;
	c.type = (enum sdp_candidate_type)type;
	c.foundation = text_keep(s, foundation);
	c.address = text_keep(s, address);
	if (!c.foundation || !c.address || parse_extras(s, t, &c) < 0)
		return -ENOMEM;
	*out = c;
	return 0;
}

int sdp_write_candidate(const struct sdp_candidate *c, struct buf *b)
{
	int r =
	    buf_printf(b, "candidate:%s %u %s %u %s %u typ %s", c->foundation, c->component,
		       c->tcp ? "tcp" : "udp", c->priority, c->address, c->port, types[c->type]);

	if (r == 0 && c->raddr)
		r = buf_printf(b, " raddr %s rport %u", c->raddr, c->rport);
	if (r == 0 && c->tcp_type)
		r = buf_printf(b, " tcptype %s", tcp_types[c->tcp_type]);
	if (r == 0 && c->ufrag)
		r = buf_printf(b, " ufrag %s", c->ufrag);
	return r;
}
