/*
 * A journal that anybody may have written: what is accepted has valid ids and renders to a journal
 * that is accepted again. Checksums are made right, so that the fields behind them are reached.
 */
#include "../../../cmd/msr-record/journal.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/crc32c.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const uint8_t *data, size_t size)
{
	uint8_t again[JOURNAL_SIZE] = {0};
	struct journal_head h, h2;
	struct journal_state s, s2;

	if (journal_parse(data, size, &h, &s) < 0)
		return;
	if (!id_valid(h.room, strlen(h.room)) || !id_valid(h.session, strlen(h.session)))
		abort();
	journal_render_head(&h, again);
	journal_render_slot(&s, again + JOURNAL_HEAD);
	if (journal_parse(again, sizeof(again), &h2, &s2) < 0 || s2.number != s.number)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t right[JOURNAL_SIZE] = {0};

	check(data, size);
	memcpy(right, data, size < sizeof(right) ? size : sizeof(right));
	memcpy(right, "MSRJOUR1", 8);
	put_le32(right + 8, crc32c(0, right + 12, JOURNAL_HEAD - 12));
	for (int i = 0; i < 2; i++) {
		uint8_t *slot = right + JOURNAL_HEAD + i * JOURNAL_SLOT;
		put_le32(slot, 0x544f4c53);
		put_le32(slot + 4, crc32c(0, slot + 8, JOURNAL_SLOT - 8));
	}
	check(right, sizeof(right));
	return 0;
}
