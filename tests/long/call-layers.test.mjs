/*
 * Layers of other codecs than VP8 (tests/browser/call.test.mjs has that): simulcast in H.264, and SVC of
 * VP9 and AV1, from every browser that makes them; seen in Chromium, and recorded.
 */
// serial: times are measured, and browsers that starve keep none
import assert from "node:assert/strict";
import { test } from "node:test";
import { BROWSERS, launch, startSystem } from "../browser/support.mjs";
import { scalable, simulcast } from "../browser/simulcast.mjs";

const WAYS = [
	["H.264 simulcast", (...call) => simulcast(...call, "h264")],
	["VP9 in three spatial layers", (...call) => scalable(...call, "vp9", "L3T3_KEY")],
	["VP9 in three layers that need each other", (...call) => scalable(...call, "vp9", "L3T3")],
	["AV1 in three spatial layers", (...call) => scalable(...call, "av1", "L3T3_KEY")],
	["AV1 in three temporal layers", (...call) => scalable(...call, "av1", "L1T3")],
];

test("layers", async (t) => {
	const system = await startSystem(t, { only: "msr-ws msr-sfu msr-record" });
	const browsers = new Map();
	for (const name of BROWSERS) browsers.set(name, await launch(t, name));
	const viewer = browsers.get(BROWSERS[0]);
	for (const [name, from] of browsers) {
		for (const [i, [what, way]] of WAYS.entries()) {
			await t.test(`${what} from ${name}`, async (t) => {
				if (!(await way(t, system, from, viewer, `${name}-${i}`))) t.skip(`this ${name} does not make it`);
			});
		}
	}
});
