/*
 * The page as a conference, between Chromium and Firefox in both directions: picture and sound of
 * everybody, coming late, mute, camera off, screen, leaving, a server that restarts, and text; and the
 * layers of a picture (simulcast.mjs).
 */
// serial: times are measured, and browsers that starve keep none
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { BROWSERS, joinRoom, launch, openPage, startSystem, text, waitFor } from "./support.mjs";
import { simulcast } from "./simulcast.mjs";

/* DESIGN: a late joiner sees a picture within 1.5 s of being connected. */
const FIRST_PICTURE_S = 1.5;

/*
 * Firefox shares no screen without a person who picks it: a canvas does as well. And a camera whose
 * layers two cores can encode for everybody at once.
 */
function fakeDevices() {
	const camera = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
	navigator.mediaDevices.getUserMedia = ({ audio, video }) =>
		camera({ audio, video: video && { width: 640, height: 360, frameRate: 15 } });
	navigator.mediaDevices.getDisplayMedia = async () => {
		const canvas = document.createElement("canvas");
		canvas.width = 640;
		canvas.height = 360;
		const pen = canvas.getContext("2d");
		setInterval(() => {
			pen.fillStyle = `hsl(${performance.now() / 20} 80% 50%)`;
			pen.fillRect(0, 0, 640, 360);
		}, 50);
		return canvas.captureStream(15);
	};
}

/* A tile of somebody else (by name; `screen`: of their screen) as it is now, or null. */
function tileOf(page, name, screen = false) {
	return page.evaluate((who, shared) => {
		const tile = [...document.querySelectorAll(".tile:not(.mine)")].find((one) =>
			one.classList.contains("screen") === shared && one.querySelector(".who").textContent.includes(who));
		if (!tile) return null;
		const video = tile.querySelector("video");
		const [sound] = video.srcObject?.getAudioTracks() ?? [];
		return {
			time: video.currentTime, width: video.videoWidth, dark: tile.classList.contains("dark"),
			sound: Boolean(sound && !sound.muted), text: tile.textContent,
		};
	}, name, screen);
}

const moves = (page, name, screen) => waitFor(`${screen ? "the screen" : "the picture"} of ${name}`, async () => {
	const before = await tileOf(page, name, screen);
	if (!before || before.dark || before.width < 16) return false;
	await new Promise((done) => setTimeout(done, 200));
	return (await tileOf(page, name, screen))?.time > before.time;
}, 20);

const gone = (page, name, screen) => waitFor(`${name} to be gone`, async () => !(await tileOf(page, name, screen)));

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

const calls = async (page) => {
	await page.click("#call-join");
	await waitFor("the call", () => page.$eval("#call-state", (node) => node.dataset.state === "callConnected"), 20);
};

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

	const enter = async (browser, name, room) => {
		const page = await openPage(browser, `${system.url}#${room}`, { prepare: fakeDevices });
		await joinRoom(page, name, room);
		return page;
	};

	for (const [i, name] of BROWSERS.entries())
		test(`viewers choose among the layers of ${name}, and its best is recorded`, (t) =>
			simulcast(t, system, browsers[i], browsers[0], name, i));

	test("everybody sees and hears everybody, also who comes late, mutes, shares and leaves", async (t) => {
		const [first, last] = [browsers[0], browsers.at(-1)];
		const anna = await enter(first, "Anna", "meet");
		const bo = await enter(last, "Бо", "meet");
		await Promise.all([calls(anna), calls(bo)]);
		await Promise.all([moves(anna, "Бо"), moves(bo, "Anna")]);
		for (const [page, name] of [[anna, "Бо"], [bo, "Anna"]])
			await waitFor(`the sound of ${name}`, async () => (await tileOf(page, name)).sound);
		await waitFor("the speaker's frame", () => bo.$(".tile.speaking"), 20);
		await waitFor("figures of quality", () => anna.$('.tile.mine .bars:not([data-level="0"])'), 20);

		const { recording } = await (await fetch(`${system.sfu}/rooms/meet`)).json();
		for (const page of [anna, bo])
			assert.equal(await page.$eval("#call-record-light", (node) => !node.hidden), recording);

		const cy = await enter(first, "Cy", "meet");
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

	test("a call comes back after msr-sfu was killed", async () => {
		const [anna, bo] = [await enter(browsers[0], "Anna", "again"), await enter(browsers.at(-1), "Bo", "again")];
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
		const [anna, bo] = [await enter(browsers[0], "Anna", "lossy"), await enter(browsers.at(-1), "Bo", "lossy")];
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
		const anna = await enter(browsers[0], "Anna", "gap");
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
		const bo = await enter(browsers.at(-1), "Bo", "gap");
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
		const cy = await enter(browsers.at(-1), "Cy", "gap");
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
