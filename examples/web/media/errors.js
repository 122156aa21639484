/*
 * What went wrong with a device, as a sentence that says what to do.
 */
import { t } from "../base/i18n.js";

/* `source` is "microphone", "camera" (with microphone), "picture" (the camera alone) or "screen". */
export function explainDevice(error, source) {
	switch (error.name) {
	case "InsecureContext":
		return t("insecure");
	case "NoRecorder":
		return t("noRecorder");
	case "NoScreen":
		return t("noScreen");
	case "NotAllowedError":
	case "SecurityError":
		return t(`denied_${source}`);
	case "NotFoundError":
	case "OverconstrainedError":
		return t(`missing_${source}`);
	case "NotReadableError":
	case "AbortError":
		return t("busy");
	default:
		return t("otherError", { message: error.message || error.name });
	}
}

/* An error of ours with a name for the table above. */
export function named(name, message = name) {
	const error = new Error(message);
	error.name = name;
	return error;
}
