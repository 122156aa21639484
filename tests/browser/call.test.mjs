/*
 * The page as a conference, between Chromium and Firefox in both directions: picture and sound of
 * everybody, coming late, mute, camera off, screen, leaving, and text; and the layers of a picture
 * (simulcast.mjs). What interrupts a call is in call-breaks.test.mjs.
 */
// serial: times are measured, and browsers that starve keep none
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { BROWSERS, PATIENCE, launch, startSystem, text, waitFor } from "./support.mjs";
import { simulcast } from "./simulcast.mjs";
import { calls, enter, gone, moves, tileOf } from "./tiles.mjs";

/* A late joiner sees a picture within 1.5 s of being connected, where the browsers do not starve. */
const FIRST_PICTURE_S = 1.5 * PATIENCE;

describe(`a call between ${BROWSERS.join(" and ")}`, () => {
	let system, browsers;
	const cleanup = [];
	const t = { after: (what) => cleanup.unshift(what) };

	before(async () => {
		[system, ...browsers] = await Promise.all([
			startSystem(t, { only: "msr-ws msr-sfu msr-record" }), ...BROWSERS.map((name) => launch(t, name)),
		]);
	});
	after(async () => {
		for (const what of cleanup) await what();
	});

	for (const [i, name] of BROWSERS.entries())
		test(`viewers choose among the layers of ${name}, and its best is recorded`, async (t) =>
			assert.ok(await simulcast(t, system, browsers[i], browsers[0], name, "vp8")));

	test("everybody sees and hears everybody, also who comes late, mutes, shares and leaves", async (t) => {
		const [first, last] = [browsers[0], browsers.at(-1)];
		const anna = await enter(first, system, "Anna", "meet");
		const bo = await enter(last, system, "Бо", "meet");
		await Promise.all([calls(anna), calls(bo)]);
		await Promise.all([moves(anna, "Бо"), moves(bo, "Anna")]);
		for (const [page, name] of [[anna, "Бо"], [bo, "Anna"]])
			await waitFor(`the sound of ${name}`, async () => (await tileOf(page, name)).sound);
		await waitFor("the speaker's frame", () => bo.$(".tile.speaking"), 20);
		await waitFor("figures of quality", () => anna.$('.tile.mine .bars:not([data-level="0"])'), 20);

		const { recording } = await (await fetch(`${system.sfu}/rooms/meet`)).json();
		for (const page of [anna, bo])
			assert.equal(await page.$eval("#call-record-light", (node) => !node.hidden), recording);

		const cy = await enter(first, system, "Cy", "meet");
		await calls(cy);
		const connected = performance.now();
		await Promise.all([moves(cy, "Anna"), moves(cy, "Бо")]);
		const seconds = (performance.now() - connected) / 1000;
		t.diagnostic(`first pictures ${seconds.toFixed(2)} s after the connection`);
		assert.ok(seconds < FIRST_PICTURE_S, `a late joiner sees a picture after ${seconds} s`);
		await Promise.all([moves(anna, "Cy"), moves(bo, "Cy")]);

		await anna.click("#call-mic");
		await waitFor("the mark of mute", async () => /muted/.test((await tileOf(bo, "Anna")).text));
		await anna.click("#call-cam");
		await waitFor("the picture to go", async () => (await tileOf(bo, "Anna")).dark);
		await anna.click("#call-cam");
		await moves(bo, "Anna");

		await bo.click("#call-screen");
		await Promise.all([moves(anna, "Бо", true), moves(cy, "Бо", true), moves(anna, "Бо")]);
		await bo.click("#call-screen");
		await Promise.all([gone(anna, "Бо", true), gone(cy, "Бо", true)]);

		await cy.click("#call-join");
		await Promise.all([gone(anna, "Cy"), gone(bo, "Cy")]);
		await calls(cy);
		await Promise.all([moves(anna, "Cy"), moves(cy, "Бо")]);
		await cy.close();
		await gone(anna, "Cy");

		await anna.type("#chat-text", "still there?");
		await anna.keyboard.press("Enter");
		await waitFor("the text", async () => /still there\?/.test(await text(bo, "#chat-log")));
		for (const page of [anna, bo]) {
			assert.equal(await text(page, "#call-error"), "");
			assert.deepEqual(page.problems, []);
		}
		await Promise.all([anna.close(), bo.close()]);
	});
});
