/*
 * Simulcast through msr-sfu: a browser publishes three layers, a viewer asks for one after another and
 * sees the size of the picture change, without standing still and without a lost picture.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { decodeErrors, openPage, pause, waitFor } from "./support.mjs";

const run = promisify(execFile);
const FREEZE_MS = 1000; // no picture stands still for longer
const SIZE = { high: 960, mid: 480, low: 240 }; // width; Chromium makes three layers from 960x540 on

/* In both pages: the interface, and for how long the page itself got no time to run at most. */
function client() {
	let before = performance.now();
	window.starved = 0;
	setInterval(() => {
		const now = performance.now();
		starved = Math.max(starved, now - before - 50);
		before = now;
	}, 50);
	window.call = async (method, path, body) => {
		const reply = await fetch(path, { method, body: body && JSON.stringify(body) });
		const json = await reply.json();
		if (!reply.ok) throw new Error(`${method} ${path}: ${JSON.stringify(json)}`);
		return json;
	};
	/* Publishes a moving picture in three layers, not listed in the usual order. */
	window.publish = async (user) => {
		window.me = user;
		await call("POST", user);
		const canvas = document.createElement("canvas");
		[canvas.width, canvas.height] = [960, 540];
		const pen = canvas.getContext("2d");
		setInterval(() => {
			pen.fillStyle = "#247"; // calm, so that little is left out at so few bits
			pen.fillRect(0, 0, 960, 540);
			pen.fillStyle = "white";
			pen.fillRect((performance.now() / 4) % 880, 230, 80, 80);
		}, 1000 / 15);
		const [track] = canvas.captureStream(15).getVideoTracks();
		window.pc = new RTCPeerConnection();
		window.sender = pc.addTransceiver(track, {
			direction: "sendonly",
			sendEncodings: [
				{ rid: "f", maxBitrate: 130000 },
				{ rid: "h", scaleResolutionDownBy: 2, maxBitrate: 90000 },
				{ rid: "q", scaleResolutionDownBy: 4, maxBitrate: 60000 },
			],
		}).sender;
		await pc.setLocalDescription();
		const { answer } = await call("POST", `${user}/produce`, { offer: pc.localDescription.sdp });
		await pc.setRemoteDescription({ type: "answer", sdp: answer });
	};
	window.toggle = async (rid, active) => {
		const parameters = sender.getParameters();
		parameters.encodings.find((one) => one.rid === rid).active = active;
		await sender.setParameters(parameters);
	};
	window.sent = async () => [...(await pc.getStats()).values()].filter((one) => one.type === "outbound-rtp").map((one) => one.framesSent);
	/* Receives; notes each picture that is shown, and each event about layers. */
	window.receive = async (user) => {
		window.me = user;
		window.layers = [];
		window.frames = [];
		window.pc = new RTCPeerConnection();
		pc.ontrack = ({ track }) => {
			const video = document.body.appendChild(document.createElement("video"));
			video.muted = true;
			video.srcObject = new MediaStream([track]);
			video.play();
			const note = (now, { width, height }) => {
				frames.push({ at: now, width, height });
				video.requestVideoFrameCallback(note);
			};
			video.requestVideoFrameCallback(note);
		};
		const answer = async ({ offer, offer_id: id }) => {
			if (!offer) return;
			await pc.setRemoteDescription({ type: "offer", sdp: offer });
			await pc.setLocalDescription();
			await answer(await call("POST", `${user}/consume`, { answer: pc.localDescription.sdp, offer_id: id }));
		};
		await answer(await call("POST", user));
		const events = new EventSource(`${user}/events`);
		events.addEventListener("offer", (event) => answer(JSON.parse(event.data)));
		events.addEventListener("layer", (event) => layers.push(JSON.parse(event.data)));
	};
	window.inbound = async () => [...(await pc.getStats()).values()].find((s) => s.type === "inbound-rtp" && s.kind === "video");
}

const want = (page, level) => page.evaluate((video) => call("PATCH", `${me}/subscription`, { users: { pub: { video } } }), level);
const sees = (page, level) => waitFor(`the ${level} layer`, () => page.evaluate((width) => frames.at(-1)?.width === width, SIZE[level]), 20);
const told = (page, what) => waitFor(`the event ${JSON.stringify(what)}`, () => page.evaluate(
	(wanted) => layers.some((one) => Object.entries(wanted).every(([key, value]) => one[key] === value)), what));

/*
 * `publisher` shows three layers in `room`, `watcher` sees them. `before`: how many recordings of the user
 * "pub" this system has already.
 */
export async function simulcast(t, system, publisher, watcher, room, before) {
	const open = (browser) => openPage(browser, `${system.sfu}/health`, { prepare: client });
	const [pub, viewer] = [await open(publisher), await open(watcher)];
	await pub.evaluate((room_id) => call("POST", "/rooms", { room_id }), room);
	await viewer.evaluate((id) => receive(`/rooms/${id}/users/viewer`), room);
	await pub.evaluate((id) => publish(`/rooms/${id}/users/pub`), room);

	await sees(viewer, "high");
	await waitFor("all layers", () => pub.evaluate(async () => (await sent()).every((frames) => frames > 5)), 20);
	for (const level of ["low", "high", "mid"]) {
		await want(viewer, level);
		await sees(viewer, level);
		await told(viewer, { to: "viewer", user: "pub", track: "pub/0", layer: level, width: SIZE[level] });
	}
	await want(viewer, "off");
	await told(viewer, { layer: "off", reason: "wanted" });
	const shown = await viewer.evaluate(() => frames.length);
	await pause(700); // that nothing comes can only be waited for
	assert.ok(await viewer.evaluate(() => frames.length) <= shown + 2);
	await viewer.evaluate(() => void (window.resumed = frames.length));
	await want(viewer, "auto");
	await sees(viewer, "high");

	/* The publisher stops its best layer, as browsers do that are short of something. */
	await viewer.evaluate(() => void (layers.length = 0));
	await pub.evaluate(() => toggle("f", false));
	await sees(viewer, "mid");
	await told(viewer, { layer: "mid", reason: "source" });
	await pub.evaluate(() => toggle("f", true));
	await sees(viewer, "high");
	await told(viewer, { layer: "high", reason: "source" });

	const { gaps, stats } = await viewer.evaluate(async () => ({
		gaps: frames.slice(1).map((one, i) => (i + 1 === resumed ? 0 : one.at - frames[i].at)),
		stats: await inbound(),
	}));
	/* Of a machine that has no time for its browsers nothing can be said. */
	const starved = await pub.evaluate(() => starved) + await viewer.evaluate(() => starved);
	t.diagnostic(`longest stand-still ${Math.max(...gaps).toFixed(0)} ms, browsers starved ${starved.toFixed(0)} ms, ${stats.framesDecoded} pictures`);
	assert.ok(Math.max(...gaps) < FREEZE_MS + 2 * starved, `a picture stood still for ${Math.max(...gaps)} ms`);
	if (starved < FREEZE_MS) {
		assert.equal(stats.pliCount, 0, "the viewer had to ask for a picture");
		assert.equal(stats.packetsLost, 0);
		assert.ok(stats.framesReceived - stats.framesDecoded <= 5, `${stats.framesReceived} received, ${stats.framesDecoded} decoded`);
	}

	await pub.evaluate(() => call("DELETE", me));
	const file = join(system.storage, before ? `pub~${before + 1}` : "pub");
	await waitFor("the recording", () => stat(`${file}.json`), 20);
	assert.equal(await decodeErrors(`${file}.webm`), "");
	assert.equal(JSON.parse(await readFile(`${file}.json`, "utf8")).missing, 0);
	const { stdout } = await run("ffprobe", ["-v", "error", "-show_entries", "frame=width", "-of", "csv=p=0", `${file}.webm`]);
	const widths = stdout.trim().split(/,?\s+/).map(Number).filter((width, k, all) => width !== all[k - 1]);
	t.diagnostic(`recorded widths: ${widths}`);
	assert.deepEqual(widths.slice(-3), [SIZE.high, SIZE.mid, SIZE.high], "the recorder follows the best layer");
	assert.deepEqual([...pub.problems, ...viewer.problems], []);
	await Promise.all([pub.close(), viewer.close()]);
}
