/*
 * A call whose packets do not come through: the page says so, and why, and goes on when they do.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
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
