/*
 * Calls in Chromium where the network is not what one wishes: loss, delay and jitter; and 500 kbit/s for
 * one who watches three layers: the layer follows, the sound stays, others see nothing of it. Longer,
 * and on worse networks, in tests/long/call-network.test.mjs and tests/long/bandwidth.test.mjs.
 */
// serial: what is decoded is measured, and browsers that starve decode little
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { limited } from "./bandwidth.mjs";
import { launch, startSystem } from "./support.mjs";
import { enterCall, endures, meets, startRelay } from "./network.mjs";

describe("calls in Chromium over a difficult network", () => {
	let system, browser, relay;
	const cleanup = [];

	before(async () => {
		const t = { after: (what) => cleanup.unshift(what) };
		[system, browser] = await Promise.all([
			startSystem(t, { only: "msr-ws msr-sfu msr-record" }), launch(t, "chromium"),
		]);
		relay = await startRelay(t, system);
	});
	after(async () => {
		for (const what of cleanup) await what();
	});

	test("a viewer behind 500 kbit/s gets the layer that fits, and no more than that changes", (t) =>
		limited(t, browser, system, relay, { kbps: 500, seconds: 5 }));

	test("5 % loss, 100 ms delay and 50 ms jitter on every way", async (t) => {
		const [anna, bo] = await Promise.all(["Anna", "Bo"].map((name) =>
			enterCall(t, browser, system, name, "loss", { relay })));
		await meets(bo, 1);
		await endures(t, system, relay, anna, bo, { loss: 5, seconds: 8 });
		for (const page of [anna, bo]) assert.deepEqual(page.problems, []);
	});
});
