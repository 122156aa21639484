/*
 * Pages without an interface that publish three layers, or watch, and what a viewer sees of it while
 * its network changes.
 */
import assert from "node:assert/strict";
import { openPage, pause, waitFor } from "./support.mjs";
import { metric, throughRelay } from "./network.mjs";

/* Runs in a page: calls the interface that the page came from. */
async function call(method, path, body) {
	const reply = await fetch(path, { method, body: body && JSON.stringify(body) });
	const said = await reply.json();
	if (!reply.ok && said.error !== "room_exists") throw new Error(`${path}: ${said.message}`);
	return said;
}

/* Runs in a page: a tone, and a moving picture of 960 by 540 in three layers. */
export async function publish(room, name) {
	const canvas = Object.assign(document.createElement("canvas"), { width: 960, height: 540 });
	const pen = canvas.getContext("2d");
	// Noise that moves: the layers weigh what they may. Drawn once, for the encoder has work enough.
	const noise = new OffscreenCanvas(480, 540);
	const grain = noise.getContext("2d").createImageData(480, 540);
	for (let i = 0; i < grain.data.length; i++) grain.data[i] = i % 4 === 3 ? 255 : Math.random() * 256;
	noise.getContext("2d").putImageData(grain, 0, 0);
	setInterval(() => {
		pen.fillStyle = `hsl(${performance.now() / 50} 70% 50%)`;
		pen.fillRect(0, 0, 960, 540);
		pen.drawImage(noise, (performance.now() / 8) % 960, 0, 160, 540);
	}, 66);
	const sound = new AudioContext();
	const tone = new OscillatorNode(sound, { frequency: 440 });
	const out = sound.createMediaStreamDestination();
	tone.connect(out);
	tone.start();
	const pc = new RTCPeerConnection();
	pc.addTransceiver(out.stream.getAudioTracks()[0], { direction: "sendonly" });
	pc.addTransceiver(canvas.captureStream(15).getVideoTracks()[0], {
		direction: "sendonly",
		sendEncodings: [
			{ rid: "q", scaleResolutionDownBy: 4, maxBitrate: 150000 },
			{ rid: "h", scaleResolutionDownBy: 2, maxBitrate: 500000 },
			{ rid: "f", maxBitrate: 1200000 },
		],
	});
	await globalThis.call("POST", "/rooms", { room_id: room });
	await globalThis.call("POST", `/rooms/${room}/users/${name}`);
	await pc.setLocalDescription();
	const { answer } = await globalThis.call("POST", `/rooms/${room}/users/${name}/produce`,
		{ offer: pc.localDescription.sdp });
	// Chromium would take half a minute to find that its own way is wide enough for all layers.
	const wide = answer.replace(/^a=rtpmap:(\d+) VP8.*\r\n/m, "$&a=fmtp:$1 x-google-start-bitrate=2500\r\n");
	await pc.setRemoteDescription({ type: "answer", sdp: wide });
}

/* Runs in a page: receives everything of the room. */
export async function watch(room, name) {
	const pc = new RTCPeerConnection();
	pc.ontrack = ({ track, streams }) => {
		const player = document.createElement(track.kind);
		player.muted = track.kind === "video";
		player.srcObject = streams[0];
		document.body.append(player);
		player.play();
	};
	const { offer, offer_id } = await globalThis.call("POST", `/rooms/${room}/users/${name}`);
	await pc.setRemoteDescription({ type: "offer", sdp: offer });
	await pc.setLocalDescription();
	await globalThis.call("POST", `/rooms/${room}/users/${name}/consume`, { answer: pc.localDescription.sdp, offer_id });
}

export async function open(t, browser, system, run, room, name, relay) {
	const page = await openPage(browser, `${system.sfu}/health`, {
		prepare: throughRelay, argument: { ...relay?.route }, viewport: { width: 640, height: 480 },
	});
	t.after(() => page.close().catch(() => {}));
	await page.evaluate(`globalThis.call = ${call}`);
	await page.evaluate(`(${run})(${JSON.stringify(room)}, ${JSON.stringify(name)})`);
	return page;
}

/* What a viewer has got so far: {width, frames, freezes, frozen_s, lost, concealed, samples, at}. */
export function look(page) {
	return page.evaluate(async () => {
		const out = { at: performance.now() };
		for (const one of (await globalThis.peers[0].getStats()).values()) {
			if (one.type !== "inbound-rtp") continue;
			if (one.kind === "video")
				Object.assign(out, {
					width: one.frameWidth, frames: one.framesDecoded ?? 0, freezes: one.freezeCount,
					frozen_s: one.totalFreezesDuration, lost: one.packetsLost, rtx: one.retransmittedPacketsReceived,
				});
			else
				Object.assign(out, {
					concealed: one.concealedSamples - (one.silentConcealedSamples ?? 0), samples: one.totalSamplesReceived,
				});
		}
		return out;
	});
}

/*
 * Looks for `seconds`, or until `enough`. Gives the longest time without a new picture (ms), the
 * part of the sound that was concealed, what was lost, the last look, and how long it took (s).
 */
export async function observe(page, seconds, enough = () => false) {
	const first = await look(page);
	let last = first, shown = first, still = 0;
	while (last.at - first.at < seconds * 1000 && !enough(last)) {
		await pause(50);
		last = await look(page);
		still = Math.max(still, last.at - shown.at);
		if (last.frames > shown.frames) shown = last;
	}
	return {
		last, still, took: (last.at - first.at) / 1000, lost: last.lost - first.lost,
		concealed: (last.concealed - first.concealed) / Math.max(1, last.samples - first.samples),
		rate: (last.frames - first.frames) / ((last.at - first.at) / 1000),
	};
}

const told = ({ last, still, took, lost, concealed, rate }) => `${last.width} wide after ${took.toFixed(1)} s, ` +
	`${rate.toFixed(1)} pictures/s, still for ${still.toFixed(0)} ms at most, ${lost} packets lost, ` +
	`${(100 * concealed).toFixed(1)} % of the sound concealed`;

/*
 * A publisher, a viewer with a good network and one behind `relay`: a limit of `kbps` comes, stays for
 * `seconds` and goes.
 */
export async function limited(t, browser, system, relay, { kbps, seconds, path = {} }) {
	const room = `limit-${Math.random().toString(36).slice(2)}`;
	const say = (what, figures) => t.diagnostic(`${what}: ${told(figures)}`);
	await relay.set({ up: { kbps: 0, ...path }, down: { kbps: 0, ...path }, reset: true });
	await open(t, browser, system, publish, room, "ann");
	const good = await open(t, browser, system, watch, room, "good");
	const bad = await open(t, browser, system, watch, room, "bad", relay);
	for (const page of [good, bad])
		await waitFor("the highest layer", async () => (await look(page)).width === 960, 40);
	const lossy = Boolean(path.loss);

	const [before, calm] = await Promise.all([observe(bad, 3), observe(good, 3)]);
	say("without a limit", before);
	if (!lossy) {
		// Probes are made of padding and of packets that come again: neither is a loss.
		assert.ok(await metric(system, "msr_sfu_probes_total") > 0, "nothing was probed");
		// What jitter put out of order by far, Chromium takes for sent again, and counts as lost.
		assert.ok(before.lost <= 0 || path.jitter, `${before.lost} packets lost`);
	}
	const fine = observe(good, seconds + 10);
	fine.catch(() => {}); // awaited below: what fails before that, and closes the page, is what is told
	await relay.set({ down: { kbps } });
	const down = await observe(bad, 10, ({ width }) => width < 960);
	say(`${kbps} kbit/s`, down);
	assert.ok(down.took < 3, `the layer goes down after ${down.took} s`);
	await pause(2000); // until the queue has gone
	const low = await observe(bad, seconds);
	say("within it", low);
	assert.ok(low.last.width < 960);
	// What is late by jitter is concealed without a limit as well.
	const allowed = 0.05 + (2 * (path.loss ?? 0)) / 100 + (path.jitter ? before.concealed : 0);
	assert.ok(low.concealed < allowed, `${low.concealed} of the sound is concealed, at most ${allowed} should be`);
	const { estimate_kbps } = await (await fetch(`${system.sfu}/rooms/${room}/users/bad`)).json();
	t.diagnostic(`estimate ${estimate_kbps} kbit/s`);
	// The relay loses before its bottleneck: so much must leave for that to be full.
	const fits = kbps / (1 - (path.loss ?? 0) / 100);
	assert.ok(estimate_kbps > 0.7 * fits && estimate_kbps < 1.3 * fits,
		`the estimate is ${estimate_kbps} kbit/s, and ${fits} would be right`);

	await relay.set({ down: { kbps: 0 } });
	const up = await observe(bad, 20, ({ width }) => width === 960);
	say("the limit gone", up);
	assert.ok(up.took < 15, `the layer goes up after ${up.took} s`);
	const other = await fine;
	say("meanwhile with a good network", other);
	// A machine that is slow lets both stand still: only what is more than that is the network's.
	for (const { still } of [low, up])
		assert.ok(still - other.still < (lossy ? 2000 : 1000),
			`the picture stands still for ${still} ms, with a good network for ${other.still} ms`);
	assert.equal(other.last.width, 960);
	assert.ok(other.still - calm.still < 1000,
		`with a good network it stands still for ${other.still} ms, without the other's limit for ${calm.still} ms`);
	assert.ok(other.concealed < 0.05, `with a good network ${other.concealed} of the sound is concealed`);
}
