/*
 * What of the page needs no browser: its strings and colours, where the tiles of a call lie and what they ask for,
 * chains of sound, and finding the clusters of a WebM stream.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { webcrypto } from "node:crypto";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import {
	PRESETS, PROCESSORS, chainOf, chainText, parseList, presetList,
} from "../../examples/web/audio/processors.js";
import { decoded, sessionId, slug } from "../../examples/web/base/ids.js";
import { layout } from "../../examples/web/call/layout.js";
import { encodingsFor } from "../../examples/web/call/simulcast.js";
import { Subscription, layerFor, wantsOf } from "../../examples/web/call/wants.js";
import { ClusterFinder } from "../../examples/web/record/webm.js";
import { ratio } from "./contrast.mjs";
import { ROOT, decodeErrors, probe, tempDir } from "./support.mjs";

// Debian 12's Node is 18, which has not all that browsers have, and names what is mocked in another way.
globalThis.crypto ??= webcrypto;
const mocked = process.version.startsWith("v18.") ? ["setTimeout"] : { apis: ["setTimeout"] };

const PAGE = join(ROOT, "examples/web");

test("every string that is used is there in every language, and every one that is there is used", async () => {
	const names = (await readdir(PAGE, { recursive: true })).filter((name) => /\.(js|html)$/.test(name));
	const tables = names.filter((name) => name.startsWith("strings/"));
	assert.ok(tables.length > 3);
	const strings = {};
	for (const name of tables)
		for (const [key, row] of Object.entries((await import(join(PAGE, name))).default)) {
			assert.ok(!strings[key], `${key} is there once`);
			strings[key] = row;
		}
	const others = names.filter((name) => !tables.includes(name) && name !== "base/i18n.js");
	const sources = await Promise.all(others.map((name) => readFile(join(PAGE, name), "utf8")));
	for (const [key, row] of Object.entries(strings)) {
		assert.equal(row.length, 2, key);
		const places = row.map((text) => (text.match(/\{\w+\}/g) ?? []).sort().join());
		assert.equal(places[0], places[1], `the figures in ${key}`);
		assert.match(row.join(), /[а-яё]/i, `${key} has Russian`);
	}
	const rest = sources.join("\n");
	const used = new Set([...rest.matchAll(/data-t(?:-label|-ph|-title)?="(\w+)"/g)].map(([, key]) => key));
	for (const [, key] of rest.matchAll(/\bt\("(\w+)"/g)) used.add(key);
	for (const key of used) assert.ok(strings[key], `string ${key}`);
	// Keys that are put together or handed on stand in quotes, or begin as a template does.
	const made = [...rest.matchAll(/t\(`(\w+)\$\{/g)].map(([, start]) => start);
	for (const key of Object.keys(strings))
		assert.ok(used.has(key) || rest.includes(`"${key}"`) || made.some((start) => key.startsWith(start)),
			`${key} is used`);
});

/* hsl(hue saturation lightness) as [red, green, blue]. */
const hsl = (hue, saturation, lightness) => [0, 8, 4].map((n) => {
	const k = (n + hue / 30) % 12;
	return lightness - saturation * Math.min(lightness, 1 - lightness) * Math.max(-1, Math.min(k - 3, 9 - k, 1));
});

test("text stands out from what it lies on, and so do the edges of controls, in light and in dark", async () => {
	const css = await readFile(join(PAGE, "css/base.css"), "utf8");
	const hues = [...css.matchAll(/--hue: (\d+)/g)].map(([, hue]) => Number(hue));
	assert.equal(hues.length, 12);
	for (const [scheme, rules] of css.match(/:root \{[^}]*\}/g).slice(0, 2).entries()) {
		const colour = Object.fromEntries([...rules.matchAll(/--([\w-]+): #(\w{6});/g)].map(([, name, hex]) =>
			[name, hex.match(/../g).map((two) => parseInt(two, 16) / 255)]));
		const tint = Number(/--tint-l: (\d+)%/.exec(rules)[1]) / 100;
		const apart = (what, over, under, least) => assert.ok(ratio(over, under) >= least,
			`${what} in ${["light", "dark"][scheme]}: ${ratio(over, under).toFixed(2)}`);
		for (const [text, ...grounds] of [
			["ink", "paper", "card", "sunk", "brand-soft", "warn-soft", "live-soft"],
			["soft", "paper", "card", "sunk", "brand-soft", "warn-soft"], ["brand", "paper", "card", "brand-soft"],
			["brand-ink", "brand"], ["live", "card", "live-soft"], ["live-ink", "live"], ["warn", "paper", "card", "warn-soft"],
			["paper", "ink"],
		])
			for (const ground of grounds) apart(`${text} on ${ground}`, colour[text], colour[ground], 4.5);
		for (const hue of hues) {
			const name = hsl(hue, 0.48, tint);
			for (const ground of ["card", "sunk", "brand-soft", "warn-soft"])
				apart(`hue ${hue} on ${ground}`, name, colour[ground], 4.5);
			apart(`a face of hue ${hue}`, name, name.map((v, i) => 0.22 * v + 0.78 * colour.card[i]), 4.5);
		}
		for (const ground of ["paper", "card", "sunk"]) apart(`edge on ${ground}`, colour.edge, colour[ground], 3);
	}
});

test("names of people become ids that the server takes", () => {
	assert.equal(slug("Аня Щукина"), "anya-schukina");
	assert.equal(slug("  .hidden/../x "), "hidden-..-x");
	assert.equal(slug("Zoë"), "zoe");
	assert.equal(slug("漢字"), "");
	for (const name of ["Аня", "漢字", "..", "a".repeat(300)])
		assert.match(sessionId(name), /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/);
});

test("a part of an address that no browser would write is taken as it stands", () => {
	assert.equal(decoded("a%20%C3%A9.png"), "a é.png");
	for (const odd of ["100%", "%zz", "%ff"]) assert.equal(decoded(odd), odd);
});

const FLOORS = [[860, 520], [358, 500], [1200, 700]];

test("tiles lie on the floor without covering each other, as large as they can, whatever their number", () => {
	for (const [width, height] of FLOORS)
		for (const mode of ["grid", "speaker"])
			for (let n = 1; n <= 30; n++) {
				const chosen = n >> 1;
				const rects = layout({ n, width, height, mode, chosen });
				const where = `${n} in ${mode} on ${width} x ${height}`;
				assert.equal(rects.length, n, where);
				for (const { x, width: w, height: h } of rects) {
					assert.ok(x > -0.5 && x + w < width + 0.5, `${where}: within the sides`);
					assert.ok(w / h > 1.3 && w / h < 1.8, `${where}: a good shape`);
					assert.ok(w >= 100, `${where}: large enough`);
				}
				rects.forEach((a, i) => rects.slice(i + 1).forEach((b) => assert.ok(
					a.x + a.width <= b.x + 0.5 || b.x + b.width <= a.x + 0.5
					|| a.y + a.height <= b.y + 0.5 || b.y + b.height <= a.y + 0.5, `${where}: apart`)));
				if (mode === "speaker" && n > 1)
					for (const [i, { width: w, large }] of rects.entries()) {
						assert.equal(large, i === chosen, where);
						assert.ok(large || w < rects[chosen].width, `${where}: the chosen one is the largest`);
					}
				if (mode === "grid" && n <= 9)
					assert.ok(rects.every(({ y, height: h }) => y > -0.5 && y + h < height + 0.5), `${where}: no scrolling`);
			}
	const [one] = layout({ n: 1, width: 860, height: 484 });
	assert.ok(one.width > 850, "one alone fills the floor");
	assert.deepEqual(layout({ n: 3, width: 0, height: 500 }), []);
});

test("a viewer asks for the layer that a tile shows, for nothing out of sight, and as people chose", () => {
	assert.deepEqual([100, 240, 241, 480, 481, 2000].map((px) => layerFor(px, true)),
		["low", "low", "mid", "mid", "high", "high"]);
	assert.equal(layerFor(500, false), "off");
	const tiles = [
		{ user: "a", height: 600, inSight: true }, { user: "b", height: 100, inSight: true },
		{ user: "c", height: 300, inSight: false }, { user: "d", height: 100, inSight: true },
		{ user: "d", height: 700, inSight: true },
	];
	const choices = new Map([["a", { video: "low", audio: "on" }], ["b", { video: "auto", audio: "off" }],
		["c", { video: "high", audio: "on" }]]);
	assert.deepEqual(wantsOf(tiles, choices), {
		a: { audio: "on", video: "low" }, b: { audio: "off", video: "low" }, c: { audio: "on", video: "off" },
		d: { audio: "on", video: "high" }, // a screen and a camera: what the larger one needs
	});
	for (const { video, audio } of Object.values(wantsOf(tiles, new Map(), { soundOnly: true })))
		assert.deepEqual([video, audio], ["off", "on"]);
});

test("only what changed is asked for, and an old server is left in peace", async (t) => {
	t.mock.timers.enable(mocked);
	const turn = async () => {
		t.mock.timers.tick(1000);
		for (let i = 0; i < 5; i++) await null;
	};
	const sent = [];
	const wishes = new Subscription(async (what) => sent.push(what));
	const a = { audio: "on", video: "high" };
	wishes.want({ a });
	await turn();
	assert.deepEqual(sent, [], "nothing before there is a connection");
	wishes.begin();
	wishes.want({ a, b: { audio: "on", video: "low" } });
	await turn();
	assert.deepEqual(sent, [{ users: { a, b: { audio: "on", video: "low" } } }]);
	wishes.want({ a, b: { audio: "on", video: "mid" } }, 500);
	await turn();
	assert.deepEqual(sent[1], { users: { b: { audio: "on", video: "mid" } }, max_kbps: 500 });
	wishes.want({ a, b: { audio: "on", video: "mid" } }, 500);
	await turn();
	assert.equal(sent.length, 2, "nothing new, nothing sent");
	wishes.end();
	wishes.begin();
	await turn();
	assert.equal(Object.keys(sent[2].users).length, 2, "a new connection knows nothing");

	// What may pass is asked again, later each time: after 0.4, 0.8 and 1.6 s.
	for (const [status, code, most] of [[405, "method_not_allowed", 1], [404, "not_found", 1], [0, "unreachable", 3]]) {
		let asked = 0;
		const refused = new Subscription(async () => {
			asked++;
			throw Object.assign(new Error(code), { status, code });
		});
		refused.begin();
		for (let i = 0; i < 6; i++) {
			refused.want({ a: { audio: "on", video: i % 2 ? "low" : "mid" } });
			await turn();
		}
		assert.equal(asked, most, code);
		assert.equal(refused.works, status === 0, code);
	}
});

test("a camera is sent in as many layers as its size is good for, the lowest first", () => {
	const layers = (width, height) => encodingsFor({ getSettings: () => ({ width, height }) })
		.map(({ rid, scaleResolutionDownBy }) => `${rid}${scaleResolutionDownBy}`).join(" ");
	assert.equal(layers(1280, 720), "l4 m2 h1");
	assert.equal(layers(640, 480), "m2 h1");
	assert.equal(layers(480, 640), "m2 h1");
	assert.equal(layers(320, 180), "h1");
	const bits = encodingsFor({ getSettings: () => ({ width: 1280, height: 720 }) }).map(({ maxBitrate }) => maxBitrate);
	assert.deepEqual(bits, [...bits].sort((a, b) => a - b));
});

test("chains as the server takes them, as a shell does, and as they were kept", () => {
	const list = presetList(PRESETS.louder);
	assert.equal(list.length, PROCESSORS.length);
	assert.deepEqual(chainOf(list), [{ name: "gain", db: 6 }, { name: "limiter", dbfs: -1 }, { name: "vad", percent: 50 }, "meter"]);
	assert.equal(chainText(list), "gain=6,limiter=-1,vad=50,meter");
	assert.deepEqual(parseList(JSON.stringify(list)), list);
	for (const one of list) one.on = false;
	assert.deepEqual(chainOf(list), ["copy"]);
	for (const broken of ["", "{", "[]", "null", JSON.stringify(list.slice(1)), JSON.stringify(list).replace("gain", "pain")])
		assert.equal(parseList(broken), null, broken);
	const absurd = parseList(JSON.stringify(list.map((one) => ({ ...one, value: 1e9 }))));
	for (const { name, value } of absurd) assert.equal(value, PROCESSORS.find((one) => one.name === name).start);
});

test("the chains that the page offers are chains of msr-audiod", () => {
	const bin = join(ROOT, "build/bin/msr-audiod");
	for (const [name, names] of Object.entries(PRESETS))
		execFileSync(bin, ["filter", chainText(presetList(names))], { input: Buffer.alloc(960), stdio: ["pipe", "pipe", "pipe"] }, name);
	for (const { name, param, min, max } of PROCESSORS)
		for (const value of param ? [min, max] : [])
			execFileSync(bin, ["filter", `${name}=${value}`], { input: Buffer.alloc(960), stdio: ["pipe", "pipe", "pipe"] });
});

test("a WebM stream in pieces of any size: its clusters are found, and one can begin a file", async (t) => {
	const dir = await tempDir(t);
	const whole = join(dir, "whole.webm");
	execFileSync("ffmpeg", ["-v", "error", "-f", "lavfi", "-i", "testsrc=s=160x90:r=25:d=6", "-f", "lavfi", "-i",
		"sine=d=6", "-c:v", "libvpx", "-g", "25", "-c:a", "libopus", "-cluster_time_limit", "900", "-live", "1", whole]);
	const bytes = new Uint8Array(await readFile(whole));
	const places = [];
	for (let i = 0; i + 4 < bytes.length; i++)
		if (bytes[i] === 0x1f && bytes[i + 1] === 0x43 && bytes[i + 2] === 0xb6 && bytes[i + 3] === 0x75) places.push(i);
	assert.ok(places.length >= 5);

	for (const size of [1, 3, 7, 4096, bytes.length]) {
		const finder = new ClusterFinder();
		const found = [];
		for (let i = 0; i < bytes.length; i += size) found.push(...finder.feed(bytes.subarray(i, i + size)));
		assert.deepEqual(found, places, `pieces of ${size}`);
	}

	const later = join(dir, "later.webm");
	await writeFile(later, Buffer.concat([bytes.subarray(0, places[0]), bytes.subarray(places[3])]));
	assert.equal(await decodeErrors(later), "");
	assert.deepEqual((await probe(later)).streams.map(({ codec_type }) => codec_type).sort(), ["audio", "video"]);
});
