/* Recordings that were made through the page: in its list, and as finished files. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after } from "node:test";
import { decodeErrors, find, sha256, waitFor } from "./support.mjs";

/* Something like a test's context, for what several tests use. */
export function shared() {
	const cleanup = [];
	after(async () => {
		for (const what of cleanup) await what();
	});
	return { after: (what) => cleanup.unshift(what) };
}

/* Has the page show and hear what it is to record: "microphone", "camera" or "screen". */
export async function openSource(page, source) {
	await page.click(`input[value=${source}] + span`);
	await page.click("#turn-on");
	await waitFor("the preview", () => page.$eval("#preview", (node) => node.dataset.state !== "off"));
	// A browser that has yet to wake its sound card loses time that the page's clock counts.
	await waitFor("something to be heard", () => page.$eval("#meter", (node) => node.getAttribute("aria-valuenow") > -60));
}

/* Waits until the stopped recording is in the list. */
export async function listed(page) {
	let said;
	await waitFor("the recording to be in the list", async () => {
		said = await page.evaluate(() => [...document.querySelectorAll("#rec-state, #rec-error, #rec-acked, #rec-waiting")]
			.map((node) => `${node.id}: ${node.dataset.state ?? ""} ${node.textContent}`).join("; "));
		return said.includes("stateReady");
	}, 40).catch((error) => {
		throw new Error(`${error.message} (${said})`, { cause: error });
	});
}

export const near = (a, b, off, what) => assert.ok(Math.abs(a - b) <= off, `${what}: ${a} and ${b}, more than ${off} apart`);

/* The finished file of a session: whole, and with its task once. */
export async function finished(system, session, ending) {
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
}
