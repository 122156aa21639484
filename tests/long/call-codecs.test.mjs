/*
 * Every video codec that a browser can encode passes through the page and msr-sfu: it sends with it,
 * and every browser that can decode it sees the picture move.
 */
// serial
import assert from "node:assert/strict";
import { test } from "node:test";
import { BROWSERS, launch, startSystem } from "../browser/support.mjs";
import { enterCall, meets, reported, stats } from "../browser/network.mjs";

const can = (page, codec, side) => page.evaluate((wanted, which) => {
	const { codecs } = (which === "send" ? RTCRtpSender : RTCRtpReceiver).getCapabilities("video");
	return codecs.some(({ mimeType }) => mimeType.toLowerCase() === `video/${wanted}`);
}, codec, side);

test("each codec", async (t) => {
	const system = await startSystem(t, { only: "msr-ws msr-sfu msr-record" });
	const browsers = new Map();
	for (const name of BROWSERS) browsers.set(name, await launch(t, name));
	for (const from of BROWSERS) {
		for (const codec of ["vp8", "vp9", "h264", "av1"]) {
			await t.test(`${codec} from ${from}`, async (t) => {
				const room = `${from}-${codec}`;
				const sender = await enterCall(t, browsers.get(from), system, "Sender", room, { codec });
				if (!(await can(sender, codec, "send"))) return t.skip(`this ${from} does not encode it`);
				const seen = [];
				for (const to of BROWSERS) {
					const viewer = await enterCall(t, browsers.get(to), system, `Viewer${to}`, room);
					if (!(await can(viewer, codec, "receive"))) continue;
					await meets(viewer, 1 + seen.length, 30);
					await reported(viewer);
					const mime = await videoCodecs(viewer);
					assert.ok(mime.includes(`video/${codec}`), `${to} receives ${mime}`);
					assert.deepEqual(viewer.problems, []);
					seen.push(to);
				}
				t.diagnostic(`seen by ${seen.join(" and ")}`);
				assert.ok(seen.length > 0, "nobody could see it");
				const { users } = await (await fetch(`${system.sfu}/rooms/${room}`)).json();
				const track = users.find(({ id }) => id.startsWith("sender")).tracks.find(({ kind }) => kind === "video");
				assert.equal(track.codec.toLowerCase(), codec);
				assert.deepEqual(sender.problems, []);
			});
		}
	}
});

/* What a page's incoming pictures are encoded in, by their statistics. */
async function videoCodecs(page) {
	const names = new Map((await stats(page, "codec")).map(({ id, mimeType }) => [id, mimeType.toLowerCase()]));
	return (await stats(page, "inbound-rtp")).filter(({ kind }) => kind === "video").map(({ codecId }) => names.get(codecId));
}
