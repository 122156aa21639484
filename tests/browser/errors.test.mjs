/*
 * What people read when something is wrong, and the bound on what the page keeps. In Chromium: these
 * are words and queues of the page, the same in every browser.
 */
// takes 65 s
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { drawnRatio } from "./contrast.mjs";
import { joinRoom, launch, openPage, startProxy, startSystem, text, waitFor } from "./support.mjs";

const HOST = "msr.test";

/* Runs in the page first: every device is refused with this error. */
function refuse(name) {
	const no = async () => {
		throw new DOMException("refused by the test", name);
	};
	navigator.mediaDevices.getUserMedia = no;
	navigator.mediaDevices.getDisplayMedia = no;
}

/*
 * Runs in the page first: the clocks by which it notices silence and gives up are ten times faster. What
 * it does from time to time is in `turns`.
 */
function hasten() {
	const [every, after] = [setInterval, AbortSignal.timeout.bind(AbortSignal)];
	const now = performance.now.bind(performance);
	performance.now = () => 10 * now();
	globalThis.turns = [];
	globalThis.setInterval = (what, ms) => {
		turns.push(what);
		return every(what, ms / 10);
	};
	AbortSignal.timeout = (ms) => after(ms / 10);
}

/* Runs in the page first: Join is pressed twice, and the server does not say where its programs are. */
function pressTwice() {
	const press = HTMLFormElement.prototype.requestSubmit;
	HTMLFormElement.prototype.requestSubmit = function () {
		press.call(this);
		press.call(this);
	};
	const [after, send] = [AbortSignal.timeout.bind(AbortSignal), fetch];
	AbortSignal.timeout = (ms) => after(ms / 10);
	globalThis.fetch = (url, options) => (String(url).endsWith("config.json")
		? new Promise((_, fail) => options.signal?.addEventListener("abort", fail)) : send(url, options));
}

describe("the page when something is wrong", () => {
	let system, browser;
	const cleanup = [];
	const t = { after: (what) => cleanup.unshift(what) };

	before(async () => {
		[system, browser] = await Promise.all([
			startSystem(t, { only: "msr-ws msr-record" }),
			launch(t, "chromium", { args: [`--host-resolver-rules=MAP ${HOST} 127.0.0.1`] }),
		]);
	});
	after(async () => {
		for (const what of cleanup) await what();
	});

	const enter = async (url, options) => {
		const page = await openPage(browser, `${url}#trouble`, options);
		await joinRoom(page, "Anna", "trouble");
		return page;
	};
	const complaint = (page, words) => waitFor(`"${words}"`, async () => (await text(page, "#rec-error")).match(words));

	test("a device that is blocked, absent or busy", async () => {
		for (const [error, words] of [
			["NotAllowedError", /blocked.*address bar/],
			["NotFoundError", /no microphone/i],
			["NotReadableError", /in use by another program/],
		]) {
			const page = await enter(system.url, { prepare: refuse, argument: error });
			await page.click("#rec");
			await complaint(page, words);
			assert.equal(await page.$eval("#rec", (button) => button.dataset.on), "false");
			assert.deepEqual(page.problems, []);
			await page.close();
		}
	});

	test("a page from plain http of another machine", async () => {
		const page = await enter(`http://${HOST}:${system.port}/`);
		await complaint(page, /https or from localhost/);
		await page.click("#rec");
		await complaint(page, /https or from localhost/);
		await page.close();
	});

	test("a name and a room must be there, and the keyboard is enough", async () => {
		const page = await openPage(browser, system.url);
		await page.evaluate(() => (location.hash = "elsewhere"));
		await waitFor("the room of the address", () => page.$eval("#room", (field) => field.value === "elsewhere"));
		const entries = await page.evaluate(() => history.length);
		await page.keyboard.press("Enter");
		await waitFor("the complaint", async () => /your name/.test(await text(page, "#join-error")));
		await page.keyboard.type("Anna");
		await page.keyboard.press("Tab");
		await page.keyboard.type("keys");
		await page.keyboard.press("Enter");
		await waitFor("the room", () => page.$eval("#place", (node) => !node.hidden));
		assert.equal(new URL(page.url()).hash, "#keys");
		assert.equal(await page.evaluate(() => history.length), entries, "Back leaves no room without a question");
		assert.equal(await page.evaluate(() => document.activeElement.id), "rec");
		await page.keyboard.press("Enter");
		await waitFor("the recording", () => page.$eval("#rec", (node) => node.dataset.on === "true"));
		await waitFor("something to be safe", () => page.$eval("#rec-acked", (node) => Number(node.dataset.bytes) > 0));
		await page.keyboard.press("Enter");
		await waitFor("its end", () => page.$eval("#rec-state", (node) => node.dataset.state === "stateReady"), 30);
		assert.equal(await page.$eval("#rec", (button) => {
			button.dispatchEvent(new MouseEvent("click", { detail: 2 }));
			return button.dataset.on;
		}), "false", "the second click of a double click does not record again");
		await page.click("#lang");
		assert.match(await text(page, "#rec-state"), /Файл готов/);
		assert.equal(await page.evaluate(() => document.documentElement.lang), "ru");
		await page.close();
	});

	test("a server that is gone, and text that was written meanwhile", async (t) => {
		const proxy = await startProxy(t, system.port);
		const [page, other] = [await enter(proxy.url, { prepare: hasten }), await enter(system.url, { prepare: pressTwice })];
		const state = () => page.$eval("#link-state", (node) => node.dataset.state);
		const write = async (what) => {
			await page.type("#chat-text", what);
			await page.keyboard.press("Enter");
		};
		proxy.freeze();
		await write("into the void");
		assert.equal(await page.$(".line.unsent"), null);
		await waitFor("the page to notice", async () => (await state()) !== "on");
		proxy.cut();
		assert.ok(await page.$(".line.unsent"), "what was lost is known as not sent");
		await page.evaluate(() => { // a long time in which nobody is heard, though they are there
			const now = performance.now.bind(performance);
			performance.now = () => now() + 100000;
			for (const turn of turns) turn();
		});
		await write("@anna to a namesake");
		await write("written in the dark");
		await waitFor("the notice", async () => /does not answer/.test(await text(page, "#notices")));
		assert.ok(await page.$(".line.unsent"));
		proxy.mend();
		const lines = (what) => other.$$eval(".line", (all, want) => all.filter(({ textContent }) => textContent.includes(want)).length, what);
		await waitFor("the text", () => lines("written in the dark"));
		await waitFor("its mark to go", async () => !(await page.$(".line.unsent")));
		assert.equal(await page.evaluate(() => {
			dispatchEvent(new Event("offline"));
			return document.getElementById("link-state").dataset.state;
		}), "off", "a connection is not waited for when its network is gone");
		assert.equal(await page.evaluate(async () => {
			const { Link } = await import("./base/link.js");
			let tries = 0;
			const link = new Link(() => `ws://${location.host}/trouble/try-${tries++}`);
			dispatchEvent(new Event("online"));
			link.close();
			return tries;
		}), 2, "nor is a try that began without one");
		await waitFor("it to come back", async () => (await state()) === "on");
		await write("that was all");
		await waitFor("the last line", () => lines("that was all"));
		assert.match(await text(other, ".line.private"), /to you.*to a namesake/s);
		for (const what of ["into the void", "to a namesake", "written in the dark", "that was all"])
			assert.equal(await lines(what), 1, `"${what}" is there once`);

		// Questions that are answered, by nobody, when the room was left and another is there.
		await page.evaluate(() => {
			for (const old of document.querySelectorAll("#notices .notice")) old.remove();
			globalThis.fails = [];
			const send = fetch;
			globalThis.fetch = (url, options) => (String(url).endsWith("/health") && options.signal
				? new Promise((_, fail) => fails.push(fail)) : send(url, options));
		});
		proxy.cut();
		await waitFor("the question", () => page.evaluate(() => fails.length > 0));
		await page.click("#leave");
		proxy.mend();
		await joinRoom(page, "Anna", "trouble");
		assert.deepEqual(await page.evaluate(async () => {
			for (const fail of fails) fail(new TypeError("by the test"));
			await new Promise((done) => setTimeout(done));
			return [document.getElementById("link-state").dataset.state, document.querySelector("#notices .notice")];
		}), ["on", null], "what a room asked is over with it");
		await Promise.all([page.close(), other.close()]);
	});

	test("what is recorded while the server is gone, and what the page says of it, then and in the next room", async (t) => {
		const proxy = await startProxy(t, system.port);
		const page = await enter(proxy.url);
		const look = () => page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
		const cannotLoad = async () => /cannot be loaded .*tries again/.test(await text(page, "#library-empty"));
		await waitFor("the list", () => page.$("#library-empty:not([hidden]), .recording"));
		await page.click("#rec");
		await waitFor("something to be safe", () => page.$eval("#rec-acked", (node) => Number(node.dataset.bytes) > 0));
		proxy.cut();
		await look();
		await waitFor("the page to notice", () => page.$eval("#link-state", (node) => node.dataset.state !== "on"));
		await page.type("#chat-text", "not yet");
		await page.keyboard.press("Enter");
		assert.match(await page.$eval(".line.unsent", (line) => getComputedStyle(line, "::after").content), /not sent yet/);
		for (const part of ["p", ".who", "time"])
			assert.ok(await drawnRatio(page, `.line.unsent ${part}`) >= 4.5, `${part} of what is not sent can be read`);

		// What ends the notice can be seen, with the focus on it, too, which goes back to where it came from.
		await waitFor("the notice", async () => /does not answer/.test(await text(page, "#notices")));
		await page.focus("#notices button");
		assert.equal(await page.$eval("#notices button", (button) => getComputedStyle(button, "::before").content), '"×"');
		assert.ok(await page.$eval("#notices :focus-visible", (button) =>
			getComputedStyle(button).outlineColor === getComputedStyle(button).color));
		await page.keyboard.press("Enter");
		assert.equal(await page.evaluate(() => document.activeElement.id), "chat-text");
		await complaint(page, /does not answer/);
		await waitFor("the list's complaint", cannotLoad);

		proxy.mend();
		await page.evaluate(() => dispatchEvent(new Event("online"))); // tries at once
		await waitFor("the recorder's complaint to go", () => page.$eval("#rec-error", (node) => node.hidden));
		await look();
		await waitFor("the list's complaint to go", async () => !(await cannotLoad()));

		// What is still being sent of one room draws nothing in the next.
		const session = await text(page, "#rec-name");
		await page.click("#leave");
		await joinRoom(page, "Anna", "next");
		await waitFor("the file of the first", async () =>
			(await (await fetch(`${system.url}recordings`)).json()).recordings.some((one) => one.session === session));
		assert.deepEqual(await page.evaluate(() => ["rec-facts", "rec-state"].map((id) => document.getElementById(id))
			.map(({ hidden, dataset }) => dataset.state ?? hidden)), [true, "stateSending"], "nothing is drawn since then");
		assert.deepEqual([await text(page, "#rec-label"), await text(page, "#rec-error")], ["Record", ""]);
		assert.deepEqual(page.problems, []);
		await page.close();
	});

	test("wishes that do not reach the server are told later, and taken back for who left", async () => {
		const page = await openPage(browser, system.url);
		const sent = await page.evaluate(async () => {
			const { Subscription } = await import("./call/wants.js");
			const requests = [];
			let errors = [{ code: "unreachable" }, { code: "unreachable" }, { code: "no_memory", status: 503 }];
			const wishes = new Subscription(async (wish) => {
				if (errors.length) throw errors.shift();
				requests.push(wish);
			});
			const until = async (check) => {
				for (let i = 0; i < 100 && !check(); i++) await new Promise((done) => setTimeout(done, 100));
			};
			wishes.begin();
			wishes.want({ bo: { audio: "on", video: "low" } }, 400);
			await until(() => requests.length === 1);
			wishes.want({}, 400);
			await until(() => requests.length === 2);
			const worked = wishes.works;
			errors = [{ code: "method_not_allowed", status: 405 }];
			wishes.want({}, 1000);
			await until(() => !errors.length);
			return { requests, worked, works: wishes.works };
		});
		assert.deepEqual(sent, {
			requests: [
				{ users: { bo: { audio: "on", video: "low" } }, max_kbps: 400 },
				{ users: { bo: { audio: "on", video: "auto" } } },
			],
			worked: true, works: false,
		});
		await page.close();
	});

	test("what cannot be sent is kept up to a bound, which is said", async (t) => {
		const proxy = await startProxy(t, system.port);
		const page = await enter(proxy.url);
		await page.evaluate(async () => {
			const { Upload } = await import("./record/upload.js");
			const upload = (globalThis.upload = new Upload({
				room: "trouble", name: "bound", media: "audio", resumeWindow: 10,
			}));
			globalThis.told = [];
			for (const type of ["full", "room", "done", "failed"])
				upload.addEventListener(type, ({ detail }) => told.push(detail ?? type));
		});
		proxy.cut();
		const push = (mib) => page.evaluate((n) => {
			// Raw bytes that no container's mark begins: the recorder refuses nothing.
			for (let i = 0; i < n; i++) upload.push(new Blob([new Uint8Array(1 << 20)]));
		}, mib);
		await push(64);
		await waitFor("64 MiB to wait", () => page.evaluate(() => upload.waiting === 64 << 20));
		assert.deepEqual(await page.evaluate(() => told), []);
		await push(1);
		await waitFor("the bound", () => page.evaluate(() => told.join() === "full"));
		proxy.mend();
		await waitFor("room again", () => page.evaluate(() => told.join() === "full,room"), 30);
		await page.evaluate(() => upload.finish());
		await waitFor("the end", () => page.evaluate(() => told.join() === "full,room,done"), 30);
		assert.equal(await page.evaluate(() => upload.waiting), 0);
		await page.close();
	});
});
