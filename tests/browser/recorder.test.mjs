/*
 * The page as a recorder, in each browser: what is recorded through it becomes a finished file that
 * is whole, true in time, in sync, listed once as a task, and plays in the page; also when the
 * network breaks in the middle.
 */
// serial: times are measured, and browsers that starve keep none
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
	BROWSERS, decodeErrors, find, joinRoom, launch, measure, openPage, pause, sha256, startProxy,
	startSystem, tempDir, text, waitFor,
} from "./support.mjs";
import { instrument } from "./instrument.mjs";

const RECORD_S = Number(process.env.MSR_RECORD_SECONDS ?? 6);
/* DESIGN: ±100 ms and 40 ms. */
const DURATION_OFF_S = 0.1;
const SYNC_OFF_S = 0.04;
/* Between a press and the browser's first and last sample. */
const CLOCK_OFF_S = 0.2;

/* A screen with sound; Firefox has none for it without a sound card, nor for most real screens. */
function fakeScreen() {
	navigator.mediaDevices.getDisplayMedia = async () => {
		const canvas = document.createElement("canvas");
		canvas.width = 640;
		canvas.height = 360;
		const pen = canvas.getContext("2d");
		setInterval(() => {
			pen.fillStyle = `hsl(${performance.now() / 20} 80% 50%)`;
			pen.fillRect(0, 0, 640, 360);
		}, 50);
		const stream = canvas.captureStream(15);
		if (navigator.userAgent.includes("Firefox")) return stream;
		const context = new AudioContext();
		const out = context.createMediaStreamDestination();
		const tone = context.createOscillator();
		tone.connect(out);
		tone.start();
		return new MediaStream([...stream.getTracks(), ...out.stream.getTracks()]);
	};
}

/* Waits until the stopped recording is in the list. */
async function listed(page) {
	let said;
	await waitFor("the recording to be in the list", async () => {
		said = await page.evaluate(() => [...document.querySelectorAll("#rec-state, #rec-error, #rec-acked, #rec-waiting")]
			.map((node) => `${node.id}: ${node.dataset.state ?? ""} ${node.textContent}`).join("; "));
		return said.includes("stateReady");
	}, 40).catch((error) => {
		throw new Error(`${error.message} (${said})`, { cause: error });
	});
}

/* Records for `seconds` as a person would; `during` runs meanwhile. Returns what the page said. */
async function record(page, source, seconds, during = async () => {}) {
	await page.click(`input[value=${source}] + span`);
	await page.click("#turn-on");
	await waitFor("the preview", () => page.$eval("#preview", (node) => node.dataset.state !== "off"));
	await page.click("#rec");
	await waitFor("recording to start", () => page.$eval("#elapsed", (node) => Number(node.dataset.seconds) > 0));
	const working = during(page);
	await waitFor("the time to pass", () => page.$eval("#elapsed",
		(node, least) => Number(node.dataset.seconds) >= least, seconds), seconds + 20);
	await page.click("#rec");
	await working;
	await listed(page);
	return page.evaluate(() => ({
		session: document.getElementById("rec-name").textContent,
		elapsed: Number(document.getElementById("elapsed").dataset.seconds),
		acked: Number(document.getElementById("rec-acked").dataset.bytes),
		recorded: kept.reduce((sum, { size }) => sum + size, 0),
	}));
}

/* What the browser itself recorded, as a file beside the test. */
async function keptFile(page, dir, name) {
	const file = join(dir, `${name}.browser.webm`);
	await writeFile(file, Buffer.from(await page.evaluate(() => keptBase64()), "base64"));
	return file;
}

const near = (a, b, off, what) => assert.ok(Math.abs(a - b) <= off, `${what}: ${a} and ${b}, more than ${off} apart`);
const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

/* Something like a test's context, for what several tests use. */
function shared() {
	const cleanup = [];
	after(async () => {
		for (const what of cleanup) await what();
	});
	return { after: (what) => cleanup.unshift(what) };
}

/* One system for all browsers, and what they recorded themselves. */
let system, dir;
const all = shared();
before(async () => {
	[system, dir] = await Promise.all([startSystem(all), tempDir(all)]);
});

for (const name of BROWSERS.filter(Boolean)) {
	describe(`the recorder in ${name}`, () => {
		let browser;
		const t = shared();
		before(async () => {
			browser = await launch(t, name);
		});

		const enter = async (who, room, { url = system.url, flash = false } = {}) => {
			const page = await openPage(browser, `${url}#${room}`, { prepare: instrument, argument: { flash } });
			await joinRoom(page, who, room);
			return page;
		};

		/* The finished file of a session: whole, and with its task once. */
		const finished = async (session, ending) => {
			const file = join(system.storage, `${session}.${ending}`);
			const side = JSON.parse(await readFile(join(system.storage, `${session}.json`)));
			assert.equal(await decodeErrors(file), "", `${session} decodes`);
			assert.equal(side.sha256, await sha256(file), "the side file has the file's sha256");
			const task = await waitFor("the task", async () => {
				const tasks = (await find(system.tasks, ".task")).filter((path) => path.includes(session));
				assert.deepEqual(tasks, [`${session}.task`]);
				return JSON.parse(await readFile(join(system.tasks, tasks[0])));
			});
			assert.equal(task.session, session);
			assert.equal(task.files.length, 1);
			assert.equal(task.files[0].sha256, side.sha256);
			near(task.files[0].duration, side.duration, 0.001, "durations of task and side file");
			return { file, side };
		};

		const sameTime = async (page, said, { file, side }) => {
			const [truth, got] = await Promise.all([measure(await keptFile(page, dir, said.session)), measure(file)]);
			const kind = got.video === null ? "audio" : "video";
			near(got[kind], truth[kind], DURATION_OFF_S, "the decoded file and what the browser recorded");
			near(side.duration, Math.max(truth.audio, truth.video ?? 0), DURATION_OFF_S, "the side file's duration");
			near(got.audio, said.elapsed, CLOCK_OFF_S, "the file and the clock of the page");
			assert.equal(said.acked, said.recorded, "every recorded byte was acknowledged");
			return { truth, got };
		};

		test(`${RECORD_S} s of sound, of sound and picture, and through a broken network, side by side`, { concurrency: 3 }, async (t) => {
			const proxy = await startProxy(t, system.port);
			const [sound, picture, broken] = await Promise.all([
				enter("Anna", "studio"), enter("Бо", "studio", { flash: true }), enter("Cy", "studio", { url: proxy.url }),
			]);
			const breakIt = async (page) => {
				await pause(1500);
				proxy.cut();
				await waitFor("the page to notice", () => page.$eval("#rec-state", (node) => node.dataset.state === "stateOffline"));
				await pause(1200);
				proxy.mend();
			};
			const [saidSound, saidPicture, saidBroken] = await Promise.all([
				record(sound, "microphone", RECORD_S), record(picture, "camera", RECORD_S),
				record(broken, "microphone", RECORD_S, breakIt),
			]);

			await Promise.all([
				t.test("the sound is whole", async () =>
					sameTime(sound, saidSound, await finished(saidSound.session, "mp3"))),
				t.test("sound and picture are whole and in sync", async (t) => {
					const { truth, got } = await sameTime(picture, saidPicture, await finished(saidPicture.session, "webm"));
					t.diagnostic(`beep minus flash: ${median(got.offsets)} s, as recorded ${median(truth.offsets)} s`);
					assert.ok(got.offsets.length >= RECORD_S - 2, "the flashes are there");
					near(got.frames, truth.frames, 1, "frames");
					// Against what the browser recorded: a starved one is out of sync by itself.
					near(median(got.offsets), median(truth.offsets), SYNC_OFF_S, "sound and picture");
				}),
				t.test("the broken network lost nothing", async () =>
					sameTime(broken, saidBroken, await finished(saidBroken.session, "mp3"))),
			]);
			for (const page of [sound, picture, broken]) assert.deepEqual(page.problems, []);
			await Promise.all([sound, picture, broken].map((page) => page.close()));
		});

		test("the screen, with the sounds of screen and microphone in one", async () => {
			const page = await openPage(browser, `${system.url}#screen`, { prepare: fakeScreen });
			await joinRoom(page, "Dora", "screen");
			await page.click("input[value=screen] + span");
			await page.click("#rec");
			await waitFor("three seconds", () => page.$eval("#elapsed", (node) => Number(node.dataset.seconds) > 3), 30);
			await page.click("#rec");
			await listed(page);
			const { file } = await finished(await text(page, "#rec-name"), "webm");
			const { audio, video } = await measure(file);
			assert.ok(audio > 2.5 && video > 2.5, `${audio} s of sound, ${video} s of picture`);
			assert.deepEqual(page.problems, []);
			await page.close();
		});

		test("text reaches the other page, and a shared recording plays in the list", async () => {
			const [anna, bo] = await Promise.all([enter("Anna", "talk"), enter("Бо", "talk")]);
			await anna.type("#chat-text", "<b>hello</b> & привет");
			await anna.keyboard.press("Enter");
			await waitFor("the text", async () => (await text(bo, "#chat-log")).includes("<b>hello</b> & привет"));
			assert.match(await text(bo, "#chat-log"), /Anna/);

			const card = await waitFor("the list", () => bo.$(".recording:has(.shot.video)"));
			await card.$eval(".about button", (button) => button.click());
			await waitFor("the link", () => anna.$('#chat-log a[href$=".webm"]'));

			await card.$eval(".shot", (button) => button.click());
			const time = () => bo.$eval(".recording video", (video) => video.currentTime);
			await waitFor("the video to play", async () => (await time()) > 0.5);
			const poster = await anna.$eval(".recording img", (img) => img.src && fetch(img.src).then((reply) => reply.ok));
			assert.ok(poster, "the picture of a recording is served");
			assert.deepEqual([...anna.problems, ...bo.problems], []);
			await Promise.all([anna.close(), bo.close()]);
		});
	});
}
