/*
 * Six people in a call, in two browsers: everybody sees and hears five others; somebody who comes last
 * sees a picture within 1.5 s; somebody leaves and comes back; a browser is killed without a word.
 */
// serial: times are measured
import assert from "node:assert/strict";
import { test } from "node:test";
import { launch, startSystem, waitFor } from "../browser/support.mjs";
import { enterCall, meets, stats } from "../browser/network.mjs";

/* Thirty pictures at once in one machine's browsers: small ones, and few. */
const PICTURE = { width: 160, height: 120, frameRate: 5 };
const FIRST_PICTURE_S = 1.5; // after the connection
const GONE_S = 65; // 30 s without a packet, then 30 s without a call or event stream

test("six people", async (t) => {
	const system = await startSystem(t, { only: "msr-ws msr-sfu msr-record" });
	const [chromium, firefox, doomed] =
		[await launch(t, "chromium"), await launch(t, "firefox"), await launch(t, "chromium")];
	const enter = (browser, name) => enterCall(t, browser, system, name, "six", { picture: PICTURE });
	const pages = [await enter(chromium, "Anna"), await enter(firefox, "Bo"), await enter(chromium, "Cy"),
		await enter(firefox, "Di"), await enter(doomed, "Ed")];
	await Promise.all(pages.map((page) => meets(page, 4, 60)));

	const last = await enter(chromium, "Flo");
	const connected = performance.now();
	await waitFor("a first picture", async () =>
		(await stats(last, "inbound-rtp")).some(({ kind, framesDecoded }) => kind === "video" && framesDecoded > 0), 20);
	const seconds = (performance.now() - connected) / 1000;
	t.diagnostic(`first picture ${seconds.toFixed(2)} s after the connection`);
	assert.ok(seconds < FIRST_PICTURE_S, `a late joiner sees a picture after ${seconds} s`);
	await Promise.all([...pages, last].map((page) => meets(page, 5, 60)));

	const people = async () => (await (await fetch(`${system.sfu}/rooms/six`)).json()).users.length;
	assert.equal(await people(), 6);
	await last.click("#call-join");
	await waitFor("Flo to leave", async () => (await people()) === 5);
	await last.click("#call-join");
	await Promise.all([...pages, last].map((page) => meets(page, 5, 60)));

	// No DELETE, no goodbye, no page that could say one.
	doomed.process().kill("SIGKILL");
	await waitFor("Ed to be missed", async () => (await people()) === 5, GONE_S);
	const rest = [...pages.slice(0, 4), last];
	await Promise.all(rest.map((page) => meets(page, 4, 60)));
	for (const page of rest) assert.deepEqual(page.problems, []);
});
