/*
 * Three layers of Chromium to a Chromium behind 500 kbit/s: the layer follows, the sound stays, others
 * see nothing of it. Longer, and on worse networks, in tests/long/bandwidth.test.mjs.
 */
// serial: times are measured, and browsers that starve keep none
import { test } from "node:test";
import { limited } from "./bandwidth.mjs";
import { startRelay } from "./network.mjs";
import { launch, startSystem } from "./support.mjs";

test("a viewer behind 500 kbit/s gets the layer that fits, and no more than that changes", async (t) => {
	const system = await startSystem(t, { only: "msr-ws msr-sfu msr-record" });
	const relay = await startRelay(t, system);
	const browser = await launch(t, "chromium");
	await limited(t, browser, system, relay, { kbps: 500, seconds: 8 });
});
