/*
 * Calls over a bad network: the relay of tests/support/relay.py in front of a system's msr-sfu, pages
 * that reach msr-sfu only through it, and what their connections count.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { ROOT, joinRoom, openPage, pause, start, waitFor } from "./support.mjs";

/*
 * Starts a relay for `system`. Gives {route, set({up, down, rebind, reset}), report()}: see relay.py.
 * A page that is opened with {prepare: throughRelay, argument: relay.route} has it as its network.
 */
export async function startRelay(t, { settings }) {
	const relay = start(t, "/usr/bin/python3",
		[join(ROOT, "tests/support/relay.py"), "--ports", `${settings.RTC_MIN_PORT}-${settings.RTC_MAX_PORT}`]);
	const route = await waitFor("the relay", () => {
		if (relay.child.exitCode !== null) throw new Error(relay.log());
		return relay.log().includes("\n") && JSON.parse(relay.log());
	});
	const ask = async (options) => {
		const reply = await fetch(route.control, options);
		if (!reply.ok) throw new Error(`the relay says ${await reply.text()}`);
		return reply.json();
	};
	return { route, set: (wish) => ask({ method: "POST", body: JSON.stringify(wish) }), report: () => ask() };
}

/*
 * Runs in a page before its own scripts. The page finds msr-sfu only behind the relay, and msr-sfu
 * finds the page only through it: the page's own candidates are left out of what it sends. Its
 * connections are in globalThis.peers, in the order of their making. Without `address` there is no
 * relay; then `only` ("tcp", "ipv6") names the server's candidates that it finds. `codec`: offered
 * before others. `picture`: wishes about the camera's.
 */
export function throughRelay({ address, offset, only, codec, picture = { width: 320, height: 240, frameRate: 15 } }) {
	const proto = RTCPeerConnection.prototype;
	const setRemote = proto.setRemoteDescription;
	const kept = { tcp: / tcp /i, ipv6: / udp \S+ [\da-f:]*:[\da-f:]+ /i }[only] ?? /./;
	const relayed = (section) => {
		const seen = new Set();
		return section.split("\r\n").flatMap((line) => {
			if (!line.startsWith("a=candidate:")) return [line];
			if (!address) return kept.test(line) ? [line] : [];
			const found = /^(a=candidate:\S+ \d+ udp \d+) \S+ (\d+) typ host/i.exec(line);
			if (!found || seen.has(found[2])) return [];
			seen.add(found[2]);
			return [`${found[1]} ${address} ${Number(found[2]) + offset} typ host`];
		}).join("\r\n");
	};
	proto.setRemoteDescription = function ({ type, sdp }) {
		return setRemote.call(this, { type, sdp: sdp.split(/(?=^m=)/m).map(relayed).join("") });
	};
	const local = Object.getOwnPropertyDescriptor(proto, "localDescription").get;
	Object.defineProperty(proto, "localDescription", {
		get() {
			const said = local.call(this);
			return said && { type: said.type, sdp: said.sdp.replace(/^a=candidate:.*\r\n/gim, "") };
		},
	});
	const add = proto.addTransceiver;
	proto.addTransceiver = function (track, init) {
		const transceiver = add.call(this, track, init);
		if (codec && track.kind === "video") {
			const all = RTCRtpSender.getCapabilities("video").codecs;
			const wanted = ({ mimeType }) => mimeType.toLowerCase() === `video/${codec}`;
			transceiver.setCodecPreferences([...all.filter(wanted), ...all.filter((one) => !wanted(one))]);
		}
		return transceiver;
	};
	// A small picture and sound as it is: what is tested is the network, not what the browser makes of them.
	const plain = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
	const media = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
	navigator.mediaDevices.getUserMedia = ({ audio, video }) =>
		media({ audio: audio && plain, video: video && picture });
	globalThis.peers = [];
	globalThis.RTCPeerConnection = class extends RTCPeerConnection {
		constructor(...args) {
			super(...args);
			globalThis.peers.push(this);
		}
	};
}

/* A page in the call of `room` until the test ends; `how`: {relay, only, codec, picture} as in throughRelay. */
export async function enterCall(t, browser, system, name, room, { relay, ...how } = {}) {
	const page = await openPage(browser, `${system.url}#${room}`,
		{ prepare: throughRelay, argument: { ...relay?.route, ...how }, viewport: { width: 640, height: 480 } });
	t.after(() => page.close().catch(() => {})); // the test may have done so
	await joinRoom(page, name, room);
	await page.click("#call-join");
	await waitFor(`the call of ${name}`, () =>
		page.$eval("#call-state", (node) => node.dataset.state === "callConnected"), 30);
	return page;
}

/* Statistics of a page's connections of one kind ("inbound-rtp" ...), of those that are open. */
export function stats(page, type) {
	return page.evaluate(async (wanted) => {
		const all = [];
		for (const pc of globalThis.peers.filter((one) => one.connectionState !== "closed"))
			for (const one of (await pc.getStats()).values()) if (one.type === wanted) all.push({ ...one });
		return all;
	}, type);
}

/* Sums of the numbers of some statistics of a kind of media. */
export async function sums(page, type, kind) {
	const out = {};
	for (const one of (await stats(page, type)).filter((each) => each.kind === kind))
		for (const [name, value] of Object.entries(one)) if (typeof value === "number") out[name] = (out[name] ?? 0) + value;
	return out;
}

/* Waits until a page decodes pictures and hears sound of everybody: at least `n` of them. */
export async function meets(page, n, seconds = 20) {
	const alive = async () => (await stats(page, "inbound-rtp"))
		.filter((one) => (one.kind === "video" ? one.framesDecoded : one.totalAudioEnergy ?? one.packetsReceived) > 0);
	await waitFor(`picture and sound of ${n}`, async () => {
		const all = await alive();
		return ["audio", "video"].every((kind) => all.filter((one) => one.kind === kind).length >= n);
	}, seconds);
	const before = new Map((await alive()).map((one) => [one.ssrc, one.packetsReceived]));
	await waitFor("media that goes on", async () =>
		(await alive()).filter((one) => one.packetsReceived > (before.get(one.ssrc) ?? 0) + 5).length >= 2 * n, seconds);
}

/* Waits until a page has had sender reports about all that comes in, and then of each another one. */
export async function reported(page) {
	const packets = async () => new Map((await stats(page, "remote-outbound-rtp")).map((one) => [one.ssrc, one.packetsSent]));
	const all = async (than) => {
		const now = await packets();
		const each = (await stats(page, "inbound-rtp")).filter(({ packetsReceived }) => packetsReceived > 0);
		return each.length > 1 && each.every(({ ssrc }) => now.get(ssrc) > (than.get(ssrc) ?? 0));
	};
	await waitFor("a sender report about each", () => all(new Map()));
	const before = await packets();
	await waitFor("another one", () => all(before));
}

/* The selected pair of each open connection: {local, remote} candidates. */
export function selected(page) {
	return page.evaluate(async () => {
		const out = [];
		for (const pc of globalThis.peers.filter((one) => one.connectionState === "connected")) {
			const all = await pc.getStats();
			const pair = [...all.values()].find((one) => one.type === "candidate-pair" && one.nominated && one.state === "succeeded");
			if (pair) out.push({ local: all.get(pair.localCandidateId), remote: all.get(pair.remoteCandidateId) });
		}
		return out;
	});
}

/* What changed between two such sums. */
export const since = (before, after) =>
	Object.fromEntries(Object.entries(after).map(([name, value]) => [name, value - (before[name] ?? 0)]));

/* A counter of msr-sfu's /metrics, summed over its labels. */
export async function metric(system, name) {
	const text = await (await fetch(`${system.sfu}/metrics`)).text();
	const lines = text.split("\n").filter((line) => line.startsWith(name) && /^[ {]/.test(line.slice(name.length)));
	return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}

/* Whether a page's browser can make sound redundant. */
const redundant = (page) =>
	page.evaluate(() => RTCRtpSender.getCapabilities("audio").codecs.some(({ mimeType }) => mimeType === "audio/red"));

/*
 * Two people in a call on a network that loses `loss` percent and delays by 100 to 150 ms, each way:
 * for `seconds` `bo` still understands `anna` (little of the sound is invented), sees her move, and
 * nobody is asked for a key frame more than about once a second; then all is well again at once.
 */
export async function endures(t, system, relay, anna, bo, { loss, seconds }) {
	const bad = { loss, delay: 100, jitter: 50 };
	const read = async () => ({
		sound: await sums(bo, "inbound-rtp", "audio"), picture: await sums(bo, "inbound-rtp", "video"),
		sent: await sums(anna, "outbound-rtp", "video"),
		asked: await metric(system, "msr_sfu_key_requests_sent_total"),
	});
	const changes = async (before) => {
		const now = await read();
		const of = (what) => since(before[what], now[what]);
		return { sound: of("sound"), picture: of("picture"), sent: of("sent"), asked: now.asked - before.asked };
	};

	await relay.set({ up: bad, down: bad, reset: true });
	await pause(2000); // until the new delay has passed through the jitter buffers
	const before = await read();
	const until = Date.now() + seconds * 1000;
	let still = 0; // ms, the longest time without a new picture
	for (let last = Date.now(), shown = -1; Date.now() < until; await pause(100)) {
		const { framesDecoded } = await sums(bo, "inbound-rtp", "video");
		if (framesDecoded > shown) last = Date.now();
		still = Math.max(still, Date.now() - last);
		shown = framesDecoded;
	}
	const { sound, picture, sent, asked } = await changes(before);
	const { up, down } = await relay.report();
	const invented = (sound.concealedSamples - (sound.silentConcealedSamples ?? 0)) / sound.totalSamplesReceived;
	const made = sent.keyFramesEncoded ?? 0; // Firefox does not count them
	t.diagnostic(`${loss} %: ${(100 * invented).toFixed(1)} % of the sound concealed; ${picture.framesDecoded} of ` +
		`${sent.framesEncoded} pictures, still for ${still} ms at most; ${asked} key frames asked for, ` +
		`${made} made; lost ${up.lost} of ${up.in} and ${down.lost} of ${down.in}`);
	assert.ok(up.lost > 0.5 * loss / 100 * up.in && down.lost > 0.5 * loss / 100 * down.in, "the relay lost too little");
	// Both ways lose; where sound is redundant, only what gets lost with its repetition. PLC bridges the rest.
	const [fromAnna, toBo] = await Promise.all([anna, bo].map(async (page) => (loss / 100) ** (await redundant(page) ? 2 : 1)));
	const lacks = 1 - (1 - fromAnna) * (1 - toBo);
	assert.ok(invented < lacks + 0.05, `${invented} of the sound is concealed, where ${lacks} of it is lost`);
	assert.ok(picture.framesDecoded > 0.5 * sent.framesEncoded, `${picture.framesDecoded} of ${sent.framesEncoded} pictures`);
	// Where a fifth is lost, that is taken for too much until it is found not to be: a pause at first.
	assert.ok(still < (loss > 10 ? 4000 : 2000), `no new picture for ${still} ms`);
	assert.ok(made <= seconds + 2, `${made} key frames in ${seconds} s`);
	assert.ok(asked <= 2 * (seconds + 4), `${asked} key frames asked for in ${seconds} s`);

	await relay.set({ up: { loss: 0, delay: 0, jitter: 0 }, down: { loss: 0, delay: 0, jitter: 0 } });
	await waitFor("a second without loss", async () => {
		const from = await read();
		await pause(1000);
		const good = await changes(from);
		return good.sound.concealedSamples < 0.03 * good.sound.totalSamplesReceived && good.picture.framesDecoded >= 5;
	}, 15);
}
