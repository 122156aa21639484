/*
 * A room of the page as people use it, beyond recording and calling: the sound lab (what comes back
 * from msr-audiod is measured at the loudspeaker), what a call asks of the server for what its tiles
 * show, its files in the list afterwards, and the room's text with files, links and private lines.
 * All under the policy of msr-ws, which nothing may violate. In Chromium.
 */
// takes 50 s
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile, writeFile, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { drawnRatio } from "./contrast.mjs";
import { joinRoom, launch, openPage, startSystem, text, waitFor } from "./support.mjs";

const LONG_S = 30;
const TONE = 0.1; // amplitude: -23 dBFS RMS

/*
 * Runs in the page first: a microphone with a tone and a small camera, an ear at the loudspeaker
 * (heardDb), and notes of what is asked of the server (patched; askedForRooms: how often for its rooms, the
 * first time in vain) and of violated policies. With `oldServer` wishes are answered as by a server that
 * knows none, with `phone` no screen can be shared.
 */
function instrument({ tone, oldServer, phone }) {
	if (phone) delete MediaDevices.prototype.getDisplayMedia;
	globalThis.violations = [];
	document.addEventListener("securitypolicyviolation", ({ blockedURI, violatedDirective }) =>
		violations.push(`${violatedDirective} ${blockedURI}`));

	navigator.mediaDevices.getUserMedia = async ({ audio, video }) => {
		const tracks = [];
		if (audio) {
			const context = new AudioContext();
			await context.resume();
			const out = context.createMediaStreamDestination();
			const source = new OscillatorNode(context, { frequency: 440 });
			source.connect(new GainNode(context, { gain: tone })).connect(out);
			source.start();
			tracks.push(...out.stream.getAudioTracks());
		}
		if (video) {
			const canvas = Object.assign(document.createElement("canvas"), { width: 320, height: 180 });
			const pen = canvas.getContext("2d");
			setInterval(() => {
				pen.fillStyle = `hsl(${performance.now() / 20} 80% 50%)`;
				pen.fillRect(0, 0, 320, 180);
			}, 100);
			tracks.push(...canvas.captureStream(10).getTracks());
		}
		return new MediaStream(tracks);
	};

	const ears = [];
	const connect = AudioNode.prototype.connect;
	AudioNode.prototype.connect = function (to, ...rest) {
		if (to instanceof AudioDestinationNode) {
			const ear = new AnalyserNode(this.context, { fftSize: 4096 });
			connect.call(this, ear);
			ears.push(ear);
		}
		return connect.call(this, to, ...rest);
	};
	const open = ({ context }) => context.state === "running"; // a closed one repeats its last sound
	globalThis.heardDb = () => Math.max(-200, ...ears.filter(open).map((ear) => {
		const samples = new Float32Array(ear.fftSize);
		ear.getFloatTimeDomainData(samples);
		return 10 * Math.log10(samples.reduce((sum, x) => sum + x * x, 0) / samples.length || 1e-20);
	}));

	globalThis.patched = [];
	globalThis.askedForRooms = 0;
	const realFetch = fetch;
	globalThis.fetch = (url, options) => {
		if (options?.method === "GET" && /\/rooms$/.test(url) && askedForRooms++ === 0)
			return Promise.reject(new TypeError("lost by the test"));
		if (options?.method !== "PATCH") return realFetch(url, options);
		patched.push(JSON.parse(options.body));
		return Promise.resolve(oldServer ? Response.json({ error: "not_found" }, { status: 404 }) : Response.json({}));
	};
}

describe("a room of the page", () => {
	let system, browser;
	const cleanup = [];
	const t = { after: (what) => cleanup.unshift(what) };

	before(async () => {
		[system, browser] = await Promise.all([
			startSystem(t, { only: "msr-ws msr-record msr-sfu msr-audiod" }), launch(t, "chromium"),
		]);
	});
	after(async () => {
		for (const what of cleanup) await what();
	});

	const enter = async (name, room, { oldServer = false, viewport, phone = false } = {}) => {
		const page = await openPage(browser, `${system.url}#${room}`,
			{ prepare: instrument, argument: { tone: TONE, oldServer, phone }, viewport });
		await joinRoom(page, name, room);
		return page;
	};
	const fine = async (...pages) => {
		for (const page of pages) {
			assert.deepEqual(page.problems, []);
			assert.deepEqual(await page.evaluate(() => violations), []);
			await page.close();
		}
	};
	const calls = async (page) => {
		await page.click("#call-join");
		await waitFor("the call", () => page.$eval("#call-state", (node) => node.dataset.state === "callConnected"), LONG_S);
	};
	const picture = (page) => waitFor("the other's picture", () => page.$(".tile:not(.mine):not(.dark)"), LONG_S);

	test("a tone comes back louder by the gain, through levels, a changed chain and a server that restarts", async (t) => {
		const page = await enter("Anna", "lab");
		await page.click("#tab-sound");
		await page.select("#chain-preset", "louder");
		await page.$eval("#sound-volume", (slider) => {
			slider.value = 1;
			slider.dispatchEvent(new Event("input"));
		});
		await page.click("#sound-start");
		const state = (key) => waitFor(key, () => page.$eval("#sound-state", (node, want) => node.dataset.state === want, key), LONG_S);
		await state("soundOn");
		assert.match(await text(page, "#sound-hint"), /goes to the server/);
		// Under the mouse, too; and some sliders are those of steps that are off.
		await page.hover("#sound-start");
		for (const node of ["#sound-start", ".step:not(.on) .slider output:not(:empty)"])
			assert.ok(await drawnRatio(page, node) >= 4.5, `${node} can be read`);

		/* What the ear hears, when it is about `expected`. */
		const hears = (what, expected) => waitFor(`${what} at ${expected.toFixed(1)} dB`, async () => {
			const db = await page.evaluate(() => heardDb());
			return Math.abs(db - expected) < 0.7 && db;
		}, LONG_S);
		const tone = 20 * Math.log10(TONE) - 3.01;
		assert.ok((await page.evaluate(() => heardDb())) < -80, "nobody hears anything unasked");
		await page.click("input[name=listen][value=original] + span");
		await hears("the original", tone);
		assert.match(await text(page, "#sound-hint"), /headphones/);
		await page.click("input[name=listen][value=processed] + span");
		const louder = await hears("the result", tone + 6);
		t.diagnostic(`the tone of ${tone.toFixed(2)} dB came back with ${louder.toFixed(2)} dB, gain 6`);

		const level = (id) => page.$eval(`#figure-${id}`, (node) => Number(node.dataset.db || NaN));
		await waitFor("the meter's RMS", async () => Math.abs((await level("rms")) - (tone + 6)) < 0.5);
		await waitFor("the meter's peak", async () => Math.abs((await level("peak")) - (20 * Math.log10(TONE) + 6)) < 0.5);
		await waitFor("the level of what goes in", async () => Math.abs((await level("in")) - tone) < 0.5);
		await waitFor("the delay", () => page.$eval("#sound-delay", (node) => Number(node.dataset.ms) > 20));

		await page.$eval('.step[data-name="gain"] input[type=range]', (slider) => {
			slider.value = 12;
			slider.dispatchEvent(new Event("input", { bubbles: true }));
		});
		await hears("the result of the changed chain", tone + 12);
		const command = "msr-audiod filter gain=12,limiter=-1,vad=50,meter";
		assert.equal(await text(page, "#chain-text"), command);
		for (const [works, told] of [[true, "Copied."], [false, command]]) {
			await page.evaluate((does) => (navigator.clipboard.writeText = async () => does || Promise.reject(new Error("no"))), works);
			await page.$eval("#chain-copy", (button) => button.click()); // without scrolling there
			await waitFor(told, () => page.$$eval("#notices .notice", (all, want) => all.at(-1)?.textContent === want, told));
		}

		const kept = await readFile(join(system.dir, "run/audiod.state"), "utf8");
		const pid = Number(kept.split(" ")[2]);
		process.kill(pid, "SIGSTOP"); // a server of which nothing comes, nor an end
		await page.evaluate(() => {
			const now = performance.now.bind(performance);
			performance.now = () => now() + 6000;
		});
		await state("soundReconnecting");
		process.kill(pid, "SIGCONT");
		await hears("the result after the silence", tone + 12);
		process.kill(pid, "SIGKILL");
		await state("soundReconnecting");
		await hears("the result after the restart", tone + 12);

		await page.click("#sound-start");
		await state("soundOff");
		assert.equal(await text(page, "#sound-error"), "", "who stops it needs no explanation");
		await waitFor("silence", async () => (await page.evaluate(() => heardDb())) < -80);

		// A microphone that comes when nobody wants it any more.
		await page.evaluate(() => {
			const open = navigator.mediaDevices.getUserMedia;
			globalThis.microphones = [];
			navigator.mediaDevices.getUserMedia = (wishes) => new Promise((done) => microphones.push(async () => {
				const stream = await open(wishes);
				done(stream);
				return stream;
			}));
		});
		const asked = (n) => waitFor(`question ${n}`, () => page.evaluate((want) => microphones.length === want, n));
		/* What became of the microphone that the browser gives now. */
		const given = (n) => page.evaluate(async (i) => {
			const [track] = (await microphones[i]()).getTracks();
			await new Promise((done) => setTimeout(done));
			return track.readyState;
		}, n - 1);
		await page.click("#sound-start");
		await asked(1);
		assert.equal(await given(1), "live");
		await state("soundOn");
		await page.$eval("#sound-mic-list", (list) => list.dispatchEvent(new Event("change")));
		await asked(2);
		await page.click("#sound-start");
		await state("soundOff");
		assert.equal(await given(2), "ended", "another one was chosen, then Stop pressed");
		await page.click("#sound-start");
		await asked(3);
		await page.$eval("#sound-mic-list", (list) => list.dispatchEvent(new Event("change")));
		await asked(4);
		assert.equal(await given(3), "ended", "another one was chosen");
		await page.click("#leave");
		assert.equal(await given(4), "ended", "the room was left");
		assert.equal(await page.$eval("#sound", (panel) => panel.dataset.on), "false");
		await fine(page);
	});

	test("a file of speech goes through the chain, is found and ends by itself; one without sound is refused", async (t) => {
		const page = await enter("Bo", "file");
		await page.click("#tab-sound");
		await page.click("input[value=file] + span");
		assert.equal(await page.$eval("#sound-start", (button) => {
			let asked = 0;
			const file = document.getElementById("sound-file");
			file.onclick = (event) => (event.preventDefault(), asked++);
			for (const detail of [1, 2]) button.dispatchEvent(new MouseEvent("click", { detail }));
			file.onclick = null;
			return asked;
		}), 1, "a double click asks for a file once");
		const wav = join(system.dir, "speech.wav");
		execFileSync("sh", ["-c", 'espeak-ng --stdout "Is anybody there?" | sox -V1 -t wav - "$0" pad 0.6 1.5', wav]);
		await (await page.$("#sound-file")).uploadFile(wav);
		await waitFor("the file's level", () => page.$eval("#figure-rms", (node) => Number(node.dataset.db || -99) > -40), LONG_S);
		const voice = (on) => waitFor(`voice ${on}`, () => page.evaluate((want) => document.querySelector("#voice").dataset.on === want &&
			document.querySelector("#sound-state").dataset.state !== "soundOff", String(on)), LONG_S);
		await voice(true);
		await voice(false);
		await waitFor("its end", () => page.$eval("#sound-state", (node) => node.dataset.state === "soundOff"), LONG_S);
		await writeFile(join(system.dir, "none.wav"), "this is no sound");
		await (await page.$("#sound-file")).uploadFile(join(system.dir, "none.wav"));
		await waitFor("the complaint", async () => /none\.wav has no sound/.test(await text(page, "#sound-error")));
		await fine(page);
	});

	test("tiles ask for what they show, and the files of a call are in the list afterwards", async () => {
		const [anna, bo] = [await enter("Anna", "wants", { viewport: { width: 1280, height: 1200 } }), await enter("Bo", "wants", { oldServer: true })];
		await waitFor("the warning", () => anna.$("#call-will-record:not([hidden])"));
		assert.equal(await anna.evaluate(() => askedForRooms), 2);
		/* What screen readers say meanwhile. */
		await anna.evaluate(() => {
			globalThis.said = [];
			for (const node of document.querySelectorAll("#announcer, #call-state"))
				new MutationObserver(() => node.textContent && said.push(node.textContent)).observe(node, { childList: true });
		});
		await calls(anna);
		assert.equal(await anna.evaluate(() => askedForRooms), 3, "the server is asked again at the last moment");
		await calls(bo);
		await Promise.all([picture(anna), picture(bo)]);
		/* What the server was asked for Bo in all, the newest last. */
		const asked = () => anna.evaluate(() => patched.flatMap(({ users }) => Object.entries(users))
			.filter(([user]) => user.startsWith("bo-")).map(([, { video, audio }]) => `${video} ${audio}`));
		const wish = (want) => waitFor(`the wish ${want}`, async () => (await asked()).at(-1) === want);
		await wish("mid on"); // half of a large floor
		await anna.click("input[name=call-mode][value=speaker] + span");
		await wish("high on");
		await anna.click("#tab-record"); // out of sight
		await wish("off on");
		await anna.click("#tab-call");
		await wish("high on");

		await anna.hover(".tile:not(.mine)");
		await anna.click(".tile:not(.mine) .tool[aria-haspopup]");
		const menu = () => anna.evaluate(() => [document.activeElement.closest(".tile:not(.mine), #tile-menu")?.id,
			document.querySelector(".tile:not(.mine) [aria-haspopup]").ariaExpanded]);
		assert.deepEqual(await menu(), ["tile-menu", "true"]);
		const [width, over] = await anna.$eval("#tile-menu", (menu) => {
			const title = menu.querySelector("strong"), name = title.textContent;
			title.textContent = "W".repeat(40);
			const measured = [menu.offsetWidth, menu.scrollWidth - menu.clientWidth];
			title.textContent = name;
			return measured;
		});
		assert.ok(width <= 360 && over <= 0, `a long name makes the menu ${width} pixels wide, and hides ${over}`);
		await anna.click("#tile-menu > button");
		await waitFor("the full screen", () => anna.evaluate(() => Boolean(document.fullscreenElement?.closest(".tile:not(.mine)"))));
		await anna.evaluate(() => document.exitFullscreen());
		await waitFor("its end", () => anna.evaluate(() => !document.fullscreenElement));
		await anna.hover(".tile:not(.mine)");
		await anna.click(".tile:not(.mine) .tool[aria-haspopup]");
		await anna.click("#tile-menu input[value=low]");
		await wish("low on");
		await anna.click("#tile-menu .switch input");
		await wish("low off");
		assert.equal(await anna.$eval(".tile:not(.mine) video", (video) => video.muted), true);
		await anna.click("#tile-menu input[value=off]");
		await wish("off off");
		assert.match(await text(anna, ".tile:not(.mine)"), /Picture off/);
		await anna.keyboard.press("Escape");
		await waitFor("the focus back on the button", async () => (await menu()).join() === ",false");
		await anna.click(".more summary");
		await anna.select("#call-saver", "400");
		await waitFor("the limit", () => anna.evaluate(() => patched.some(({ max_kbps }) => max_kbps === 400)));
		assert.equal(await bo.evaluate(() => patched.length), 1, "an old server is asked once");

		await waitFor("the light", () => anna.$eval("#call-record-light", (node) => !node.hidden));
		for (let i = 0; i < 2; i++) await anna.click("#call-mic"); // which changes no state
		assert.deepEqual((await anna.evaluate(() => said)).sort(), ["Connecting…", "In the call", "This call is being recorded"]);
		await waitFor("its clock", async () => (await text(anna, "#call-elapsed")) > "0:01");
		await anna.click("#call-join");
		assert.equal(await anna.$eval("#call-join", (button) => {
			button.dispatchEvent(new MouseEvent("click", { detail: 2 }));
			return button.getAttribute("aria-disabled");
		}), "false", "a double click only leaves");
		assert.ok(await anna.$("#library .pending"), "the own recording is announced");
		const card = await waitFor("the own recording", () => anna.$('#library .recording[data-session^="anna-"] .shot.video'), LONG_S);
		assert.ok(!(await anna.$("#library .pending")));
		await card.evaluate((button) => button.click());
		await waitFor("it to play", () => anna.$eval("#library video", (video) => video.currentTime > 0.3));
		const length = await anna.$eval("#library video", (video) => video.duration);
		await anna.$eval("#library video", (video) => (video.currentTime = video.duration - 0.5));
		await waitFor("it to play from there", () => anna.$eval("#library video", (video, from) =>
			!video.seeking && video.currentTime > from, length - 0.6));
		await waitFor("nobody else in the call", () => bo.$$eval(".tile", (tiles) => tiles.length === 1));
		await fine(anna, bo);
	});

	test("files of the room are shown in place, what is elsewhere is only a link, and @name is for one", async () => {
		const [anna, bo, cy] = [await enter("Anna", "text"), await enter("Bo B", "text"), await enter("Cy", "text")];
		await mkdir(join(system.storage, "chat"), { recursive: true });
		const kept = `${"0123456789abcdef".repeat(2)}-dot.png`;
		await writeFile(join(system.storage, "chat", kept), Buffer.from(
			"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==", "base64"));
		await writeFile(join(system.storage, "chat", "voice.wav"), toneWav(0.2));
		const foreign = `http://localhost:${system.port}/recordings/chat/${kept}`; // another origin
		await anna.evaluate((name, elsewhere) => {
			const socket = new WebSocket(`ws://${location.host}/text/chat`);
			const say = (text, url) => socket.send(JSON.stringify({ type: "text", from: "Zed", text, url, ts: new Date().toISOString() }));
			socket.onopen = () => {
				say("dot.png", `/recordings/chat/${name}`);
				say("hello.wav", "/recordings/chat/voice.wav");
				say("far.png", elsewhere);
				say("odd", "http://odd.example/%");
				say("click", "javascript:alert(1)");
				say("read https://example.org/a?b=c, please");
			};
		}, kept, foreign);
		await waitFor("the picture", () => bo.$eval("#chat-log img", (img) => {
			img.loading = "eager";
			return img.complete && img.naturalWidth === 1;
		}));
		assert.equal(await bo.$eval("#chat-log audio", (audio) => new URL(audio.src).pathname), "/recordings/chat/voice.wav");
		await waitFor("the last line", async () => /please/.test(await text(bo, "#chat-log")));
		assert.deepEqual(await bo.$$eval("#chat-log img", (all) => all.length), 1, "only the own picture is shown");
		assert.deepEqual(await bo.$$eval("#chat-log a", (all) => all.map(({ href, rel }) => [href, /noopener/.test(rel)])), [
			[`${system.url}recordings/chat/${kept}`, true], [foreign, true], ["http://odd.example/%", true],
			["https://example.org/a?b=c", true],
		]);
		assert.ok(!(await bo.evaluate(() => performance.getEntriesByType("resource").some(({ name }) => /localhost|example/.test(name)))),
			"nothing from elsewhere was fetched");

		await waitFor("the names", () => anna.$$eval("#chat-people button", (all) => all.length === 2));
		await anna.type("#chat-text", "@b");
		await waitFor("the offer", () => anna.$('#chat-offer [aria-selected="true"]'));
		await anna.keyboard.press("Tab");
		await anna.keyboard.type("for you alone");
		await anna.keyboard.press("Enter");
		await waitFor("the private line", async () => /to you.*for you alone/s.test(await text(bo, "#chat-log .private")));
		await anna.type("#chat-text", "for all");
		await anna.keyboard.press("Enter");
		await waitFor("the open line", async () => /for all/.test(await text(cy, "#chat-log")));
		assert.doesNotMatch(await text(cy, "#chat-log"), /alone/);
		await anna.focus('#chat-people button[title="Bo B"]');
		await cy.close();
		await waitFor("that one is gone", () => anna.$$eval("#chat-people button", (all) => all.length === 1));
		assert.equal(await anna.evaluate(() => document.activeElement.title), "Bo B", "the keyboard stays where it was");
		await anna.type("#chat-text", "@cy between us");
		await anna.keyboard.press("Enter");
		await waitFor("the notice", async () => /Cy is not in the room; nothing was sent/.test(await text(anna, "#notices")));
		assert.equal(await anna.$eval("#chat-text", (field) => field.value), "@cy between us");
		await anna.$eval("#chat-text", (field) => (field.value = ""));
		await anna.type("#chat-text", "goodbye");
		await anna.keyboard.press("Enter");
		await waitFor("the line after it", async () => /goodbye/.test(await text(bo, "#chat-log")));
		assert.doesNotMatch(await text(bo, "#chat-log"), /between/);

		await anna.evaluate(() => {
			globalThis.draws = 0;
			new MutationObserver((records) => (draws += records.flatMap(({ addedNodes }) => [...addedNodes])
				.filter((node) => node.querySelector(".me")).length)).observe(document.getElementById("chat-people"), { childList: true });
			const socket = new WebSocket(`ws://${location.host}/text/again`);
			const dora = { type: "presence", from: "Dora", user: "dora-1" };
			socket.onopen = () => [dora, dora, dora, { type: "text", from: "Dora", text: "still here" }]
				.forEach((said) => socket.send(JSON.stringify(said)));
		});
		await waitFor("the line of one who is there", async () => /still here/.test(await text(anna, "#chat-log")));
		assert.equal(await anna.evaluate(() => draws), 1, "the faces are drawn when something changes");
		await fine(anna, bo);
	});

	test("on a phone nothing is wider than the window, in either language and every view", async () => {
		const page = await enter("Anna", "phone", { viewport: { width: 390, height: 844 }, phone: true });
		await calls(page);
		assert.deepEqual(await page.$$eval("#call-screen, label:has([value=screen])", (all) => all.map(({ hidden }) => hidden)),
			[true, true], "what a phone cannot do is not offered");
		for (const language of ["en", "ru"]) {
			for (const view of ["call", "record", "sound"]) {
				await page.click(`#tab-${view}`);
				const wide = await page.evaluate(() => document.documentElement.scrollWidth);
				assert.ok(wide <= 390, `${view} in ${language} is ${wide} wide`);
			}
			if (language === "en") await page.click("#lang");
		}
		assert.equal(await page.$$eval("button, input, select", (all) => all
			.filter((node) => node.offsetParent && !node.textContent.trim() && !node.labels?.length
				&& !node.ariaLabel && !node.title).map((node) => node.outerHTML).join("\n")), "", "everything has a name");
		assert.deepEqual(await page.$eval("#lang", ({ lang, ariaLabel, textContent }) => [lang, ariaLabel.startsWith(textContent)]),
			["en", true]);
		assert.ok(await page.$$eval("[role=meter]", (all) => all.every(({ ariaValueNow }) => ariaValueNow)), "a meter shows nothing");
		// The light of the connection stands alone here.
		const shapes = await page.$eval("#link-state", (light) => ["on", "off", "gone"].map((state) => {
			light.dataset.state = state;
			const { borderTopWidth, clipPath } = getComputedStyle(light, "::before");
			return `${borderTopWidth} ${clipPath}`;
		}));
		assert.equal(new Set(shapes).size, 3, `${shapes} differ in their colours alone`);
		await fine(page);
	});
});

/* A WAV of `seconds` of a tone, 16 bit, 48 kHz, mono. */
function toneWav(seconds) {
	const n = 48000 * seconds;
	const wav = Buffer.alloc(44 + 2 * n);
	wav.write("RIFF\0\0\0\0WAVEfmt ", 0, "latin1");
	wav.writeUInt32LE(36 + 2 * n, 4);
	[[16, 4], [1, 2], [1, 2], [48000, 4], [96000, 4], [2, 2], [16, 2]]
		.reduce((at, [value, size]) => wav.writeUIntLE(value, at, size), 16);
	wav.write("data", 36, "latin1");
	wav.writeUInt32LE(2 * n, 40);
	for (let i = 0; i < n; i++) wav.writeInt16LE(Math.round(8000 * Math.sin((2 * Math.PI * 440 * i) / 48000)), 44 + 2 * i);
	return wav;
}
