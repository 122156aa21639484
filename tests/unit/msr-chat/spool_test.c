/* What the spool takes: bytes and descriptors, and the share of an address. */
#include "../../../cmd/msr-chat/server/spool.h"

#include <arpa/inet.h>
#include <errno.h>

#include "../../../cmd/msr-chat/server/limits.h"
#include "../../support/test.h"

static struct addresses all;
static struct spool spool;

static void spool_begin(uint64_t max, uint64_t max_files)
{
	map_init(&all.map);
	spool = (struct spool){
	    .dir = test_dir(), .max = max, .max_files = max_files, .addresses = &all};
}

static struct address *address_of(const char *text)
{
	struct sockaddr_storage peer = {.ss_family = AF_INET};

	inet_pton(AF_INET, text, &((struct sockaddr_in *)(void *)&peer)->sin_addr);
	return address_get(&all, &peer);
}

TEST(one_address_gets_half_of_the_descriptors)
{
	struct spool_file *f[7] = {0}, *none = NULL;

	spool_begin(1000, 6);
	struct address *a = address_of("192.0.2.1"), *b = address_of("192.0.2.2");
	for (int i = 0; i < 3; i++)
		CHECK_INT(spool_open(&spool, a, true, 1, &f[i]), 0);
	CHECK_INT(spool_open(&spool, a, true, 1, &none), -EMFILE);
	CHECK_INT(spool_open(&spool, a, false, 1, &f[3]), 0);
	for (int i = 4; i < 6; i++)
		CHECK_INT(spool_open(&spool, b, true, 1, &f[i]), 0);
	CHECK_INT(spool_open(&spool, b, true, 1, &none), -EMFILE);
	spool_free(f[0]);
	CHECK_INT(spool_open(&spool, b, true, 1, &f[0]), 0);
	CHECK(!none);
	for (int i = 0; i < 7; i++)
		spool_free(f[i]);
	address_put(&all, a);
	address_put(&all, b);
	CHECK_INT(spool.files, 0);
	CHECK_INT(all.map.n, 0);
	map_done(&all.map);
}
