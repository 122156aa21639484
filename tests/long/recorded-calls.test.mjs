/*
 * Calls of real browsers as they are recorded: published through WHIP with every codec that the
 * browser offers, muted in the middle, with another picture put in the camera's place, begun again
 * under the same name; and the recorder or the server killed meanwhile. Published through the rooms
 * too: ICE restarted, a screen shared for a while, and all of it over a lossy network. Every file is in
 * sync, as long as the call, and taken without complaint by FFmpeg, mkvtoolnix and the <video> of both
 * browsers.
 */
// serial: times are measured, and browsers that starve keep none
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { instrument } from "../browser/instrument.mjs";
import { startRelay, throughRelay } from "../browser/network.mjs";
import { BROWSERS, decodeErrors, find, launch, measure, openPage, pause, startSystem, waitFor } from "../browser/support.mjs";

const run = promisify(execFile);
const CALL_S = Number(process.env.MSR_CALL_SECONDS ?? 60);
const CODEC_S = Math.min(CALL_S, 8);
const PART_S = Math.min(CALL_S, 10); // before and after a change
const SYNC_OFF_S = 0.04;
const SEEN_OFF_MS = 500; // a viewer is that much behind the recording at most,
const SETTLE_MS = 8000; // once it has caught up: Firefox first sends at once what it heard before it was connected
const SCREEN_OFF_S = 0.1; // two files are in step by when their packets arrived
const CODECS = ["vp8", "vp9", "h264", "av1"];

/* ---- in the page ---- */

/* Publishes the flashing camera; false when the browser cannot send with this codec. */
async function publish(url, codec) {
	const all = RTCRtpSender.getCapabilities("video").codecs;
	const wanted = all.filter(({ mimeType }) => mimeType.toLowerCase() === `video/${codec}`);
	if (!wanted.length) return false;
	const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
	const pc = (globalThis.pc = new RTCPeerConnection());
	const [sound] = stream.getAudioTracks();
	const [picture] = stream.getVideoTracks();
	globalThis.sound = pc.addTransceiver(sound, { direction: "sendonly", streams: [stream] }).sender;
	const camera = pc.addTransceiver(picture, { direction: "sendonly", streams: [stream] });
	camera.setCodecPreferences?.([...wanted, ...all.filter((one) => /rtx/.test(one.mimeType))]);
	globalThis.camera = camera.sender;
	await pc.setLocalDescription();
	const reply = await fetch(url, {
		method: "POST", headers: { "Content-Type": "application/sdp" }, body: pc.localDescription.sdp,
	});
	if (reply.status !== 201) throw new Error(`WHIP: ${reply.status} ${await reply.text()}`);
	globalThis.session = new URL(reply.headers.get("Location"), url).href;
	const sdp = await reply.text();
	if (!/^m=video [1-9]/m.test(sdp)) return false;
	await pc.setRemoteDescription({ type: "answer", sdp });
	for (let i = 0; i < 400 && pc.connectionState !== "connected"; i++) await new Promise((r) => setTimeout(r, 50));
	return pc.connectionState === "connected";
}

/*
 * Publishes the flashing camera as a user of the room, as the page of msr-ws does: produce() tells the
 * server what pc sends, again after each change of it.
 */
async function enterRoom(sfu, room, user) {
	const post = async (url, body) => {
		const reply = await fetch(url, {
			method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
		});
		if (!reply.ok && reply.status !== 409) throw new Error(`${url}: ${reply.status} ${await reply.text()}`);
		return reply.json();
	};
	globalThis.session = `${sfu}/rooms/${room}/users/${user}`;
	await post(`${sfu}/rooms`, { room_id: room }); // 409: others are there already
	await post(session, {});
	const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
	const pc = (globalThis.pc = new RTCPeerConnection());
	const names = new Map();
	globalThis.send = (source, track, streams) => {
		const transceiver = pc.addTransceiver(track, { direction: "sendonly", streams });
		names.set(transceiver, source);
		return transceiver;
	};
	globalThis.produce = async (options) => {
		await pc.setLocalDescription(await pc.createOffer(options));
		const live = pc.getTransceivers().filter((one) => one.mid && one.currentDirection !== "stopped");
		const sources = Object.fromEntries(live.map((one) => [one.mid, names.get(one)]));
		const { answer } = await post(`${session}/produce`, { offer: pc.localDescription.sdp, sources });
		await pc.setRemoteDescription({ type: "answer", sdp: answer });
		for (let i = 0; i < 400 && pc.connectionState !== "connected"; i++) await new Promise((r) => setTimeout(r, 50));
		return pc.connectionState === "connected";
	};
	send("microphone", stream.getAudioTracks()[0], [stream]);
	globalThis.camera = send("camera", stream.getVideoTracks()[0], [stream]).sender;
	return produce();
}

/* New credentials on both sides, and so new pairs; false when nothing has changed. */
async function restartIce() {
	const name = () => /^a=ice-ufrag:(.*)$/m.exec(pc.currentRemoteDescription.sdp)[1];
	const before = name();
	return (await produce({ iceRestart: true })) && name() !== before;
}

/* What is shown on the screen are the flashes of the camera, at the same moment. */
async function shareScreen() {
	const track = camera.track.clone();
	globalThis.shared = send("screen", track, [new MediaStream([track])]);
	return produce();
}

async function stopSharing() {
	shared.sender.track.stop();
	shared.stop();
	return produce();
}

async function hangUp() {
	await fetch(session, { method: "DELETE" });
	pc.close();
}

/* Nothing is sent for so long, as when a page takes its microphone away. */
async function mute(seconds) {
	const { track } = sound;
	await sound.replaceTrack(null);
	await new Promise((done) => setTimeout(done, seconds * 1000));
	await sound.replaceTrack(track);
}

/* The same flashes, of another size. */
async function replaceCamera() {
	await camera.replaceTrack(anotherCamera(640, 360));
}

/*
 * Receives, and notes how bright and how loud it is: at milliseconds since 1970, by the clock of this
 * machine, which the recorder has, too.
 */
async function watch(url) {
	const pc = new RTCPeerConnection();
	const stream = new MediaStream();
	pc.ontrack = ({ track }) => stream.addTrack(track);
	for (const kind of ["audio", "video"]) pc.addTransceiver(kind, { direction: "recvonly" });
	await pc.setLocalDescription();
	const reply = await fetch(url, {
		method: "POST", headers: { "Content-Type": "application/sdp" }, body: pc.localDescription.sdp,
	});
	if (reply.status !== 201) throw new Error(`WHEP: ${reply.status} ${await reply.text()}`);
	await pc.setRemoteDescription({ type: "answer", sdp: await reply.text() });

	globalThis.light = []; // {at, level} of each picture,
	globalThis.noise = []; // and of the sound every few milliseconds
	const note = (list, now, level) => list.push({ at: performance.timeOrigin + now, level });
	const video = document.body.appendChild(document.createElement("video"));
	video.muted = true;
	video.srcObject = stream;
	await video.play();
	const canvas = new OffscreenCanvas(16, 9);
	const pen = canvas.getContext("2d", { willReadFrequently: true });
	const look = (now) => {
		pen.drawImage(video, 0, 0, 16, 9);
		const { data } = pen.getImageData(8, 2, 1, 1);
		note(light, now, data[0]);
		video.requestVideoFrameCallback(look);
	};
	video.requestVideoFrameCallback(look);

	const context = new AudioContext();
	const ear = context.createAnalyser();
	ear.fftSize = 512;
	context.createMediaStreamSource(stream).connect(ear);
	const samples = new Float32Array(ear.fftSize);
	setInterval(() => {
		ear.getFloatTimeDomainData(samples);
		note(noise, performance.now(), Math.max(...samples.map(Math.abs)));
	}, 5);
}

/* Plays a file to its end: its duration, or why not. */
async function play(url) {
	const video = document.createElement("video");
	video.muted = true;
	video.src = url;
	document.body.append(video);
	const said = (what) => new Promise((done) => video.addEventListener(what, done, { once: true }));
	const failed = said("error").then(() => {
		throw new Error(video.error.message || `error ${video.error.code}`);
	});
	await Promise.race([said("loadedmetadata"), failed]);
	const { duration } = video;
	video.currentTime = Math.max(0, duration - 1.5);
	const ended = said("ended");
	await video.play();
	await Promise.race([ended, failed]);
	const { videoWidth } = video;
	video.remove();
	return { duration, videoWidth };
}

/* ---- files ---- */

/* What programs that are stricter than players say about a file. */
async function accepted(file) {
	assert.equal(await decodeErrors(file), "", "FFmpeg decodes it");
	const { stdout: packets } = await run("ffprobe", ["-v", "warning", "-show_packets", "-show_entries",
		"packet=stream_index,dts_time", "-of", "csv=p=0", file], { maxBuffer: 1 << 26 });
	const last = new Map();
	for (const line of packets.trim().split("\n")) {
		const [stream, time] = line.split(",");
		assert.ok(!(Number(time) < last.get(stream)), `packets of stream ${stream} in order at ${time}`);
		last.set(stream, Number(time));
	}
	const { stdout } = await run("mkvmerge", ["-J", file]);
	const { errors, warnings } = JSON.parse(stdout);
	assert.deepEqual([...errors, ...warnings], [], "mkvmerge finds nothing wrong");
	const { stdout: info } = await run("mkvinfo", [file], { maxBuffer: 1 << 26 });
	assert.doesNotMatch(info, /error|invalid|unknown element/i);
}

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];

/*
 * Flashes a second apart from the first to the last, so no time is missing and none invented; beeps with
 * them at the start and at the end. Medians, as a browser that is kept waiting draws a flash late.
 */
function onTime({ flashes, offsets }, sync = SYNC_OFF_S) {
	const steps = flashes.slice(1).map((time, i) => time - flashes[i]);
	const whole = (step) => Math.max(1, Math.round(step));
	const late = steps.map((step) => step - whole(step));
	const since = late.map((_, i) => late.slice(0, i + 1).reduce((sum, one) => sum + one));
	const begin = median(since.slice(0, 7)); // a first one that was drawn late is not a measure of the others
	const off = since.map((time) => Math.abs(time - begin));
	assert.ok(median(late.map(Math.abs)) <= 0.04, `flashes off the second: ${flashes}`);
	assert.ok(median(off) <= 0.04, `flashes off the second: ${flashes}`);
	assert.ok(median(off.slice(-5)) <= 0.1, `time was lost or invented: ${flashes}`);
	for (const some of [offsets.slice(0, 7), offsets.slice(-7)]) {
		assert.ok(Math.abs(median(some)) <= sync, `beeps and flashes apart: ${offsets}`);
	}
}

/* When it becomes bright or loud after a while that it was not; of a viewer that has settled. */
function onsets(list) {
	const settled = list[0].at + SETTLE_MS;
	const most = Math.max(...list.map(({ level }) => level));
	let last = -Infinity;
	return list.filter(({ level }) => level > 0.4 * most).filter(({ at }) => {
		const begins = at - last >= 200;
		last = at;
		return begins && at > settled;
	}).map(({ at }) => at);
}

/*
 * Every flash that a viewer saw and every beep that it heard is in the recording, and no others since the
 * viewer came. `side` and `got`: of the recording. Both keep time in their own way (a viewer waits for
 * late packets, a recording follows the sound), but neither jumps.
 */
async function asSeen(page, side, got) {
	const { light, noise } = await page.evaluate(() => ({ light, noise }));
	await page.close();
	for (const [kind, seen] of [["flashes", onsets(light)], ["beeps", onsets(noise)]]) {
		const recorded = got[kind].map((time) => Date.parse(side.start) + time * 1000).filter((at) => at > seen[0] - SEEN_OFF_MS);
		const later = seen.slice(0, recorded.length).map((at, i) => at - recorded[i]);
		const jumps = later.slice(1).filter((one, i) => Math.abs(one - later[i]) > SEEN_OFF_MS / 2).length;
		const said = `${seen.length} ${kind} seen, ${recorded.length} recorded, earlier by ${later.map(Math.round)} ms`;
		console.log(said);
		assert.ok(seen.length >= 5 && Math.abs(recorded.length - seen.length) <= 1 && jumps <= 1, said);
	}
}

for (const name of BROWSERS.filter(Boolean)) {
	describe(`recorded calls of ${name}`, () => {
		let system, browser, players;
		const cleanup = [];
		const t = { after: (what) => cleanup.unshift(what) };

		before(async () => {
			[system, ...players] = await Promise.all([
				startSystem(t, { only: "msr-ws msr-sfu msr-record" }), ...BROWSERS.map((one) => launch(t, one))]);
			browser = players[BROWSERS.indexOf(name)];
		});
		after(async () => {
			for (const what of cleanup) await what();
		});

		const enter = () => openPage(browser, system.url, { prepare: instrument, argument: { flash: true } });
		const whip = (user, room = "call") => `${system.sfu}/whip/${room}/${user}`;
		const finished = async (stem) => {
			const side = await waitFor(`${stem} to be finished`, async () =>
				JSON.parse(await readFile(join(system.storage, `${stem}.json`))), 90);
			return { side, file: join(system.storage, dirname(stem), side.file) };
		};
		/* In every browser's <video>, to the end. Matroska is not for them. */
		const plays = async (side) => {
			if (!side.file.endsWith(".webm")) return;
			for (const player of players) {
				const page = await openPage(player, system.url);
				const { duration, videoWidth } = await page.evaluate(play, `${system.url}recordings/${side.file}`);
				assert.ok(Math.abs(duration - side.duration) <= 0.1 && videoWidth > 0, `${duration} s, ${videoWidth} wide`);
				await page.close();
			}
		};
		/* Chromium, as it sees and hears a user of a room. */
		const watcher = async (user, room = "call") => {
			const page = await openPage(players[BROWSERS.indexOf("chromium")], system.url);
			await page.evaluate(watch, `${system.sfu}/whep/${room}/${user}`);
			return page;
		};

		test(`${CALL_S} s with a mute and another camera in the middle`, async () => {
			const page = await enter();
			assert.ok(await page.evaluate(publish, whip("long"), "vp8"));
			const viewer = await watcher("long");
			const part = CALL_S / 6;
			await pause(2 * part * 1000);
			await page.evaluate(mute, part);
			await pause(part * 1000);
			await page.evaluate(replaceCamera);
			await pause(2 * part * 1000);
			await page.evaluate(hangUp);
			const { file, side } = await finished("long");
			await accepted(file);
			const got = await measure(file);
			console.log(`${name}: ${side.duration} s, offsets ${got.offsets}`);
			onTime(got);
			assert.ok(got.flashes.length >= CALL_S - 2 && got.flashes.length <= CALL_S + 5, `${got.flashes.length} flashes`);
			// No beep in the mute, and both sides of it are there.
			const silent = got.flashes.filter((flash) => !got.beeps.some((beep) => Math.abs(beep - flash) < 0.3)).length;
			assert.ok(Math.abs(silent - part) <= 2, `${silent} flashes without a beep`);
			assert.ok(Math.abs(got.audio - got.video) <= 0.5, `sound ${got.audio} s, picture ${got.video} s`);
			assert.equal(side.width, 640);
			await plays(side);
			await asSeen(viewer, side, got);
			await page.close();
		});

		for (const codec of CODECS) {
			test(codec, async (t) => {
				const page = await enter();
				const can = await page.evaluate(publish, whip(codec), codec);
				if (!can) {
					await page.close();
					return t.skip(`this ${name} does not send it`);
				}
				await pause(CODEC_S * 1000);
				await page.evaluate(hangUp);
				await page.close();
				const { file, side } = await finished(codec);
				assert.deepEqual([...side.codecs].sort(), [codec, "opus"].sort());
				await accepted(file);
				const got = await measure(file);
				console.log(`${name} ${codec}: ${side.duration} s, offsets ${got.offsets}`);
				onTime(got);
				assert.ok(got.flashes.length >= CODEC_S - 3);
				await plays(side);
			});
		}

		/* One file of this name; its measures. */
		const theOnlyOne = async (stem) => {
			const { file, side } = await finished(stem);
			await accepted(file);
			const all = await find(system.storage, ".json");
			assert.deepEqual(all.filter((one) => one.startsWith(stem)), [`${stem}.json`]);
			return { side, ...await measure(file) };
		};
		/* How many flashes no beep came with. */
		const unheard = ({ flashes, beeps }) =>
			flashes.filter((flash) => !beeps.some((beep) => Math.abs(beep - flash) < 0.3)).length;

		test("ICE restarts in a call: one file, with all that was sent", async () => {
			const page = await enter();
			assert.ok(await page.evaluate(enterRoom, system.sfu, "ice", "restarted"));
			const viewer = await watcher("restarted", "ice");
			await pause(PART_S * 1000);
			assert.ok(await page.evaluate(restartIce));
			await pause(PART_S * 1000);
			await page.evaluate(hangUp);
			await page.close();
			const got = await theOnlyOne("restarted");
			console.log(`${name}, ICE restarted: ${got.side.duration} s, offsets ${got.offsets}`);
			onTime(got);
			assert.ok(got.flashes.length >= 2 * PART_S - 2, `flashes ${got.flashes}`);
			assert.ok(unheard(got) <= 1, `beeps ${got.beeps}`);
			await asSeen(viewer, got.side, got);
		});

		test("a screen shared for a while has a file of its own, of the same time", async () => {
			const page = await enter();
			assert.ok(await page.evaluate(enterRoom, system.sfu, "screens", "sharer"));
			await pause(3000);
			assert.ok(await page.evaluate(shareScreen));
			await pause(PART_S * 1000);
			assert.ok(await page.evaluate(stopSharing));
			// While the call goes on.
			const screen = await theOnlyOne("screen/sharer");
			await pause(3000);
			await page.evaluate(hangUp);
			await page.close();
			const call = await theOnlyOne("sharer");
			console.log(`${name}, screen shared: offsets of the call ${call.offsets}, flashes ${call.flashes}`);
			onTime(call);
			assert.ok(call.flashes.length >= PART_S + 4, `flashes ${call.flashes}`);
			assert.ok(Math.abs(screen.flashes.length - PART_S) <= 2, `flashes of the screen ${screen.flashes}`);
			assert.equal(screen.audio, null);
			const later = (Date.parse(screen.side.start) - Date.parse(call.side.start)) / 1000;
			const apart = screen.flashes.map((flash) => Math.min(...call.flashes.map((one) => Math.abs(flash + later - one))));
			console.log(`${name}: the screen begins after ${later} s, its flashes are apart by ${apart}`);
			assert.ok(median(apart) <= SCREEN_OFF_S && median(apart.slice(-5)) <= SCREEN_OFF_S, `apart by ${apart}`);
		});

		for (const loss of [5, 20]) test(`where ${loss} % is lost sound and picture stay together, and gaps are listed`, async (t) => {
			const relay = await startRelay(t, system);
			const page = await enter();
			await page.evaluate(throughRelay, relay.route);
			const bad = { loss, delay: 100, jitter: 50 };
			await relay.set({ up: bad, down: bad });
			assert.ok(await page.evaluate(publish, whip(`lossy${loss}`), "vp8"));
			await pause(2 * PART_S * 1000);
			await page.evaluate(hangUp);
			await page.close();
			const { up } = await relay.report();
			const got = await theOnlyOne(`lossy${loss}`);
			const { missing, gaps } = got.side;
			console.log(`${name}: ${up.lost} of ${up.in} packets lost, ${missing} missing, gaps ${JSON.stringify(gaps)}, ` +
				`offsets ${got.offsets}`);
			assert.ok(up.lost > 50, "the network loses packets");
			onTime(got);
			// Of a fifth some is lost however often it is asked for; then there is no picture until a key frame.
			assert.ok(got.flashes.length >= (loss > 10 ? PART_S / 2 : PART_S), `flashes ${got.flashes}`);
			// Browsers send pictures again, and no sound.
			const unseen = gaps.filter(({ kind }) => kind === "video").reduce((sum, one) => sum + one.missing, 0);
			assert.ok(missing > 0 && missing <= up.lost && unseen <= up.lost / 10, `${missing} missing, ${unseen} of pictures`);
			assert.ok(gaps.length === 16 || gaps.reduce((sum, one) => sum + one.missing, 0) === missing);
			for (const { kind, at } of gaps) {
				assert.match(kind, /^(audio|video)$/);
				assert.ok(at >= 0 && at <= got.side.duration, `a gap at ${at}`);
			}
		});

		test("who comes again under the same name has another file", async () => {
			const first = await enter();
			assert.ok(await first.evaluate(publish, whip("again"), "vp8"));
			await pause(3000);
			await first.close(); // without a word
			const second = await enter();
			await waitFor("the server to miss the first one", async () => {
				const reply = await fetch(`${system.sfu}/rooms/call`);
				return !reply.ok || !(await reply.text()).includes('"again"');
			}, 60);
			assert.ok(await second.evaluate(publish, whip("again"), "vp8"));
			await pause(4000);
			await second.evaluate(hangUp);
			await second.close();
			for (const stem of ["again", "again~2"]) {
				const { file } = await finished(stem);
				await accepted(file);
				onTime(await measure(file));
			}
		});

		for (const victim of ["msr-record", "msr-sfu"]) {
			test(`kill -9 of ${victim} in a call leaves a file that plays`, async () => {
				const stem = `killed-${victim}`;
				const page = await enter();
				assert.ok(await page.evaluate(publish, whip(stem), "vp8"));
				await pause(4000);
				const state = await readFile(join(system.dir, "run", `${victim.slice(4)}.state`), "utf8");
				process.kill(Number(state.split(" ")[2]), "SIGKILL");
				await pause(4000);
				await page.evaluate(hangUp).catch(() => {});
				await page.close();
				const { file } = await finished(stem);
				await accepted(file);
				const got = await measure(file);
				console.log(`${name}, ${victim} killed: flashes ${got.flashes}`);
				onTime(got, victim === "msr-record" ? 0.1 : SYNC_OFF_S);
				assert.ok(got.flashes.length >= (victim === "msr-record" ? 5 : 2));
			});
		}
	});
}
