/*
 * Calls where the network is not what one wishes: loss, delay and jitter, no UDP, only IPv6, and a
 * change of it in the middle of a call. The full loads are in tests/long/call-network.test.mjs.
 */
// serial: what is decoded is measured, and browsers that starve decode little
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { networkInterfaces } from "node:os";
import { launch, startSystem, waitFor } from "./support.mjs";
import { enterCall, endures, meets, metric, selected, startRelay, sums } from "./network.mjs";

describe("calls in Chromium over a difficult network", () => {
	let system, browser, relay;
	const cleanup = [];

	before(async () => {
		const t = { after: (what) => cleanup.unshift(what) };
		system = await startSystem(t, { only: "msr-ws msr-sfu msr-record" });
		relay = await startRelay(t, system);
		browser = await launch(t, "chromium");
	});
	after(async () => {
		for (const what of cleanup) await what();
	});

	const pair = (t, room, how) =>
		Promise.all(["Anna", "Bo"].map((name) => enterCall(t, browser, system, name, room, how)));
	const well = (...pages) => pages.forEach((page) => assert.deepEqual(page.problems, []));

	test("5 % loss, 100 ms delay and 50 ms jitter on every way", async (t) => {
		const [anna, bo] = await pair(t, "loss", { relay });
		await meets(bo, 1);
		await endures(t, system, relay, anna, bo, { loss: 5, seconds: 8 });
		well(anna, bo);
	});

	test("ICE restarts while the network changes, and the call goes on", async (t) => {
		const [anna, bo] = await pair(t, "restart", { relay });
		await meets(bo, 1);
		const sending = (page, what) => page.evaluate((wanted) => {
			const pc = globalThis.peers.find((one) => one.getSenders().some(({ track }) => track));
			if (wanted) pc.restartIce();
			return /a=ice-ufrag:(\S+)/.exec(pc.currentRemoteDescription.sdp)[1];
		}, what);
		const ufrag = await sending(anna, "restart");
		// The sockets towards the server change, as behind a NAT that was restarted.
		await relay.set({ rebind: true });
		await anna.click("#call-cam");
		await waitFor("new credentials of the server", async () => (await sending(anna)) !== ufrag);
		await anna.click("#call-cam");
		const heard = async () => (await sums(bo, "inbound-rtp", "audio")).packetsReceived;
		const seen = async () => (await sums(bo, "inbound-rtp", "video")).framesDecoded ?? 0;
		const [sound, pictures] = [await heard(), await seen()];
		await waitFor("sound and pictures to go on", async () => (await heard()) > sound + 50 && (await seen()) > pictures + 10);
		assert.equal(await anna.evaluate(() => globalThis.peers.length), 2, "the page joined anew");
		well(anna, bo);
	});

	test("a connection that fails restarts ICE, and nobody sees its user leave", async (t) => {
		const [anna, bo] = await pair(t, "mend", { relay });
		await meets(bo, 1);
		await meets(anna, 1);
		const joins = await metric(system, "msr_sfu_joins_total");
		const ufrag = (n) => anna.evaluate((i) =>
			/a=ice-ufrag:(\S+)/.exec(globalThis.peers[i].currentRemoteDescription.sdp)[1], n);
		for (const n of [0, 1]) { // the receiving one and the sending one
			const before = await ufrag(n);
			await relay.set({ rebind: true });
			await anna.evaluate((i) => {
				const pc = globalThis.peers[i];
				Object.defineProperty(pc, "connectionState", { value: "failed", configurable: true });
				pc.dispatchEvent(new Event("connectionstatechange"));
				delete pc.connectionState;
			}, n);
			await waitFor("new credentials of the server", async () => (await ufrag(n)) !== before);
			await waitFor("the call", () => anna.$eval("#call-state", (node) => node.dataset.state === "callConnected"), 30);
		}
		const flows = async (page) => (await sums(page, "inbound-rtp", "audio")).packetsReceived;
		const [to, from] = [await flows(anna), await flows(bo)];
		await waitFor("sound both ways", async () => (await flows(anna)) > to + 50 && (await flows(bo)) > from + 50);
		assert.equal(await anna.evaluate(() => globalThis.peers.length), 2, "the page joined anew");
		assert.equal(await metric(system, "msr_sfu_joins_total"), joins);
		well(anna, bo);
	});

	test("without UDP media goes over ICE-TCP", async (t) => {
		const [anna, bo] = await pair(t, "tcp", { only: "tcp" });
		await Promise.all([meets(anna, 1), meets(bo, 1)]);
		for (const { remote } of [...await selected(anna), ...await selected(bo)]) assert.equal(remote.protocol, "tcp");
		well(anna, bo);
	});

	const ipv6 = Object.values(networkInterfaces()).flat()
		.some(({ family, internal, address }) => family === "IPv6" && !internal && !address.startsWith("fe80"));
	test("over IPv6", { skip: !ipv6 && "this machine has no IPv6 address" }, async (t) => {
		const [anna, bo] = await pair(t, "six", { only: "ipv6" });
		await Promise.all([meets(anna, 1), meets(bo, 1)]);
		for (const { remote } of [...await selected(anna), ...await selected(bo)]) assert.match(remote.address, /:/);
		well(anna, bo);
	});
});
