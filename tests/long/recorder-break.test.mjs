/*
 * Recordings in the page that outlive long breaks: a network that stays away for longer than the
 * server waits, a server that is killed, and one that is stopped and started again.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { readFile, writeFile } from "node:fs/promises";
import {
	BROWSERS, decodeErrors, joinRoom, launch, measure, openPage, pause, startProxy, startSystem, tempDir,
	text, waitFor,
} from "../browser/support.mjs";
import { instrument } from "../browser/instrument.mjs";

/* A cluster is repeated at the head of a later piece; browsers make them this long at most. */
const OVERLAP_S = 12;

for (const name of BROWSERS.filter(Boolean)) {
	describe(`long breaks in ${name}`, () => {
		let system, browser, dir;
		const cleanup = [];
		const t = { after: (what) => cleanup.unshift(what) };

		before(async () => {
			dir = await tempDir(t);
			[system, browser] = await Promise.all([startSystem(t), launch(t, name)]);
		});
		after(async () => {
			for (const what of cleanup) await what();
		});

		/* Records the camera for `seconds`; `during` disturbs. Gives the files and the truth. */
		async function record(url, room, seconds, during) {
			const page = await openPage(browser, `${url}#${room}`, { prepare: instrument, argument: { flash: false } });
			await joinRoom(page, "Anna", room);
			await page.click("input[value=camera] + span");
			await page.click("#rec");
			await waitFor("the recording", () => page.$eval("#elapsed", (node) => Number(node.dataset.seconds) > 4));
			await during(page);
			await waitFor("the time to pass", () => page.$eval("#elapsed",
				(node, least) => Number(node.dataset.seconds) >= least, seconds), seconds + 30);
			await page.click("#rec");
			await waitFor("the recording to be in the list", () =>
				page.$eval("#rec-state", (node) => node.dataset.state === "stateReady"), 60);
			const truth = join(dir, `${room}.webm`);
			await writeFile(truth, Buffer.from(await page.evaluate(() => keptBase64()), "base64"));
			const last = await text(page, "#rec-name");
			const list = await waitFor("all pieces", async () => {
				const { recordings } = await (await fetch(`${system.url}recordings`)).json();
				const pieces = recordings.filter((recording) => recording.room === room);
				return pieces.some(({ session }) => session === last) && pieces;
			}, 30);
			assert.deepEqual(page.problems, []);
			await page.close();
			const files = list.sort((a, b) => a.session.length - b.session.length).map(({ path }) => join(system.storage, path));
			for (const file of files) assert.equal(await decodeErrors(file), "", file);
			return { truth: await measure(truth), pieces: await Promise.all(files.map(measure)) };
		}

		/* Two files that together hold what was recorded, with a short overlap. */
		function twoPieces({ truth, pieces }) {
			assert.equal(pieces.length, 2);
			const sum = pieces[0].video + pieces[1].video;
			assert.ok(sum >= truth.video - 0.1, `${sum} s of ${truth.video} s are there`);
			assert.ok(sum <= truth.video + OVERLAP_S, `${sum} s, only ${truth.video} s were recorded`);
		}

		/* The pid of msr-ws, third in its line of msr-supervise's notes. */
		const wsPid = async () => Number((await readFile(join(system.dir, "run/ws.state"), "utf8")).split(" ")[2]);

		test("a network that is away for 15 s, longer than the server waits", async (t) => {
			const proxy = await startProxy(t, system.port);
			twoPieces(await record(proxy.url, "away", 26, async () => {
				proxy.cut();
				await pause(15000);
				proxy.mend();
			}));
		});

		test("msr-ws is killed and comes back", async () => {
			const { truth, pieces } = await record(system.url, "killed", 14, async () =>
				process.kill(await wsPid(), "SIGKILL"));
			assert.equal(pieces.length, 1);
			assert.ok(Math.abs(pieces[0].video - truth.video) < 0.1, `${pieces[0].video} s of ${truth.video} s`);
			assert.equal(pieces[0].frames, truth.frames);
		});

		test("msr-ws is stopped properly, and started again", async () => {
			twoPieces(await record(system.url, "stopped", 14, async () =>
				process.kill(await wsPid(), "SIGTERM")));
		});
	});
}
