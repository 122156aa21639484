/*
 * Help for browser tests: the whole system on free ports in a temporary folder, a proxy that breaks
 * connections, headless Chromium and Firefox with fake devices, and waiting for conditions.
 *
 * Whatever is started here ends with the test: pass node:test's context as `t`.
 */
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { access, mkdtemp, readFile, readdir, rm } from "node:fs/promises";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import puppeteer from "puppeteer-core";

const run = promisify(execFile);
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
export const BROWSERS = (process.env.MSR_BROWSERS ?? "chromium firefox").split(" ");

/* Times how long one waits before giving up; for a machine that does much else. */
export const PATIENCE = Number(process.env.MSR_PATIENCE ?? 1);

export const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/* Until `check` gives something true, which is returned; looks every 50 ms. */
export async function waitFor(what, check, seconds = 15) {
	const until = Date.now() + seconds * PATIENCE * 1000;
	let last;
	for (;;) {
		try {
			const value = await check();
			if (value) return value;
			last = undefined;
		} catch (error) {
			last = error;
		}
		if (Date.now() > until) throw new Error(`waited ${seconds} s in vain: ${what}`, { cause: last });
		await pause(50);
	}
}

/* A folder that goes when the test ends. */
export async function tempDir(t) {
	const dir = await mkdtemp(join(tmpdir(), "msr-browser-"));
	t.after(() => rm(dir, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 }));
	return dir;
}

const given = new Set();

/* A free TCP port outside the ephemeral range, so that it stays free; never the same one twice. */
export async function freePort() {
	for (;;) {
		const port = 20000 + Math.floor(Math.random() * 12000);
		if (given.has(port)) continue;
		given.add(port);
		const free = await new Promise((done) => {
			const server = createServer();
			server.once("error", () => done(false));
			server.listen(port, "127.0.0.1", () => server.close(() => done(true)));
		});
		if (free) return port;
	}
}

const STOP_MS = 60000; // an orderly stop finishes recordings: msr-supervise allows it 20 s a stage

/* Starts a program; `log()` is what it has written. Ends with SIGTERM, later with SIGKILL. */
export function start(t, command, args, options = {}) {
	const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
	const chunks = [];
	const ended = new Promise((done) => child.once("close", (code, signal) => done({ code, signal })));
	for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => chunks.push(chunk));
	child.on("error", (error) => chunks.push(Buffer.from(String(error))));
	const program = { child, ended, log: () => Buffer.concat(chunks).toString() };
	program.stop = async () => {
		child.kill("SIGTERM");
		const late = setTimeout(() => child.kill("SIGKILL"), STOP_MS);
		const how = await ended;
		clearTimeout(late);
		return how;
	};
	t.after(program.stop);
	return program;
}

/*
 * The whole system as `make run` starts it. Gives {url, port, dir, storage, tasks, env, log}; `only`:
 * the programs to run, `env`: further settings (msr-supervise).
 */
export async function startSystem(t, { only = "msr-ws msr-record msr-taskscan", env = {} } = {}) {
	const dir = await tempDir(t);
	const port = await freePort();
	const rtc = 32768 + Math.floor(Math.random() * 270) * 100;
	const settings = {
		MSR_ONLY: only,
		MSR_WS_PORT: String(port),
		MSR_SFU_PORT: String(await freePort()),
		MSR_AUDIOD_PORT: String(await freePort()),
		MSR_AUDIOD_HEALTH_PORT: String(await freePort()),
		MSR_CHAT_PORT: String(await freePort()),
		MSR_CHAT_METRICS_PORT: String(await freePort()),
		RTC_MIN_PORT: String(rtc),
		RTC_MAX_PORT: String(rtc + 99),
		...env,
	};
	const system = start(t, join(ROOT, "build/bin/msr-supervise"), ["run", "-d", dir], {
		env: { ...process.env, PATH: `${ROOT}/build/bin:${process.env.PATH}`, ...settings },
	});
	const url = `http://127.0.0.1:${port}/`;
	try {
		await waitFor("the system's health", async () => {
			if (system.child.exitCode !== null) throw new Error("it ended");
			return (await fetch(`${url}health`)).ok && (await fetch(`${url}recordings`)).ok;
		}, 30);
	} catch (error) {
		throw new Error(`the system does not start:\n${system.log()}`, { cause: error });
	}
	return {
		url, port, dir, settings, log: system.log,
		sfu: `http://127.0.0.1:${settings.MSR_SFU_PORT}`,
		storage: join(dir, "storage"), tasks: join(dir, "tasks"),
	};
}

/*
 * A TCP proxy in front of `port` that can break: cut() ends every connection and lets none in until
 * mend(); freeze() keeps them open but lets nothing through, like a network that has gone away.
 */
export async function startProxy(t, port) {
	const pairs = new Set();
	let broken = false;
	let frozen = false;
	const server = createServer((near) => {
		if (broken) return near.destroy();
		const far = createConnection(port, "127.0.0.1");
		const pair = [near, far];
		pairs.add(pair);
		const gone = () => {
			pairs.delete(pair);
			near.destroy();
			far.destroy();
		};
		for (const socket of pair) socket.on("error", gone).on("close", gone).setNoDelay();
		near.on("data", (data) => far.write(data) || (near.pause(), far.once("drain", () => !frozen && near.resume())));
		far.on("data", (data) => near.write(data) || (far.pause(), near.once("drain", () => !frozen && far.resume())));
		if (frozen) pair.forEach((socket) => socket.pause());
	});
	await new Promise((done) => server.listen(0, "127.0.0.1", done));
	const end = () => [...pairs].flat().forEach((socket) => socket.destroy());
	t.after(() => {
		end();
		server.close();
	});
	return {
		port: server.address().port,
		url: `http://127.0.0.1:${server.address().port}/`,
		cut() {
			broken = true;
			end();
		},
		freeze() {
			frozen = true;
			[...pairs].flat().forEach((socket) => socket.pause());
		},
		mend() {
			broken = frozen = false;
			[...pairs].flat().forEach((socket) => socket.resume());
		},
	};
}

const CHROMIUM_ARGS = [
	"--no-sandbox",
	"--disable-gpu",
	"--disable-quic",
	"--no-first-run",
	"--disable-background-networking",
	"--disable-component-update",
	"--disable-sync",
	"--disable-dev-shm-usage",
	"--use-fake-device-for-media-stream",
	"--use-fake-ui-for-media-stream",
	"--auto-select-desktop-capture-source=Entire screen",
	"--autoplay-policy=no-user-gesture-required",
	"--disable-backgrounding-occluded-windows",
	"--disable-renderer-backgrounding",
	"--disable-background-timer-throttling",
	// The pages of one browser then do not see each other's candidates as random .local names.
	"--disable-features=WebRtcHideLocalIpsWithMdns,Translate,MediaRouter",
];

const FIREFOX_PREFS = {
	"media.navigator.streams.fake": true,
	"media.navigator.permission.disabled": true,
	"media.autoplay.default": 0,
	"media.autoplay.blocking_policy": 0,
	"media.autoplay.block-webaudio": false,
	"media.peerconnection.ice.obfuscate_host_addresses": false,
	// No codec of OpenH264's plug-in is fetched, nor anything else.
	"media.gmp-manager.updateEnabled": false,
	"media.gmp-provider.enabled": false,
	"network.captive-portal-service.enabled": false,
	"network.connectivity-service.enabled": false,
	"app.update.enabled": false,
	"datareporting.healthreport.uploadEnabled": false,
	"toolkit.telemetry.enabled": false,
	"browser.safebrowsing.downloads.remote.enabled": false,
	"network.http.speculative-parallel-limit": 0,
	"dom.min_background_timeout_value": 4,
};

/*
 * A sound card that nobody hears. Firefox has no clock for sound without one: it then runs no
 * AudioContext, and its fake microphone is one per cent slow. Returns what a program's environment has
 * to have to use it.
 */
async function startSoundCard(t) {
	const home = await tempDir(t);
	const socket = join(home, "native");
	const card = start(t, "pulseaudio", [
		"-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--disable-shm=yes",
		"-L", `module-native-protocol-unix socket=${socket} auth-anonymous=1`,
		"-L", "module-null-sink rate=48000",
	], { env: { ...process.env, HOME: home, XDG_RUNTIME_DIR: home } });
	await waitFor("the sound card", async () => {
		if (card.child.exitCode !== null) throw new Error(card.log());
		await access(socket);
		return true;
	});
	return { PULSE_SERVER: `unix:${socket}` };
}

/* Starts "chromium" or "firefox"; `args` and `prefs` are added to what is needed anyway. */
export async function launch(t, name, { args = [], prefs = {} } = {}) {
	const userDataDir = await tempDir(t);
	const common = { headless: true, userDataDir, protocolTimeout: 120000, timeout: 60000 };
	const browser = name === "firefox"
		? await puppeteer.launch({
			...common, browser: "firefox", executablePath: "/usr/bin/firefox-esr",
			env: { ...process.env, ...await startSoundCard(t) },
			extraPrefsFirefox: { ...FIREFOX_PREFS, ...prefs },
		})
		: await puppeteer.launch({
			...common, browser: "chrome", executablePath: "/usr/bin/chromium", args: [...CHROMIUM_ARGS, ...args],
		});
	t.after(() => browser.close());
	return browser;
}

/*
 * A new page at `url`. Its errors are collected in `page.problems`. `prepare` (a function) runs in it
 * before its own scripts, with `argument`. In a context of its own, unless `shared`.
 */
export async function openPage(browser, url, { prepare, argument, shared = false, viewport } = {}) {
	const context = shared ? browser.defaultBrowserContext() : await browser.createBrowserContext();
	// Firefox does not draw in a tab behind another, and then a click waits for ever.
	const page = await context.newPage({ type: "window" });
	page.setDefaultTimeout(30000 * PATIENCE);
	page.problems = [];
	page.on("pageerror", (error) => {
		// Firefox counts a WebSocket that finds nobody as an error of the page.
		if (!/establish a connection|was interrupted/.test(error)) page.problems.push(String(error));
	});
	await page.setViewport(viewport ?? { width: 1280, height: 900 }).catch((error) => {
		// Firefox 140 has no screen that could be turned, which is asked for besides the size.
		if (!String(error).includes("setScreenOrientationOverride): unknown command")) throw error;
	});
	if (prepare) await page.evaluateOnNewDocument(prepare, argument);
	await page.goto(url);
	return page;
}

/* Joins a room through the door. */
export async function joinRoom(page, name, room) {
	await page.evaluate((who, where) => {
		document.getElementById("name").value = who;
		document.getElementById("room").value = where;
		document.getElementById("join-form").requestSubmit();
	}, name, room);
	await waitFor("the room's connection", () => page.$eval("#link-state", (node) => node.dataset.state === "on"));
}

export const text = (page, selector) => page.$eval(selector, (node) => node.textContent);

export async function sha256(file) {
	return createHash("sha256").update(await readFile(file)).digest("hex");
}

/* What ffprobe says of a file: {format, streams}. */
export async function probe(file) {
	const { stdout } = await run("ffprobe",
		["-v", "error", "-of", "json", "-show_format", "-show_streams", file]);
	return JSON.parse(stdout);
}

/* What a decoder complains about; "" for a sound file. */
export async function decodeErrors(file) {
	const { stderr } = await run("ffmpeg", ["-v", "error", "-xerror", "-i", file, "-fps_mode", "passthrough", "-f", "null", "-"])
		.catch((error) => error);
	// The null "file" wants rising integers for times, which real pictures at one moment are not.
	return stderr.split("\n").filter((line) => line && !/^\[null @|^ +Last message repeated/.test(line)).join("\n");
}

/* tests/support/av-measure.py on a file: {duration, audio, video, flashes, beeps, offsets ...}. */
export async function measure(file) {
	const { stdout } = await run("/usr/bin/python3", [join(ROOT, "tests/support/av-measure.py"), file],
		{ maxBuffer: 1 << 24 });
	return JSON.parse(stdout);
}

/* Names below a folder with this ending, also in folders in it. */
export async function find(dir, ending) {
	const names = await readdir(dir, { recursive: true });
	return names.filter((name) => name.endsWith(ending)).sort();
}
