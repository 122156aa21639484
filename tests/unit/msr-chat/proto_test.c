/* The parser: the same steps however the bytes arrive. */
#include "../../../cmd/msr-chat/proto.h"

#include <stdio.h>
#include <stdlib.h>

#include "../../support/test.h"

/* What was parsed, as text: "7 head 2:hi 0 ...". */
static char seen[4096];

static void note(struct proto_parser *p, const uint8_t *in, size_t n)
{
	enum proto_step step;
	size_t used;

	while ((step = proto_parse(p, &in, &n)) != PROTO_MORE) {
		used = strlen(seen);
		CHECK(step != PROTO_NOMEM);
		if (step == PROTO_HEAD)
			snprintf(seen + used, sizeof(seen) - used, "[%u %.*s %llu]", p->desc.type,
				 p->desc.header, (const char *)p->head,
				 (unsigned long long)p->desc.content);
		else if (step == PROTO_BODY)
			snprintf(seen + used, sizeof(seen) - used, "%.*s", (int)p->n_data,
				 (const char *)p->data);
		else
			snprintf(seen + used, sizeof(seen) - used, ".");
	}
	CHECK_INT(n, 0);
}

static size_t add(uint8_t *out, unsigned type, const char *head, const char *body)
{
	proto_put(out, type, strlen(head), strlen(body));
	memcpy(out + PROTO_DESC, head, strlen(head));
	memcpy(out + PROTO_DESC + strlen(head), body, strlen(body));
	return PROTO_DESC + strlen(head) + strlen(body);
}

static const char want[] = "[1 ann 0].[7  2]hi.[8 a.txt 11]hello world.[7 {} 0].";

static size_t stream(uint8_t *out)
{
	size_t n = add(out, PROTO_LOGIN, "ann", "");

	n += add(out + n, PROTO_UTF8, "", "hi");
	n += add(out + n, PROTO_FILE, "a.txt", "hello world");
	return n + add(out + n, PROTO_UTF8, "{}", "");
}

TEST(many_messages_in_one_segment)
{
	struct proto_parser p;
	uint8_t in[256];

	seen[0] = '\0';
	proto_parser_init(&p, PROTO_HEADER_MAX);
	note(&p, in, stream(in));
	CHECK_STR(seen, want);
	CHECK(!proto_under_way(&p));
	proto_parser_done(&p);
}

TEST(every_size_of_segments_gives_the_same)
{
	uint8_t in[256];
	size_t n = stream(in);

	for (size_t step = 1; step < n; step++) {
		struct proto_parser p;
		seen[0] = '\0';
		proto_parser_init(&p, PROTO_HEADER_MAX);
		for (size_t at = 0; at < n; at += step) {
			/* A copy of its own, so that the sanitizer sees reads beyond it. */
			size_t len = n - at < step ? n - at : step;
			uint8_t *piece = malloc(len);
			memcpy(piece, in + at, len);
			note(&p, piece, len);
			free(piece);
		}
		CHECK_STR(seen, want);
		proto_parser_done(&p);
	}
}

TEST(a_huge_size_is_only_a_number)
{
	struct proto_parser p;
	uint8_t in[PROTO_DESC + 4] = {0};

	proto_put(in, PROTO_FILE, 0, UINT64_MAX);
	seen[0] = '\0';
	proto_parser_init(&p, PROTO_HEADER_MAX);
	memcpy(in + PROTO_DESC, "abcd", 4);
	note(&p, in, sizeof(in));
	CHECK_STR(seen, "[8  18446744073709551615]abcd");
	CHECK(p.left == UINT64_MAX - 4);
	CHECK(proto_under_way(&p));
	proto_parser_done(&p);
}

TEST(a_header_beyond_the_limit_is_passed_over_and_not_kept)
{
	uint8_t in[256];
	size_t n = add(in, PROTO_UTF8, "far too long", "hi");

	n += add(in + n, PROTO_UTF8, "short", "ho");
	for (size_t step = 1; step <= n; step++) {
		struct proto_parser p;
		int oversized = 0;
		seen[0] = '\0';
		proto_parser_init(&p, 5);
		for (size_t at = 0; at < n; at += step) {
			const uint8_t *piece = in + at;
			size_t left = n - at < step ? n - at : step;
			enum proto_step got;
			while ((got = proto_parse(&p, &piece, &left)) != PROTO_MORE) {
				oversized += got == PROTO_HEAD && !p.head;
				if (got == PROTO_HEAD && p.head)
					strncat(seen, (const char *)p.head, p.desc.header);
				if (got == PROTO_BODY)
					strncat(seen, (const char *)p.data, p.n_data);
			}
			CHECK(buf_len(&p.part) <= PROTO_DESC + 5);
		}
		CHECK_INT(oversized, 1);
		CHECK_STR(seen, "hishortho");
		CHECK(!proto_under_way(&p));
		proto_parser_done(&p);
	}
}

TEST(the_largest_header_in_pieces)
{
	struct proto_parser p;
	uint8_t *in = malloc(PROTO_DESC + PROTO_HEADER_MAX);
	const uint8_t *at = in;
	size_t n;
	int heads = 0;

	memset(in, 'x', PROTO_DESC + PROTO_HEADER_MAX);
	proto_put(in, PROTO_FILE, PROTO_HEADER_MAX, 0);
	proto_parser_init(&p, PROTO_HEADER_MAX);
	for (size_t i = 0; i < PROTO_DESC + PROTO_HEADER_MAX; i += n) {
		n = PROTO_DESC + PROTO_HEADER_MAX - i < 1000 ? PROTO_DESC + PROTO_HEADER_MAX - i
							     : 1000;
		size_t left = n;
		at = in + i;
		while (proto_parse(&p, &at, &left) != PROTO_MORE)
			heads++;
	}
	CHECK_INT(heads, 2); /* head and done */
	proto_parser_done(&p);
	free(in);
}
