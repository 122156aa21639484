/*
 * People in a call of the page, each in a browser of their own kind: what they have for a camera and a
 * screen, how they get into the call, and what the tiles of the others show.
 */
import { joinRoom, openPage, waitFor } from "./support.mjs";

/*
 * Firefox shares no screen without a person who picks it: a canvas does as well. And a camera whose
 * layers two cores can encode for everybody at once.
 */
function fakeDevices() {
	const camera = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
	navigator.mediaDevices.getUserMedia = ({ audio, video }) =>
		camera({ audio, video: video && { width: 640, height: 360, frameRate: 15 } });
	navigator.mediaDevices.getDisplayMedia = async () => {
		const canvas = document.createElement("canvas");
		canvas.width = 640;
		canvas.height = 360;
		const pen = canvas.getContext("2d");
		setInterval(() => {
			pen.fillStyle = `hsl(${performance.now() / 20} 80% 50%)`;
			pen.fillRect(0, 0, 640, 360);
		}, 50);
		return canvas.captureStream(15);
	};
}

/* A page in a room, and not in its call yet. */
export async function enter(browser, system, name, room) {
	const page = await openPage(browser, `${system.url}#${room}`, { prepare: fakeDevices });
	await joinRoom(page, name, room);
	return page;
}

export const calls = async (page) => {
	await page.click("#call-join");
	await waitFor("the call", () => page.$eval("#call-state", (node) => node.dataset.state === "callConnected"), 20);
};

/* A tile of somebody else (by name; `screen`: of their screen) as it is now, or null. */
export function tileOf(page, name, screen = false) {
	return page.evaluate((who, shared) => {
		const tile = [...document.querySelectorAll(".tile:not(.mine)")].find((one) =>
			one.classList.contains("screen") === shared && one.querySelector(".who").textContent.includes(who));
		if (!tile) return null;
		const video = tile.querySelector("video");
		const [sound] = video.srcObject?.getAudioTracks() ?? [];
		return {
			time: video.currentTime, width: video.videoWidth, dark: tile.classList.contains("dark"),
			sound: Boolean(sound && !sound.muted), text: tile.textContent,
		};
	}, name, screen);
}

export const moves = (page, name, screen) => waitFor(`${screen ? "the screen" : "the picture"} of ${name}`, async () => {
	const before = await tileOf(page, name, screen);
	if (!before || before.dark || before.width < 16) return false;
	await new Promise((done) => setTimeout(done, 200));
	return (await tileOf(page, name, screen))?.time > before.time;
}, 20);

export const gone = (page, name, screen) => waitFor(`${name} to be gone`, async () => !(await tileOf(page, name, screen)));
