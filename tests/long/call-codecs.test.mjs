/*
 * Every video codec that the browser can encode passes through the page and msr-sfu: somebody sends
 * with it, others see the picture move.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { joinRoom, launch, openPage, startSystem, waitFor } from "../browser/support.mjs";

/* Runs in the page first: offers this codec (and what belongs to it) before all others. */
function prefer(codec) {
	const add = RTCPeerConnection.prototype.addTransceiver;
	RTCPeerConnection.prototype.addTransceiver = function (track, init) {
		const transceiver = add.call(this, track, init);
		if (codec && track.kind === "video") {
			const all = RTCRtpSender.getCapabilities("video").codecs;
			const wanted = ({ mimeType }) => mimeType.toLowerCase() === `video/${codec}`;
			transceiver.setCodecPreferences([...all.filter(wanted), ...all.filter((one) => !wanted(one))]);
		}
		return transceiver;
	};
}

test("each codec of Chromium", async (t) => {
	const system = await startSystem(t, { only: "msr-ws msr-sfu msr-record" });
	const browser = await launch(t, "chromium");
	const join = async (name, room, codec) => {
		const page = await openPage(browser, `${system.url}#${room}`, { prepare: prefer, argument: codec });
		await joinRoom(page, name, room);
		await page.click("#call-join");
		return page;
	};
	for (const codec of ["vp8", "vp9", "h264", "av1"]) {
		await t.test(codec, async (t) => {
			const sender = await join("Sender", codec, codec);
			const can = await sender.evaluate((wanted) => RTCRtpSender.getCapabilities("video").codecs
				.some(({ mimeType }) => mimeType.toLowerCase() === `video/${wanted}`), codec);
			if (!can) return t.skip("this Chromium does not encode it");
			const viewer = await join("Viewer", codec);
			const time = () => viewer.evaluate(() => {
				const tile = document.querySelector(".tile:not(.mine):not(.dark) video");
				return tile?.videoWidth ? tile.currentTime : -1;
			});
			const seen = await waitFor("a picture", async () => {
				const now = await time();
				return now > 0 && now;
			}, 30);
			await waitFor("the picture to move", async () => (await time()) > seen + 1, 20);
			const { users } = await (await fetch(`${system.sfu}/rooms/${codec}`)).json();
			const track = users.find(({ id }) => id.startsWith("sender")).tracks.find(({ kind }) => kind === "video");
			assert.equal(track.codec.toLowerCase(), codec);
			assert.deepEqual([...sender.problems, ...viewer.problems], []);
			await Promise.all([sender.close(), viewer.close()]);
		});
	}
});
