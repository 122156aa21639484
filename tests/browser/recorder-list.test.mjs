/*
 * What people have of recordings in the page, in each browser: a screen that was recorded becomes a
 * finished file, and it is in the list, can be shared with others in the room, and plays there. How true
 * recordings are is measured in recorder.test.mjs.
 */
// takes 50 s
import assert from "node:assert/strict";
import { before, describe, test } from "node:test";
import { BROWSERS, joinRoom, launch, measure, openPage, startSystem, text, waitFor } from "./support.mjs";
import { finished, listed, openSource, shared } from "./recordings.mjs";

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

/* One system for all browsers. */
let system, browsers;
const all = shared();
before(async () => {
	[system, ...browsers] = await Promise.all([startSystem(all), ...BROWSERS.map((name) => launch(all, name))]);
});

for (const [i, name] of BROWSERS.entries()) {
	describe(`recordings in the page of ${name}`, () => {
		const enter = async (who, room, prepare) => {
			const page = await openPage(browsers[i], `${system.url}#${room}`, { prepare });
			await joinRoom(page, who, room);
			return page;
		};

		test("the screen, with the sounds of screen and microphone in one", async () => {
			const page = await enter("Dora", "screen", fakeScreen);
			await openSource(page, "screen");
			await page.click("#rec");
			await waitFor("three seconds", () => page.$eval("#elapsed", (node) => Number(node.dataset.seconds) > 3), 30);
			await page.click("#rec");
			await listed(page);
			const { file } = await finished(system, await text(page, "#rec-name"), "webm");
			const { audio, video } = await measure(file);
			assert.ok(audio > 2.5 && video > 2.5, `${audio} s of sound, ${video} s of picture`);
			assert.deepEqual(page.problems, []);
			await page.close();
		});

		test("text reaches the other page, and a shared recording plays in the list", async () => {
			const [anna, bo] = await Promise.all(["Anna", "Бо"].map((who) => enter(who, "talk")));
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
