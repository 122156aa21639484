/*
 * Three layers of Chromium to a Chromium behind 500 kbit/s for a minute, with loss, delay and jitter
 * besides (tests/browser/network.test.mjs has the short one).
 */
// serial: times are measured, and browsers that starve keep none
import { after, before, describe, test } from "node:test";
import { limited } from "../browser/bandwidth.mjs";
import { startRelay } from "../browser/network.mjs";
import { launch, startSystem } from "../browser/support.mjs";

describe("a viewer behind 500 kbit/s", () => {
	let system, relay, browser;
	const cleanup = [];

	before(async () => {
		const t = { after: (what) => cleanup.unshift(what) };
		system = await startSystem(t, { only: "msr-ws msr-sfu msr-record" });
		relay = await startRelay(t, system);
		browser = await launch(t, "chromium");
	});
	after(async () => {
		for (const what of cleanup) await what();
	});

	for (const path of [{}, { loss: 5 }, { delay: 100, jitter: 50 }, { loss: 5, delay: 100, jitter: 50 },
		{ loss: 20, delay: 100, jitter: 50 }])
		test(`with ${JSON.stringify(path)} as well`, (t) =>
			limited(t, browser, system, relay, { kbps: 500, seconds: 60, path }));
});
