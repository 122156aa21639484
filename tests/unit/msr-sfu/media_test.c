/* The API's side of a media thread, and the thread itself: what only both together show. */
#include "../../../cmd/msr-sfu/fwd/media.h"

#include <poll.h>

#include "../../support/test.h"
#include "base/clock.h"
#include "loop/loop.h"

static struct media *media;
static struct media_config config = {.threads = 1};

static void on_event(void *arg, const struct media_event *e)
{
	(void)arg, (void)e;
}

static void start(void)
{
	static const char *const addresses[] = {"127.0.0.1", NULL};
	static const struct peer_env_config env = {.addresses = addresses};

	config.event = on_event;
	CHECK_INT(loop_new(&config.loop), 0);
	CHECK_INT(peer_env_new(&config.env, &env), 0);
	CHECK_INT(media_start(&media, &config), 0);
}

static void stop(void)
{
	media_stop(media);
	peer_env_free(config.env);
	loop_free(config.loop);
}

TEST(a_thread_that_nobody_was_on_ticks_as_soon_as_somebody_is)
{
	static const struct media_peer_config peer = {.room = 1};
	struct peer_local local;
	struct media_stats s = {0};
	media_id id;

	start();
	poll(NULL, 0, 50); /* it has gone to sleep, for a second */
	CHECK_INT(media_peer_new(media, &peer, &id, &local), 0);
	for (struct mono end = mono_add_us(mono_now(), 500000);
	     !s.peers && mono_diff_us(end, mono_now()) > 0; media_stats(media, &s))
		poll(NULL, 0, 1);
	CHECK_INT(s.peers, 1);
	media_peer_close(media, id);
	stop();
}
