/*
 * Calls over a bad network: the relay of tests/support/relay.py in front of a system's msr-sfu, pages
 * that reach msr-sfu only through it, and what their connections count.
 */
import { join } from "node:path";
import { ROOT, joinRoom, openPage, start, waitFor } from "./support.mjs";

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
 * connections are in globalThis.peers, in the order of their making. `codec`: offered before others.
 */
export function throughRelay({ address, offset, codec }) {
	const proto = RTCPeerConnection.prototype;
	const setRemote = proto.setRemoteDescription;
	const relayed = (section) => {
		const seen = new Set();
		return section.split("\r\n").flatMap((line) => {
			if (!line.startsWith("a=candidate:")) return [line];
			const found = /^(a=candidate:\S+ \d+ udp \d+) \S+ (\d+) typ host/i.exec(line);
			if (!found || seen.has(found[2])) return [];
			seen.add(found[2]);
			return [`${found[1]} ${address} ${Number(found[2]) + offset} typ host`];
		}).join("\r\n");
	};
	proto.setRemoteDescription = function ({ type, sdp }) {
		return setRemote.call(this, { type, sdp: address ? sdp.split(/(?=^m=)/m).map(relayed).join("") : sdp });
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
	globalThis.peers = [];
	globalThis.RTCPeerConnection = class extends RTCPeerConnection {
		constructor(...args) {
			super(...args);
			globalThis.peers.push(this);
		}
	};
}

/* A page in the call of `room`, through `relay` (or null: straight). */
export async function enterCall(browser, system, name, room, relay, codec) {
	const page = await openPage(browser, `${system.url}#${room}`,
		{ prepare: throughRelay, argument: { ...relay?.route, codec }, viewport: { width: 640, height: 480 } });
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

/* What changed between two such sums. */
export const since = (before, after) =>
	Object.fromEntries(Object.entries(after).map(([name, value]) => [name, value - (before[name] ?? 0)]));

/* A counter of msr-sfu's /metrics, summed over its labels. */
export async function metric(system, name) {
	const text = await (await fetch(`${system.sfu}/metrics`)).text();
	const lines = text.split("\n").filter((line) => line.startsWith(name) && /^[ {]/.test(line.slice(name.length)));
	return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" "))), 0);
}
