/*
 * examples/embed: a page of another origin with a call behind the proxy of examples/nginx.conf and its
 * password. In Chromium.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { ROOT, freePort, launch, openPage, start, tempDir, text, waitFor } from "./support.mjs";

const NGINX = "/usr/sbin/nginx";
const HOST = "msr.test";
const RECORDED = "This call is recorded.";

/* Runs in the page: the camera is there, and the server asked to let somebody in, when the test says so. */
function hold() {
	const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
	const send = fetch;
	const held = (globalThis.held = { cameras: [], ways: [], left: [] });
	navigator.mediaDevices.getUserMedia = (wishes) => new Promise((done, fail) => held.cameras.push({
		fail: () => fail(new DOMException("refused by the test", "NotAllowedError")),
		async give() {
			globalThis.media = await open(wishes);
			done(media);
		},
	}));
	globalThis.fetch = async (url, options) => {
		if (options.method === "POST" && /\/users\/[^/]*$/.test(url)) await new Promise((go) => held.ways.push(go));
		const reply = await send(url, options);
		if (options.method === "DELETE") held.left.push(reply.status);
		return reply;
	};
}

/* msr-sfu behind nginx, which records, and the page at three origins, of which it is told the first. */
async function startProxied(t) {
	const dir = await tempDir(t);
	const [tls, plain, sfu, unused, named, other, bare] = await Promise.all(Array.from({ length: 7 }, freePort));
	execFileSync(join(ROOT, "tests/support/nginx-config"), [dir, tls, plain, unused, sfu, unused].map(String));
	await mkdir(join(dir, "page"));
	for (const name of ["index.html", "call.js"]) {
		const source = await readFile(join(ROOT, "examples/embed", name), "utf8");
		await writeFile(join(dir, "page", name), source.replace("https://rec.example.org", `https://localhost:${tls}`));
	}
	await writeFile(join(dir, "page.server"), `
		server {
			listen 127.0.0.1:${named} ssl;
			listen 127.0.0.1:${other} ssl;
			listen 127.0.0.1:${bare};
			ssl_certificate ${dir}/cert.pem;
			ssl_certificate_key ${dir}/key.pem;
			types { text/html html; text/javascript js; }
			root ${dir}/page;
		}`);
	const rtc = 32768 + Math.floor(Math.random() * 270) * 100;
	start(t, join(ROOT, "build/bin/msr-sfu"), ["-p", String(sfu), "--allow-origin", `https://localhost:${named}`,
		"--record", "-o", join(dir, "recorded")],
		{ env: { ...process.env, RTC_MIN_PORT: String(rtc), RTC_MAX_PORT: String(rtc + 99) } });
	const nginx = start(t, NGINX, ["-c", join(dir, "nginx.conf"), "-e", join(dir, "error.log")]);
	await waitFor("msr-sfu", async () => (await fetch(`http://127.0.0.1:${sfu}/health`)).ok);
	await waitFor("nginx", async () => {
		if (nginx.child.exitCode !== null) throw new Error(nginx.log());
		return (await fetch(`http://127.0.0.1:${plain}/`, { redirect: "manual" })).status === 301;
	});
	return {
		sfu: `http://127.0.0.1:${sfu}`,
		login: `https://ann:secret@localhost:${tls}/~sfu/health`,
		named: `https://localhost:${named}/`,
		other: `https://localhost:${other}/`,
		bare: `http://${HOST}:${bare}/`,
		asked: async () => (await readFile(join(dir, "access.log"), "utf8")).split("\n"),
	};
}

test("a page of a named origin has its call with the password, other pages and other people have none",
	{ skip: !existsSync(NGINX) && "nginx is not installed" }, async (t) => {
		const [proxied, browser] = await Promise.all([
			startProxied(t), launch(t, "chromium", { args: ["--ignore-certificate-errors", `--host-resolver-rules=MAP ${HOST} 127.0.0.1`] }),
		]);
		const status = (page) => text(page, "#call [role=status]");
		const join = async (page) => {
			await page.click("#call button");
			return page;
		};
		const refused = async (page) => {
			await waitFor("the refusal", async () => /does not answer, or lets nobody in from here/.test(await status(page)));
			assert.equal(await page.$("video"), null);
			assert.equal(await text(page, "#call button"), "Join the call");
		};
		const moving = (page, n) => waitFor(`${n} pictures`, async () => {
			assert.equal(await status(page), RECORDED);
			return page.$$eval("video", (all, wanted) => all.length === wanted
				&& all.every((one) => one.videoWidth > 0 && one.currentTime > 0), n);
		}, 30);

		// The browser's question for the password; nobody answers it here.
		const stranger = await join(await openPage(browser, proxied.named));
		await waitFor("the question", async () => (await proxied.asked()).some((line) => /"GET \/~sfu\/rooms \S+" 401 /.test(line)));
		await stranger.close();
		await openPage(browser, proxied.login, { shared: true });
		await refused(await join(await openPage(browser, proxied.other, { shared: true })));
		assert.deepEqual(await (await fetch(`${proxied.sfu}/rooms`)).json().then(({ rooms }) => rooms), []);

		const bare = await join(await openPage(browser, proxied.bare));
		await waitFor("the reason", async () => /only on https or localhost/.test(await status(bare)));
		assert.deepEqual(bare.problems, []);
		await bare.close();

		const anna = await join(await openPage(browser, proxied.named, { shared: true }));
		await moving(anna, 1);
		const bo = await join(await openPage(browser, proxied.named, { shared: true }));
		await Promise.all([moving(anna, 2), moving(bo, 2)]);
		// Browsers ask first, without the password; nothing else goes without.
		const asked = (await proxied.asked()).map((line) => / - (\S+) \[[^\]]*\] "(\S+) \/~sfu\/\S+ \S+" (\d+)/.exec(line) ?? []);
		const ways = new Set(asked.map(([, who, method, code]) => `${who} ${method} ${code}`));
		for (const way of ["- OPTIONS 204", "ann POST 201", "ann POST 200"]) assert.ok(ways.has(way), way);
		assert.ok(!asked.some(([, who, method, code]) => who === "-" && method !== "OPTIONS" && code !== "401"));

		await bo.click("#call button", { count: 2 });
		assert.equal(await text(bo, "#call button"), "Join the call", "a double click counts once");
		await moving(anna, 1);

		// Who leaves while the camera or the way in is awaited is not in the call.
		await bo.evaluate(hold);
		const held = (what, n) => waitFor(`${what} ${n}`, () => bo.evaluate((all, want) => globalThis.held[all].length === want, what, n));
		for (const n of [1, 2]) {
			await join(bo);
			await held("cameras", n);
			if (n === 1) await bo.click("#call button");
		}
		assert.deepEqual(await bo.evaluate(async () => {
			globalThis.held.cameras[0].fail();
			await new Promise((done) => setTimeout(done));
			return [document.querySelector("#call button").textContent, document.querySelector("#call [role=status]").textContent];
		}), ["Leave the call", RECORDED], "a call that was left ends no later one");
		await bo.click("#call button");
		assert.deepEqual(await bo.evaluate(async () => {
			await globalThis.held.cameras[1].give();
			await new Promise((done) => setTimeout(done));
			return [...media.getTracks().map(({ readyState }) => readyState), document.querySelector("video")];
		}), ["ended", "ended", null]);
		await join(bo);
		await held("cameras", 3);
		await bo.evaluate(() => globalThis.held.cameras[2].give());
		await held("ways", 1);
		await bo.click("#call button");
		await held("left", 3);
		await bo.evaluate(() => globalThis.held.ways[0]());
		await held("left", 4);
		await anna.close();
		await waitFor("nobody to be there", async () =>
			(await (await fetch(`${proxied.sfu}/rooms`)).json()).rooms.every(({ users }) => users === 0));
		assert.deepEqual([...anna.problems, ...bo.problems], []);
	});
