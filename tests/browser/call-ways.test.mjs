/*
 * Ways into a call and through it that are not the usual ones: without some device, leaving while one is
 * let in, without UDP, only IPv6, and a network that changes in the middle. Nothing is measured here.
 * In Chromium.
 */
// takes 60 s
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { networkInterfaces } from "node:os";
import { joinRoom, launch, openPage, startSystem, text, waitFor } from "./support.mjs";
import { enterCall, meets, metric, selected, startRelay, sums } from "./network.mjs";

describe("other ways into a call", () => {
	let system, browser, relay;
	const cleanup = [];
	const t = { after: (what) => cleanup.unshift(what) };

	before(async () => {
		[system, browser] = await Promise.all([
			startSystem(t, { only: "msr-ws msr-sfu msr-record" }), launch(t, "chromium"),
		]);
		relay = await startRelay(t, system);
	});
	after(async () => {
		for (const what of cleanup) await what();
	});

	const calls = async (page) => {
		await page.click("#call-join");
		await waitFor("the call", () => page.$eval("#call-state", (node) => node.dataset.state === "callConnected"), 20);
	};
	const pair = (t, room, how) =>
		Promise.all(["Anna", "Bo"].map((name) => enterCall(t, browser, system, name, room, how)));
	const well = (...pages) => pages.forEach((page) => assert.deepEqual(page.problems, []));

	test("without a camera one takes part with sound, without any device one listens", async () => {
		const refuse = () => {
			const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
			navigator.mediaDevices.getUserMedia = async (wishes) => {
				if (wishes.video || location.hash === "#deaf") throw new DOMException("none", "NotFoundError");
				return real(wishes);
			};
		};
		const voice = await openPage(browser, `${system.url}#voice`, { prepare: refuse });
		await joinRoom(voice, "Voice", "voice");
		await calls(voice);
		assert.match(await text(voice, "#notices"), /no camera/i);
		assert.equal(await voice.evaluate(() => document.activeElement.id), "call-join", "the focus stays where it is");
		// The name of the button says what it does; "pressed" beside it would say the opposite.
		for (const name of ["Mute", "Unmute"]) {
			await waitFor(name, async () => (await text(voice, "#call-mic")).trim() === name);
			assert.equal(await voice.$eval("#call-mic", (button) => button.getAttribute("aria-pressed")), null);
			await voice.click("#call-mic");
		}
		const deaf = await openPage(browser, `${system.url}#deaf`, { prepare: refuse });
		await joinRoom(deaf, "Deaf", "deaf");
		await calls(deaf);
		assert.match(await text(deaf, "#notices"), /no microphone.*You can see and hear/i);
		assert.deepEqual([...voice.problems, ...deaf.problems], []);
		await Promise.all([voice.close(), deaf.close()]);
	});

	test("without a microphone one is seen", async () => {
		const mute = () => {
			const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
			navigator.mediaDevices.getUserMedia = async (wishes) => {
				if (wishes.audio) throw new DOMException("none", "NotFoundError");
				return real(wishes);
			};
		};
		const page = await openPage(browser, `${system.url}#mime`, { prepare: mute });
		await joinRoom(page, "Mime", "mime");
		await calls(page);
		assert.match(await text(page, "#notices"), /no microphone.*see you, but do not hear/i);
		const shown = (on) => waitFor(`the camera ${on ? "on" : "off"}`, () =>
			page.$eval(".tile.mine", (tile, dark) => tile.classList.contains("dark") === dark, !on));
		for (const on of [true, false, true]) {
			await shown(on);
			await page.click("#call-cam");
		}
		assert.equal(await text(page, "#call-error"), "");

		await page.evaluate(() => {
			navigator.mediaDevices.getDisplayMedia = async (wishes) => {
				globalThis.wishes = wishes;
				throw new DOMException("no", "NotAllowedError");
			};
		});
		await page.click("#call-screen");
		await waitFor("the question", () => page.evaluate(() => globalThis.wishes));
		assert.equal(await page.evaluate(() => globalThis.wishes.audio), false, "sound is offered and thrown away");
		assert.deepEqual(page.problems, []);
		await page.close();
	});

	test("who leaves while the browser asks for devices, or the server lets them in, is not in the call", async () => {
		const slow = () => {
			const camera = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
			const asked = new Promise((answer) => (globalThis.answer = answer));
			navigator.mediaDevices.getUserMedia = async (wishes) => asked.then(() => camera(wishes));
			// The server is asked to let somebody in only after it was told that they left.
			const send = globalThis.fetch.bind(globalThis);
			const left = new Promise((done) => (globalThis.told = done));
			globalThis.fetch = async (url, options = {}) => {
				if (options.method === "POST" && /users\/[^/]*$/.test(url)) await (globalThis.late && left);
				const reply = await send(url, options);
				if (options.method === "DELETE") told();
				if (reply.ok && options.method === "POST" && /users\/[^/]*$/.test(url)) globalThis.let = true;
				return reply;
			};
		};
		const page = await openPage(browser, `${system.url}#ask`, { prepare: slow });
		await joinRoom(page, "Ask", "ask");
		await page.click("#call-join");
		const waits = () => page.$eval("#call-join", (button) => button.getAttribute("aria-disabled"));
		assert.equal(await waits(), "true");
		await page.click("#leave");
		await page.evaluate(() => answer());
		await joinRoom(page, "Ask", "ask");
		assert.equal(await waits(), "false");
		assert.equal(await page.$("#notices .notice"), null);

		await page.evaluate(() => (globalThis.late = true));
		await page.click("#call-join");
		await waitFor("the way in", () => page.$eval("#call-state", (node) => node.dataset.state === "callConnecting"));
		await page.click("#leave");
		await waitFor("the server to let them in", () => page.evaluate(() => globalThis.let));
		await waitFor("nobody to be there", async () =>
			(await (await fetch(`${system.sfu}/rooms/ask`)).json()).users.length === 0);
		assert.deepEqual(page.problems, []);
		await page.close();
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

	/*
	 * A page by other hands. A browser ends its transport with the last of what it sends (Chromium), or
	 * keeps it (Firefox).
	 */
	for (const name of ["chromium", "firefox"])
		test(`who stops everything in ${name} can send again`, async (t) => {
			const page = await openPage(await launch(t, name), system.url);
			const sent = await page.evaluate(async (sfu, room) => {
				const post = async (path, body) => {
					const reply = await fetch(sfu + path, { method: "POST", body: JSON.stringify(body) });
					if (!reply.ok) throw new Error(await reply.text());
					return reply.json();
				};
				const user = `/rooms/${room}/users/ann`, peer = new RTCPeerConnection();
				const produce = async () => {
					await peer.setLocalDescription();
					const { answer } = await post(`${user}/produce`, { offer: peer.localDescription.sdp });
					await peer.setRemoteDescription({ type: "answer", sdp: answer });
				};
				const frames = async () => {
					const all = [...(await peer.getStats()).values()];
					return all.filter(({ type, packetsSent }) => type === "outbound-rtp" && packetsSent > 20).length;
				};
				const add = async () => {
					const media = await navigator.mediaDevices.getUserMedia({ audio: true, video: true });
					for (const track of media.getTracks()) peer.addTrack(track, media);
					await produce();
				};
				const tracks = async () => (await (await fetch(sfu + user)).json()).tracks.length;
				const told = [];
				await post("/rooms", { room_id: room });
				await post(user, {});
				for (let i = 0; i < 2; i++) {
					await add();
					for (let k = 0; k < 200 && (await frames()) < 2; k++) await new Promise((done) => setTimeout(done, 50));
					told.push(peer.connectionState, await frames(), await tracks());
					for (const one of peer.getTransceivers()) one.stop();
					await produce();
					told.push(await tracks());
				}
				return told;
			}, system.sfu, `again-${name}`);
			assert.deepEqual(sent, ["connected", 2, 2, 0, "connected", 2, 2, 0]);
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
