#!/usr/bin/env bats
# The examples that publish and play through WHIP and WHEP, against msr-sfu.

load ../support/common

setup() {
	EXAMPLES=$BATS_TEST_DIRNAME/../../examples
	cd "$BATS_TEST_TMPDIR" || return
	PORT=$(free_port)
	URL=http://127.0.0.1:$PORT
	RTC_MIN_PORT=$((10000 + PORT % 9000))
	RTC_MAX_PORT=$((RTC_MIN_PORT + 100))
	export RTC_MIN_PORT RTC_MAX_PORT
	start sfu msr-sfu -p "$PORT"
	wait_for 10 is_healthy "$PORT"
}

teardown() {
	stop_all
}

nobody_in() {
	[ "$(curl -s "$URL/rooms/$1" | jq -c .users)" = "[]" ]
}

@test "a published file arrives as a file: its picture and its sound" {
	ffmpeg -nostdin -v error -f lavfi -i color=red:size=320x240:rate=15:duration=6 \
		-f lavfi -i sine=frequency=700:duration=6 -c:v libvpx -threads 1 -deadline realtime -c:a libopus in.webm
	start play "$EXAMPLES/whep-play" "$URL/whep/room/ann" -o out.webm
	play=$PID
	wait_for 15 grep -q "nobody publishes yet" play.log
	"$EXAMPLES/whip-publish" "$URL/whip/room/ann" in.webm
	ended_well "$play"
	nobody_in room
	# The picture is red, the sound is at 700 Hz.
	ffmpeg -nostdin -v error -i out.webm -frames:v 1 -vf scale=1:1,format=rgb24 -f rawvideo - |
		od -An -tu1 | awk '{ print; exit !($1 > 180 && $2 < 60 && $3 < 60) }'
	# It is not paused on the way, where nothing is lost.
	ends() { ffprobe -v error -select_streams "$1" -show_entries packet=pts_time -of csv=p=0 out.webm |
		awk -F, '$1 > end { end = $1 } END { print end }'; }
	echo "picture to $(ends v) s, sound to $(ends a) s"
	awk "BEGIN { exit !($(ends v) > $(ends a) - 0.8) }"
	ffmpeg -nostdin -v error -i out.webm -ac 1 -ar 48000 -f s16le sound.pcm
	$PYTHON -c "
import numpy as np
x = np.fromfile('sound.pcm', np.int16).astype(float)
assert len(x) > 2 * 48000, f'{len(x) / 48000:.1f} s of sound'
hz = np.fft.rfftfreq(len(x), 1 / 48000)[np.abs(np.fft.rfft(x)).argmax()]
assert abs(hz - 700) < 10, hz"
}

@test "without a file: test picture and tone, a report a second; a signal ends both sessions" {
	start publish setsid "$EXAMPLES/whip-publish" "$URL/whip/room/ann"
	publish=$PID
	wait_for 15 grep -q "publishing audio and video" publish.log
	start play setsid "$EXAMPLES/whep-play" "$URL/whep/room"
	play=$PID
	wait_for 15 grep -qE "audio [0-9]+ packets, 0 lost, [0-9]+ frames; video [0-9]+ packets, 0 lost, [1-9]" play.log
	kill -TERM "$play"
	ended_well "$play"
	grep -qE "^audio: [0-9]+ frames, video: [1-9][0-9]* frames" play.log
	kill -TERM "$publish"
	ended_well "$publish"
	wait_for 5 nobody_in room
}

@test "whep-play gives raw sound to a pipe, overwrites nothing, and ends when nobody reads" {
	ffmpeg -nostdin -v error -f lavfi -i sine=frequency=700:duration=60 -c:a libopus in.ogg
	start publish "$EXAMPLES/whip-publish" "$URL/whip/room/ann" in.ogg
	wait_for 15 grep -q "publishing audio" publish.log
	"$EXAMPLES/whep-play" "$URL/whep/room/ann" --only audio -o - --format s16le --seconds 2 >sound.pcm 2>play.log
	$PYTHON -c "
import numpy as np
x = np.fromfile('sound.pcm', np.int16)[::2].astype(float)
assert len(x) > 48000, f'{len(x) / 48000:.1f} s of sound'
hz = np.fft.rfftfreq(len(x), 1 / 48000)[np.abs(np.fft.rfft(x)).argmax()]
assert abs(hz - 700) < 10, hz"
	echo mine >there.webm
	run "$EXAMPLES/whep-play" "$URL/whep/room/ann" -o there.webm
	[ "$status" -eq 1 ]
	[[ $output == *"there.webm: exists already"* ]]
	[ "$(cat there.webm)" = mine ]
	run timeout 30 bash -o pipefail -c '"$@" | head -c 1000 >head.pcm' bash "$EXAMPLES/whep-play" "$URL/whep/room/ann" \
		--only audio -o - --format s16le
	[ "$status" -eq 1 ]
	[[ $output == *"Broken pipe"* ]]
	[[ $output != *Traceback* ]]
}

@test "mistakes are told in a line" {
	run "$EXAMPLES/whip-publish" "$URL/whip/room/ann" there-is-none.webm
	[ "$status" -eq 1 ]
	[ "$output" = "whip-publish: there-is-none.webm: No such file or directory" ]
	run "$EXAMPLES/whip-publish" "$URL/nothing"
	[ "$status" -eq 1 ]
	[[ $output == *"status 404"* ]]
	run "$EXAMPLES/whep-play" "http://127.0.0.1:1/whep/room"
	[ "$status" -eq 1 ]
	[[ $output == *": Connection refused; is the server running there?"* ]]
	[[ $output != *Traceback* ]]
	run "$PYTHON" -S "$EXAMPLES/whep-play" "http://127.0.0.1:1/whep/room" # without Debian's packages for Python
	[ "$status" -eq 1 ]
	[ "$output" = "whep-play: python3-aiortc is missing; install it" ]
	# No address, and a server of something else.
	run "$PYTHON" -c "
import socket, sys, threading
sys.dont_write_bytecode = True
sys.path.insert(0, '$EXAMPLES')
import webrtc_http
server = socket.create_server(('127.0.0.1', 0))
def answer():
    client = server.accept()[0]
    client.recv(4096)
    client.sendall(b'SSH-2.0-x\r\n')
    client.close()
threading.Thread(target=answer, daemon=True).start()
for url in 'localhost/whip/room/ann', f'http://127.0.0.1:{server.getsockname()[1]}/':
    try:
        webrtc_http.request('POST', url, None, 'v=0')
    except webrtc_http.Problem as e:
        print(e)"
	[ "$status" -eq 0 ]
	[ "$(grep -c 'is that an address of WHIP or WHEP?$' <<<"$output")" = 2 ]
}
