/*
 * Opens microphone, camera and screen, and lists the devices.
 */
import { named } from "./errors.js";

/* Throws where the browser gives no devices at all. */
export function needDevices() {
	if (!isSecureContext || !navigator.mediaDevices) throw named("InsecureContext");
}

const SOUND = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const PICTURE = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };

const pick = (id, wishes) => (id ? { ...wishes, deviceId: { exact: id } } : wishes);

/*
 * The stream of a source. `source`: "microphone", "camera" (with microphone) or "screen" (its own
 * sound and the microphone mixed, or what there is of both). `devices`: {microphone, camera} ids.
 */
export async function openSource(source, devices = {}) {
	needDevices();
	const audio = pick(devices.microphone, SOUND);
	if (source === "microphone") return navigator.mediaDevices.getUserMedia({ audio });
	if (source === "camera")
		return navigator.mediaDevices.getUserMedia({ audio, video: pick(devices.camera, PICTURE) });
	return openScreenWithVoice(audio);
}

/* The camera alone. */
export async function openCamera({ camera } = {}) {
	needDevices();
	return navigator.mediaDevices.getUserMedia({ video: pick(camera, PICTURE) });
}

/* A microphone as it is, for a chain that is to do the cleaning itself. */
export async function openRawMicrophone(device) {
	needDevices();
	return navigator.mediaDevices.getUserMedia({
		audio: pick(device, { echoCancellation: false, noiseSuppression: false, autoGainControl: false }),
	});
}

/* Browsers of phones cannot. */
export function canShareScreen() {
	return Boolean(navigator.mediaDevices?.getDisplayMedia);
}

/* The screen; with `audio` the browser offers its sound, too, where it can. */
export async function openScreen({ audio = false } = {}) {
	needDevices();
	if (!canShareScreen()) throw named("NoScreen");
	return navigator.mediaDevices.getDisplayMedia({ video: { frameRate: { ideal: 30 } }, audio });
}

async function openScreenWithVoice(audio) {
	const screen = await openScreen({ audio: true });
	// A screen without a voice is still worth recording.
	const voice = await navigator.mediaDevices.getUserMedia({ audio }).catch(() => null);
	const sounds = [screen, voice].filter((stream) => stream?.getAudioTracks().length);
	const tracks = screen.getVideoTracks();
	if (sounds.length === 1) tracks.push(...sounds[0].getAudioTracks());
	if (sounds.length === 2) tracks.push(mix(sounds, tracks[0]));
	return new MediaStream(tracks);
}

/* One track with the sound of all streams, until `lifetime` ends. */
function mix(streams, lifetime) {
	const context = new AudioContext();
	const out = context.createMediaStreamDestination();
	for (const stream of streams) context.createMediaStreamSource(stream).connect(out);
	const [track] = out.stream.getAudioTracks();
	const stopMixed = track.stop.bind(track);
	track.stop = () => {
		stopMixed();
		context.close();
		for (const stream of streams) stopStream(stream);
	};
	lifetime.addEventListener("ended", () => track.stop());
	return track;
}

export function stopStream(stream) {
	for (const track of stream?.getTracks() ?? []) track.stop();
}

/* Microphones and cameras: [{id, label}] each. Without permission browsers name none. */
export async function listDevices() {
	const all = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
	const of = (kind) => all
		.filter((device) => device.kind === kind && device.deviceId && device.deviceId !== "default")
		.map((device) => ({ id: device.deviceId, label: device.label }));
	return { microphones: of("audioinput"), cameras: of("videoinput") };
}
