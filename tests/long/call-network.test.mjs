/*
 * Calls over a bad network for long, between Chromium and Firefox, each as publisher and as viewer:
 * 5 % and 20 % loss each way, with 100 ms delay and 50 ms jitter (tests/browser/network.test.mjs is
 * the short one).
 */
// serial
import assert from "node:assert/strict";
import { test } from "node:test";
import { launch, startSystem } from "../browser/support.mjs";
import { endures, enterCall, meets, startRelay } from "../browser/network.mjs";

const SECONDS = Number(process.env.MSR_LONG_SECONDS ?? 45);

test("a lossy network", async (t) => {
	const system = await startSystem(t, { only: "msr-ws msr-sfu msr-record" });
	const relay = await startRelay(t, system);
	const browsers = { chromium: await launch(t, "chromium"), firefox: await launch(t, "firefox") };
	for (const [from, to] of [["chromium", "chromium"], ["chromium", "firefox"], ["firefox", "chromium"]]) {
		for (const loss of [5, 20]) {
			await t.test(`${from} to ${to} with ${loss} %`, async (t) => {
				const room = `${from}-${to}-${loss}`;
				const anna = await enterCall(t, browsers[from], system, "Anna", room, { relay });
				const bo = await enterCall(t, browsers[to], system, "Bo", room, { relay });
				await meets(bo, 1);
				await endures(t, system, relay, anna, bo, { loss, seconds: SECONDS });
				assert.deepEqual([...anna.problems, ...bo.problems], []);
			});
		}
	}
});
