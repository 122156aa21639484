/*
 * What of the page needs no browser: its strings, and finding the clusters of a WebM stream.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { sessionId, slug } from "../../examples/web/ids.js";
import { ClusterFinder } from "../../examples/web/webm.js";
import { ROOT, decodeErrors, probe, tempDir } from "./support.mjs";

const PAGE = join(ROOT, "examples/web");

test("every string that is used is there in every language, and every one that is there is used", async () => {
	const names = (await readdir(PAGE)).filter((name) => /\.(js|html)$/.test(name));
	const sources = await Promise.all(names.map((name) => readFile(join(PAGE, name), "utf8")));
	const table = sources[names.indexOf("i18n.js")].match(/const STRINGS = (\{[\s\S]*?\n\});/)[1];
	const strings = new Function(`return ${table}`)();
	for (const [key, row] of Object.entries(strings)) {
		assert.equal(row.length, 2, key);
		const places = row.map((text) => (text.match(/\{\w+\}/g) ?? []).sort().join());
		assert.equal(places[0], places[1], `the figures in ${key}`);
		assert.match(row.join(), /[а-яё]/i, `${key} has Russian`);
	}
	const rest = sources.filter((_, i) => names[i] !== "i18n.js").join("\n");
	const used = new Set([...rest.matchAll(/data-t(?:-label|-ph)?="(\w+)"/g)].map(([, key]) => key));
	for (const [, key] of rest.matchAll(/\bt\("(\w+)"/g)) used.add(key);
	for (const key of used) assert.ok(strings[key], `string ${key}`);
	// Keys that are put together or handed on stand in quotes, or begin as a template does.
	const made = [...rest.matchAll(/t\(`(\w+)\$\{/g)].map(([, start]) => start);
	for (const key of Object.keys(strings))
		assert.ok(used.has(key) || rest.includes(`"${key}"`) || made.some((start) => key.startsWith(start)),
			`${key} is used`);
});

test("names of people become ids that the server takes", () => {
	assert.equal(slug("Аня Щукина"), "anya-schukina");
	assert.equal(slug("  .hidden/../x "), "hidden-..-x");
	assert.equal(slug("Zoë"), "zoe");
	assert.equal(slug("漢字"), "");
	for (const name of ["Аня", "漢字", "..", "a".repeat(300)])
		assert.match(sessionId(name), /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/);
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
