/* The names in SDP of the RTP header extensions that msr knows (a=extmap, RFC 8285 section 5). */
#ifndef MSR_RTP_EXT_URI_H
#define MSR_RTP_EXT_URI_H

#define RTP_URI_MID	      "urn:ietf:params:rtp-hdrext:sdes:mid"	      /* RFC 9143 */
#define RTP_URI_RID	      "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id" /* RFC 8852 */
#define RTP_URI_RRID	      "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"
#define RTP_URI_AUDIO_LEVEL   "urn:ietf:params:rtp-hdrext:ssrc-audio-level" /* RFC 6464 */
#define RTP_URI_TOFFSET	      "urn:ietf:params:rtp-hdrext:toffset"	    /* RFC 5450 */
#define RTP_URI_ORIENTATION   "urn:3gpp:video-orientation"		    /* 3GPP TS 26.114 */
#define RTP_URI_ABS_SEND_TIME "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"
#define RTP_URI_PLAYOUT_DELAY "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay"
#define RTP_URI_TWCC	      "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
#define RTP_URI_DEPENDENCY                                                               \
	"https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-" \
	"extension"

#endif
