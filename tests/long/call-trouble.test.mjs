/*
 * A call whose packets do not come through, from the start or from some time on: the page says so, and
 * why, and goes on when they do.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { enterCall, meets, startRelay, sums } from "../browser/network.mjs";
import { joinRoom, launch, openPage, startSystem, text, waitFor } from "../browser/support.mjs";

/* As a firewall would: every address of the server leads nowhere while `blocked` is set. */
function firewall() {
	globalThis.blocked = true;
	const real = RTCPeerConnection.prototype.setRemoteDescription;
	RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
		const nowhere = sdp.replace(/^(a=candidate:\S+ \d \S+ \d+) \S+ \d+/gim, "$1 127.0.0.1 60999");
		return real.call(this, { type, sdp: globalThis.blocked ? nowhere : sdp });
	};
	// The server must not find the browser by its candidates either.
	const local = Object.getOwnPropertyDescriptor(RTCPeerConnection.prototype, "localDescription").get;
	Object.defineProperty(RTCPeerConnection.prototype, "localDescription", {
		get() {
			const said = local.call(this);
			if (!said || !globalThis.blocked) return said;
			return { type: said.type, sdp: said.sdp.replace(/^a=candidate:.*\r\n/gim, "") };
		},
	});
}

test("packets that do not come through are named, and the call comes up once they do", async (t) => {
	const system = await startSystem(t, { only: "msr-ws msr-sfu msr-record" });
	const browser = await launch(t, "chromium");
	const page = await openPage(browser, `${system.url}#wall`, { prepare: firewall });
	await joinRoom(page, "Anna", "wall");
	await page.click("#call-join");
	await waitFor("the reason", async () => /firewall.*PUBLIC_IP/.test(await text(page, "#call-error")), 40);
	await page.evaluate(() => (blocked = false));
	await waitFor("the call", () => page.$eval("#call-state", (node) => node.dataset.state === "callConnected"), 60);
	assert.equal(await text(page, "#call-error"), "");
	assert.deepEqual(page.problems, []);
});

/* Pictures that a page has shown, over all its connections. */
const seen = async (page) => (await sums(page, "inbound-rtp", "video")).framesDecoded ?? 0;

for (const name of ["firefox", "chromium"])
	test(`${name} comes back when the server's packets, which did not come for long, come again`, async (t) => {
		const system = await startSystem(t, { only: "msr-ws msr-sfu msr-record" });
		const relay = await startRelay(t, system);
		const browser = await launch(t, name);
		const anna = await enterCall(t, browser, system, "Anna", "silence", { relay });
		const bo = await enterCall(t, browser, system, "Bo", "silence");
		await meets(bo, 1);
		const state = () => anna.$eval("#call-state", (node) => node.dataset.state);

		await relay.set({ down: { loss: 100 } });
		await waitFor("the page to notice", async () => (await state()) !== "callConnected", 60);
		await relay.set({ down: { loss: 0 } });
		await waitFor("the call", async () => (await state()) === "callConnected", 30);
		for (const page of [anna, bo]) {
			const before = await seen(page);
			await waitFor("pictures that move", async () => (await seen(page)) > before + 20, 10);
		}
	});
