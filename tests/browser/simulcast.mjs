/*
 * Layers through msr-sfu. Simulcast: a browser publishes three, a viewer asks for one after another and
 * sees the size of the picture change, without standing still and without a lost picture. SVC: the
 * layers of one stream.
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { decodeErrors, openPage, pause, waitFor } from "./support.mjs";

const run = promisify(execFile);
const FREEZE_MS = 1000; // no picture stands still for longer
const SIZE = { high: 960, mid: 480, low: 240 }; // width; Chromium makes three layers from 960x540 on
/* Not in the usual order. */
const LAYERS = [
	{ rid: "f", maxBitrate: 130000 },
	{ rid: "h", scaleResolutionDownBy: 2, maxBitrate: 90000 },
	{ rid: "q", scaleResolutionDownBy: 4, maxBitrate: 60000 },
];

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
	/* Publishes a moving picture, encoded with `codec` as `sendEncodings` say. False: this browser cannot. */
	window.publish = async (user, codec, sendEncodings) => {
		const { codecs } = RTCRtpSender.getCapabilities("video");
		const wanted = codecs.filter(({ mimeType }) => mimeType.toLowerCase() === `video/${codec}`);
		if (!wanted.length) return false;
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
		const transceiver = pc.addTransceiver(track, { direction: "sendonly", sendEncodings });
		transceiver.setCodecPreferences?.([...wanted, ...codecs.filter(({ mimeType }) => /rtx/.test(mimeType))]);
		window.sender = transceiver.sender;
		await pc.setLocalDescription();
		const { answer } = await call("POST", `${user}/produce`, { offer: pc.localDescription.sdp });
		await pc.setRemoteDescription({ type: "answer", sdp: answer });
		return true;
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

const want = (page, user, level) =>
	page.evaluate((who, video) => call("PATCH", `${me}/subscription`, { users: { [who]: { video } } }), user, level);
const sees = (page, level) => waitFor(`the ${level} layer`, () => page.evaluate((width) => frames.at(-1)?.width === width, SIZE[level]), 20);
const told = (page, what) => waitFor(`the event ${JSON.stringify(what)}`, () => page.evaluate(
	(wanted) => layers.some((one) => Object.entries(wanted).every(([key, value]) => one[key] === value)), what));

/*
 * A room in which `user` publishes and "viewer" watches: {pub, viewer}, their pages; null where the
 * publisher's browser has no such codec.
 */
async function meet(system, publisher, watcher, user, codec, encodings) {
	const open = (browser) => openPage(browser, `${system.sfu}/health`, { prepare: client });
	const room = `/rooms/of-${user}`;
	const [pub, viewer] = [await open(publisher), await open(watcher)];
	await pub.evaluate((room_id) => call("POST", "/rooms", { room_id }), room.slice("/rooms/".length));
	await viewer.evaluate((path) => receive(path), `${room}/users/viewer`);
	if (await pub.evaluate((...all) => publish(...all), `${room}/users/${user}`, codec, encodings)) return { pub, viewer };
	await Promise.all([pub.close(), viewer.close()]);
	return null;
}

/* The call ends; its file is whole. Gives it and the widths of its pictures, each where it begins. */
async function recorded(system, user, { pub, viewer }) {
	await pub.evaluate(() => call("DELETE", me));
	const side = JSON.parse(await waitFor("the recording", () => readFile(join(system.storage, `${user}.json`), "utf8"), 20));
	const file = join(system.storage, side.file);
	assert.equal(await decodeErrors(file), "");
	assert.equal(side.missing, 0);
	const { stdout } = await run("ffprobe", ["-v", "error", "-show_entries", "frame=width", "-of", "csv=p=0", file]);
	assert.deepEqual([...pub.problems, ...viewer.problems], []);
	await Promise.all([pub.close(), viewer.close()]);
	const widths = stdout.trim().split(/,?\s+/).map(Number).filter((width, k, all) => width !== all[k - 1]);
	return { file, widths };
}

/* Sums of a file's decoded pictures. */
const pictures = async (file, ...decoder) => (await run("ffmpeg",
	["-v", "error", ...decoder, "-i", file, "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-"])).stdout;

/* How long pictures stood still at most, in ms, and what the viewer's browser counted. */
async function watched(t, { pub, viewer }) {
	const { gaps, stats } = await viewer.evaluate(async () => ({
		gaps: frames.slice(1).map((one, i) => (i + 1 === window.resumed ? 0 : one.at - frames[i].at)),
		stats: await inbound(),
	}));
	/* Of a machine that has no time for its browsers nothing can be said. */
	const starved = await pub.evaluate(() => starved) + await viewer.evaluate(() => starved);
	const still = Math.max(...gaps);
	t.diagnostic(`longest stand-still ${still.toFixed(0)} ms, browsers starved ${starved.toFixed(0)} ms, ${stats.framesDecoded} pictures`);
	assert.ok(still < FREEZE_MS + 2 * starved, `a picture stood still for ${still} ms`);
	if (starved < FREEZE_MS) {
		assert.equal(stats.pliCount, 0, "the viewer had to ask for a picture");
		assert.equal(stats.packetsLost, 0);
		assert.ok(stats.framesReceived - stats.framesDecoded <= 5, `${stats.framesReceived} received, ${stats.framesDecoded} decoded`);
	}
}

/* `publisher` shows three layers as `user`, `watcher` sees them. False: this browser has no such codec. */
export async function simulcast(t, system, publisher, watcher, user, codec) {
	const pages = await meet(system, publisher, watcher, user, codec, LAYERS);
	if (!pages) return false;
	const { pub, viewer } = pages;

	await sees(viewer, "high");
	await waitFor("all layers", () => pub.evaluate(async () => (await sent()).every((frames) => frames > 5)), 20);
	for (const level of ["low", "high", "mid"]) {
		await want(viewer, user, level);
		await sees(viewer, level);
		await told(viewer, { to: "viewer", user, track: `${user}/0`, layer: level, width: SIZE[level] });
	}
	await want(viewer, user, "off");
	await told(viewer, { layer: "off", reason: "wanted" });
	const shown = await viewer.evaluate(() => frames.length);
	await pause(700); // that nothing comes can only be waited for
	assert.ok(await viewer.evaluate(() => frames.length) <= shown + 2);
	await viewer.evaluate(() => void (window.resumed = frames.length));
	await want(viewer, user, "auto");
	await sees(viewer, "high");

	/* The publisher stops its best layer, as browsers do that are short of something. */
	await viewer.evaluate(() => void (layers.length = 0));
	await pub.evaluate(() => toggle("f", false));
	await sees(viewer, "mid");
	await told(viewer, { layer: "mid", reason: "source" });
	await pub.evaluate(() => toggle("f", true));
	await sees(viewer, "high");
	await told(viewer, { layer: "high", reason: "source" });

	await watched(t, pages);
	const { widths } = await recorded(system, user, pages);
	t.diagnostic(`recorded widths: ${widths}`);
	assert.deepEqual(widths.slice(-3), [SIZE.high, SIZE.mid, SIZE.high], "the recorder follows the best layer");
	return true;
}

/* Layers within one stream (SVC) pass whole: the viewer sees the best, and it is what is recorded. */
export async function scalable(t, system, publisher, watcher, user, codec, scalabilityMode) {
	const pages = await meet(system, publisher, watcher, user, codec, [{ scalabilityMode, maxBitrate: 1500000 }]);
	if (!pages) return false;
	const { pub, viewer } = pages;
	const made = () => pub.evaluate(() => sender.getParameters().encodings[0].scalabilityMode);
	if (!(await made())) {
		await Promise.all([pub.close(), viewer.close()]);
		return false;
	}
	assert.equal(await made(), scalabilityMode);
	await sees(viewer, "high");
	const seen = await viewer.evaluate(() => frames.length);
	await waitFor("5 s of pictures", () => viewer.evaluate((from) => frames.length > from + 75, seen), 20);
	await watched(t, pages);
	// A browser that is short of something makes fewer layers for a while.
	const shown = await viewer.evaluate((from) => frames.slice(from).map(({ width }) => width), seen);
	const best = shown.filter((width) => width === SIZE.high).length;
	assert.ok(best > shown.length / 2, `${best} of ${shown.length} pictures are of the highest layer`);
	const { file, widths } = await recorded(system, user, pages);
	t.diagnostic(`recorded widths: ${widths}`);
	// Not all layers of a picture one after the other; the browser itself begins with few of them.
	assert.ok(widths.at(-1) === SIZE.high && widths.length < 10, `recorded widths: ${widths}`);
	// A decoder that knows of layers shows the highest, others what they are told to show.
	if (codec === "vp9") assert.equal(await pictures(file), await pictures(file, "-c:v", "libvpx-vp9"));
	return true;
}
