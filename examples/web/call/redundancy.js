/*
 * Sound that survives losses: each packet carries that of the one before it once more (RED, RFC 2198).
 * Browsers that can do it offer it behind Opus; the server does it with who puts it first.
 */
const isRed = ({ mimeType }) => mimeType.toLowerCase() === "audio/red";

export function preferRedundancy(transceiver) {
	const codecs = globalThis.RTCRtpReceiver?.getCapabilities?.("audio")?.codecs ?? [];
	if (!codecs.some(isRed) || !transceiver.setCodecPreferences) return; // Firefox, say
	transceiver.setCodecPreferences([...codecs.filter(isRed), ...codecs.filter((codec) => !isRed(codec))]);
}
