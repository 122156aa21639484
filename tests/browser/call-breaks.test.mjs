/*
 * Calls that are interrupted, between Chromium and Firefox: a server that is killed, offers and answers
 * that are lost, events that stop. Nothing is measured here.
 */
// takes 70 s
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { BROWSERS, launch, startSystem, text, waitFor } from "./support.mjs";
import { calls, enter, gone, moves, tileOf } from "./tiles.mjs";

/* The next request of the page to an address that ends so: "request" or "reply" is lost, or it may "hang". */
const lose = (page, what) => page.evaluate((which) => {
	globalThis.losing = { ...which };
	globalThis.send ??= globalThis.fetch.bind(globalThis);
	globalThis.fetch = async (url, options) => {
		const end = String(url).split("/").at(-1);
		const how = losing[end];
		delete losing[end];
		if (how === "hang") return new Promise(() => {});
		const reply = how === "request" ? null : await send(url, options);
		if (how) throw new TypeError("lost by the test");
		return reply;
	};
}, what);

const lost = (page) => waitFor("the loss", () => page.evaluate(() => Object.keys(losing).length === 0));

describe(`an interrupted call between ${BROWSERS.join(" and ")}`, () => {
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

	test("a call comes back after msr-sfu was killed", async () => {
		const [anna, bo] = [await enter(browsers[0], system, "Anna", "again"), await enter(browsers.at(-1), system, "Bo", "again")];
		await Promise.all([calls(anna), calls(bo)]);
		await Promise.all([moves(anna, "Bo"), moves(bo, "Anna")]);
		// An answer that never comes keeps nobody out later.
		await lose(anna, { produce: "hang", consume: "hang" });
		for (const page of [anna, bo]) await page.click("#call-cam");
		await lost(anna);
		for (const page of [anna, bo]) await page.click("#call-cam");
		const state = await readFile(join(system.dir, "run/sfu.state"), "utf8");
		process.kill(Number(state.split(" ")[2]), "SIGKILL");
		await waitFor("the page to notice", () => anna.$eval("#call-state", (node) => node.dataset.state === "callRejoining"), 20);
		await Promise.all([moves(anna, "Bo"), moves(bo, "Anna")]);
		await Promise.all([anna.close(), bo.close()]);
	});

	test("offers and answers that the network loses are sent again", async () => {
		const [anna, bo] = [await enter(browsers[0], system, "Anna", "lossy"), await enter(browsers.at(-1), system, "Bo", "lossy")];
		await calls(anna);
		await lose(anna, { consume: "request" });
		await lose(bo, { produce: "request" });
		await calls(bo);
		await Promise.all([moves(anna, "Bo"), moves(bo, "Anna")]);
		await bo.click("#call-cam");
		await waitFor("the picture to go", async () => (await tileOf(anna, "Bo")).dark);
		await lose(anna, { consume: "reply" });
		await lose(bo, { produce: "reply" });
		await bo.click("#call-cam");
		await Promise.all([lost(anna), lost(bo)]);
		await moves(anna, "Bo");
		for (const page of [anna, bo]) await waitFor("no complaint", async () => (await text(page, "#call-error")) === "");

		assert.deepEqual([...anna.problems, ...bo.problems], []);
		await Promise.all([anna.close(), bo.close()]);
	});

	test("who leaves while the events are interrupted is gone when they begin again; a picture that is off is not paused", async () => {
		const anna = await enter(browsers[0], system, "Anna", "gap");
		await anna.evaluate(() => {
			globalThis.EventSource = class extends EventSource {
				constructor(url) {
					super(url);
					globalThis.events = this;
				}

				addEventListener(type, handler) {
					super.addEventListener(type, (event) => globalThis.deaf || handler(event));
				}
			};
		});
		const bo = await enter(browsers.at(-1), system, "Bo", "gap");
		await calls(anna);
		await calls(bo);
		await moves(anna, "Bo");

		// The server knows what Anna's tile of Bo shows.
		const at = `${system.sfu}/rooms/gap`;
		const get = async (url) => (await fetch(url)).json();
		const wants = (what, level) => waitFor(what, async () => {
			const ids = (await get(at)).users.map(({ id }) => id);
			const [a, b] = ["anna-", "bo-"].map((name) => ids.find((id) => id.startsWith(name)));
			return level.test((await get(`${at}/users/${a}`)).subscription.users[b]?.video);
		});
		await wants("a wish as large as the tile", /^(low|mid|high)$/);
		await anna.click("#tab-record");
		await wants("no wish for what is out of sight", /^off$/);
		await anna.click("#tab-call");
		await wants("the wish again", /^(low|mid|high)$/);
		await moves(anna, "Bo");

		// A picture that was paused for the network and then turned off is off.
		await anna.evaluate(() => {
			const { user } = document.querySelector(".tile:not(.mine)").dataset;
			const data = JSON.stringify({ user, track: `${user}/1`, layer: "off", reason: "bandwidth" });
			events.dispatchEvent(new MessageEvent("layer", { data }));
		});
		await bo.click("#call-cam");
		await waitFor("the picture to go", async () => (await tileOf(anna, "Bo")).dark);
		await waitFor("no word of the network", async () => !/weak/.test((await tileOf(anna, "Bo")).text));

		await anna.evaluate(() => (globalThis.deaf = true));
		await bo.click("#call-join");
		const cy = await enter(browsers.at(-1), system, "Cy", "gap");
		await calls(cy);
		await anna.evaluate(() => {
			globalThis.deaf = false;
			events.dispatchEvent(new Event("open"));
		});
		await gone(anna, "Bo");
		await waitFor("Cy", () => tileOf(anna, "Cy"));
		assert.equal(await text(anna, "#call-error"), "");
		await Promise.all([anna.close(), bo.close(), cy.close()]);
	});
});
