/*
 * The page as a recorder, in each browser: what is recorded through it becomes a finished file that
 * is whole, true in time, in sync, and listed once as a task; also when the network breaks in the
 * middle. Screens, and how it plays in the page, are in recorder-list.test.mjs.
 */
// serial: times are measured, and browsers that starve keep none
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, describe, test } from "node:test";
import {
	BROWSERS, joinRoom, launch, measure, openPage, pause, startProxy, startSystem, tempDir, waitFor,
} from "./support.mjs";
import { instrument } from "./instrument.mjs";
import { finished, listed, near, openSource, shared } from "./recordings.mjs";

const RECORD_S = Number(process.env.MSR_RECORD_SECONDS ?? 6);
/* DESIGN: ±100 ms and 40 ms. */
const DURATION_OFF_S = 0.1;
const SYNC_OFF_S = 0.04;
/* Between a press and the browser's first and last sample. */
const CLOCK_OFF_S = 0.2;

/* Records for `seconds` as a person would; `during` runs meanwhile. Returns what the page said. */
async function record(page, source, seconds, during = async () => {}) {
	await openSource(page, source);
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

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

/* One system for all browsers, and what they recorded themselves. */
let system, dir, browsers;
const all = shared();
before(async () => {
	[system, dir, ...browsers] = await Promise.all([startSystem(all), tempDir(all), ...BROWSERS.map((name) => launch(all, name))]);
});

for (const [i, name] of BROWSERS.entries()) {
	describe(`the recorder in ${name}`, () => {
		const enter = async (who, room, { url = system.url, flash = false } = {}) => {
			const page = await openPage(browsers[i], `${url}#${room}`, { prepare: instrument, argument: { flash } });
			await joinRoom(page, who, room);
			return page;
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
					sameTime(sound, saidSound, await finished(system, saidSound.session, "mp3"))),
				t.test("sound and picture are whole and in sync", async (t) => {
					const { truth, got } = await sameTime(picture, saidPicture, await finished(system, saidPicture.session, "webm"));
					t.diagnostic(`beep minus flash: ${median(got.offsets)} s, as recorded ${median(truth.offsets)} s`);
					assert.ok(got.offsets.length >= RECORD_S - 2, "the flashes are there");
					near(got.frames, truth.frames, 1, "frames");
					// Against what the browser recorded: a starved one is out of sync by itself.
					near(median(got.offsets), median(truth.offsets), SYNC_OFF_S, "sound and picture");
				}),
				t.test("the broken network lost nothing", async () =>
					sameTime(broken, saidBroken, await finished(system, saidBroken.session, "mp3"))),
			]);
			for (const page of [sound, picture, broken]) assert.deepEqual(page.problems, []);
			await Promise.all([sound, picture, broken].map((page) => page.close()));
		});
	});
}
