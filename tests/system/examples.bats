#!/usr/bin/env bats
# Every example in examples/ does what it says.

bats_require_minimum_version 1.5.0
load ../support/common

setup() {
	EXAMPLES=$BATS_TEST_DIRNAME/../../examples
	cd "$BATS_TEST_TMPDIR" || return
	port=$(free_port)
}

teardown() {
	stop_all
}

# sound SECONDS: raw samples that are all different from their neighbours, s16le, mono, 48 kHz.
sound() {
	$PYTHON -c "
import array, sys
array.array('h', (i * 7919 % 60000 - 30000 for i in range(int(48000 * $1)))).tofile(sys.stdout.buffer)"
}

there() {
	[ -e "$1" ]
}

@test "pipeline.sh and stream-pcm: every sample arrives, and a task is made" {
	MSR_WS_PORT=$port MSR_AUDIO=wav start pipeline setsid "$EXAMPLES/pipeline.sh" .
	wait_for 10 is_healthy "$port"
	sound 3 >in.pcm
	"$EXAMPLES/stream-pcm" "ws://127.0.0.1:$port/room/talk" <in.pcm
	wait_for 20 there storage/talk.json
	ffmpeg -nostdin -v error -i storage/talk.wav -f s16le out.pcm
	cmp in.pcm out.pcm
	wait_for 3 there tasks/talk.task
	kill -TERM -- "-$PID" # all at once, as Ctrl-C
	ended_well "$PID"
}

@test "pipeline.sh: a recording that its end finishes has a task too" {
	MSR_WS_PORT=$port MSR_AUDIO=wav start pipeline setsid "$EXAMPLES/pipeline.sh" .
	wait_for 10 is_healthy "$port"
	local pipeline=$PID
	mkfifo in
	exec 9<>in
	start client sh -c 'exec "$@" 9>&- <in' sh "$EXAMPLES/stream-pcm" "ws://127.0.0.1:$port/room/talk"
	sound 1 >&9
	wait_for 10 test -s storage/.talk.audio.part
	kill -TERM -- "-$pipeline"
	ended_well "$pipeline"
	there storage/talk.wav
	there tasks/talk.task
	kill "$PID"
	exec 9>&-
}

@test "stream-pcm waits for a server that is not there yet, and gives up in the end" {
	sound 1 >in.pcm
	start client "$EXAMPLES/stream-pcm" "ws://127.0.0.1:$port/room/late" <in.pcm
	wait_for 5 grep -q "connecting again" client.log
	client=$PID
	start ws msr-ws -p "$port" -o out.frames
	wait_for 10 is_healthy "$port"
	ended_well "$client"
	kill "$PID"
	ended_well "$PID"
	run "$EXAMPLES/stream-pcm" --retries 0 "ws://127.0.0.1:$port/room/never" <in.pcm
	[ "$status" -eq 1 ]
	[[ $output == *"chunks are not safe"* ]]
}

# stored BYTES: of sound, so many are in the part file and acknowledged.
stored() {
	[ "$(stat -c %s storage/.talk.audio.part)" -ge "$1" ] && msr-frames stat -j "shm:$ring" | jq -e '.head == .tail' >/dev/null
}

# A client has a session.
connected() {
	curl -sf "http://127.0.0.1:$port/metrics" | grep -q '^msr_ws_sessions 1'
}

@test "stream-pcm goes on where it was when msr-ws is started again while nothing is unsafe" {
	ring=stream-pcm-$$-$BATS_TEST_NUMBER
	# It begins with silence: by that no first chunk is known from another.
	{ head -c 96000 /dev/zero && sound 3; } >in.pcm
	MSR_AUDIO=wav start record msr-record -d storage -i "shm:$ring"
	local record=$PID
	start ws msr-ws -p "$port" -o "shm:$ring"
	wait_for 10 is_healthy "$port"
	local ws=$PID
	mkfifo in
	exec 9<>in
	start client sh -c 'exec 9>&-; exec "$@" <in' sh "$EXAMPLES/stream-pcm" "ws://127.0.0.1:$port/room/talk"
	local client=$PID
	head -c 192000 in.pcm >&9
	wait_for 10 stored 192000
	kill -9 "$ws"
	wait_gone "$ws"
	start ws sh -c 'exec 9>&-; exec "$@"' sh msr-ws -p "$port" -o "shm:$ring"
	ws=$PID
	wait_for 10 connected
	tail -c +192001 in.pcm >&9
	exec 9>&-
	ended_well "$client"
	wait_for 20 there storage/talk.json
	ffmpeg -nostdin -v error -i storage/talk.wav -f s16le out.pcm
	cmp in.pcm out.pcm
	# Nothing was taken as not acknowledged and sent once more.
	[ "$(find storage -name '*~2*' -o -name '.*')" = "" ]
	kill "$ws" "$record"
	wait_gone "$ws"
	wait_gone "$record"
	msr-frames rm "shm:$ring"
}

@test "stream-pcm: the first Ctrl-C lets it finish, and half a sample is none" {
	MSR_WS_PORT=$port MSR_AUDIO=wav start pipeline setsid "$EXAMPLES/pipeline.sh" .
	wait_for 10 is_healthy "$port"
	local pipeline=$PID
	sound 2 >in.pcm
	mkfifo in
	exec 9<>in
	# Not by start: what a shell starts in the background ignores SIGINT, as no terminal has it.
	start client "$PYTHON" -c 'import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.close(9)
os.dup2(os.open("in", os.O_RDONLY), 0)
os.execv(sys.argv[1], sys.argv[1:])' "$EXAMPLES/stream-pcm" "ws://127.0.0.1:$port/room/talk"
	local client=$PID
	head -c 100001 in.pcm >&9
	part() { [ "$(stat -c %s storage/.talk.audio.part)" -ge 96000 ]; }
	wait_for 10 part
	# What others in the room say is nothing to it.
	"$PYTHON" -c "
import asyncio, websockets
async def main():
    async with websockets.connect('ws://127.0.0.1:$port/room/guest') as ws:
        for text in 'hello', '[1]', '7', '[' * 100000:
            await ws.send(text)
asyncio.run(main())"
	kill -INT "$client"
	tail -c +100002 in.pcm >&9
	printf x >&9
	exec 9>&-
	ended_well "$client"
	wait_for 20 there storage/talk.json
	ffmpeg -nostdin -v error -i storage/talk.wav -f s16le out.pcm
	cmp in.pcm out.pcm
	kill -TERM -- "-$pipeline"
	ended_well "$pipeline"
}

@test "stream-pcm says why it was refused, and what makes no sense" {
	start ws msr-ws -p "$port" -o out.frames
	wait_for 10 is_healthy "$port"
	sound 10 >in.pcm
	run "$EXAMPLES/stream-pcm" "ws://127.0.0.1:$port/not+a+name/talk" <in.pcm
	echo "$output"
	[ "$status" -eq 1 ]
	[ "$output" = "stream-pcm: ws://127.0.0.1:$port/not+a+name/talk: refused with status 400; is that ws://HOST:PORT/ROOM/SESSION?" ]
	run "$EXAMPLES/stream-pcm" --chunk 0 "ws://127.0.0.1:$port/room/talk" <in.pcm
	[ "$status" -eq 2 ]
	for url in "http://127.0.0.1:$port/room/talk" ws://127.0.0.1:x/room/talk; do
		run timeout 10 "$EXAMPLES/stream-pcm" "$url" <in.pcm
		[ "$status" -eq 2 ]
		[[ $output != *Traceback* && $output != *again* ]]
	done
	for client in stream-pcm audio-client.py sound-alarm; do # without Debian's packages for Python
		run "$PYTHON" -S "$EXAMPLES/$client" ws://127.0.0.1:1/room/talk
		[ "$status" -eq 1 ]
		[ "$output" = "$client: python3-websockets is missing; install it" ]
	done
	# It gives up also while its input waits.
	mkfifo in
	exec 9<>in
	run sh -c 'exec "$@" 9>&- <in' sh "$EXAMPLES/stream-pcm" --retries 0 ws://127.0.0.1:1/room/talk
	exec 9>&-
	[ "$status" -eq 1 ]
}

@test "transcribe writes a text beside the recording, and fails for what is none" {
	mkdir storage
	ffmpeg -nostdin -v error -f lavfi -i 'sine=440:duration=1,apad=pad_dur=1,volume=0.5' \
		-f lavfi -i 'sine=880:duration=1' -filter_complex '[0][1]concat=n=2:v=0:a=1' storage/s1.flac
	printf '{"room":"r","session":"s1","duration":3.0,"bytes":%d}\n' "$(stat -c %s storage/s1.flac)" >storage/s1.json
	echo noise >storage/s2.mp3
	echo '{}' >storage/s2.json
	ffmpeg -nostdin -v error -f lavfi -i 'color=duration=1:size=64x64' -c:v libvpx storage/s3.webm
	echo '{}' >storage/s3.json
	run msr-taskscan --exec "$EXAMPLES/transcribe" --tries 1
	[ "$status" -eq 1 ]
	there tasks/s1.task.done
	there tasks/s2.task.failed
	there tasks/s3.task.done
	[ "$(cat storage/s3.txt)" = "no sound" ]
	grep -q '^session s1, room r, 3' storage/s1.txt
	grep -q '^max_volume' storage/s1.txt
	[ "$(grep -c 'sound$' storage/s1.txt)" = 2 ]
	grep -qE '^ +0\.00 - +1\.0[0-9]  sound$' storage/s1.txt
}

@test "the crontab lines run" {
	mkdir -p srv/msr/storage srv/msr/log
	echo x >srv/msr/storage/old.mp3
	echo '{}' >srv/msr/storage/old.json
	touch -d '40 days ago' srv/msr/storage/old.*
	sed "s|/usr/local/bin|$(dirname "$(command -v msr-taskscan)")|; s|/srv/msr|$PWD/srv/msr|g
		s|/usr/local/share/msr/examples/transcribe|true|; /^#/d; /^$/d" "$EXAMPLES/crontab" >cron.lines
	[ "$(grep -c '^PATH=' cron.lines)" = 1 ]
	sed 's/^\([0-9*]* \)\{5\}//' cron.lines >commands
	[ "$(wc -l <commands)" = 3 ]
	env -i PATH=/usr/bin:/bin sh -e commands # as cron has it; the file sets its own
	there srv/msr/tasks/old.task.done
	[ ! -e srv/msr/storage/old.mp3 ]
}

@test "the nginx configuration passes requests, upgrades and prefixes through TLS" {
	command -v nginx >/dev/null || skip "nginx is not installed"
	read -r tls plain sfu audiod < <(free_ports 4)
	"$SUPPORT/nginx-config" "$PWD" "$tls" "$plain" "$port" "$sfu" "$audiod"
	mkdir page
	echo page >page/index.html
	start ws msr-ws -p "$port" -o out.frames --page page
	start nginx /usr/sbin/nginx -c "$PWD/nginx.conf" -e "$PWD/error.log"
	through() { [ "$(curl -sfk -u ann:secret "https://127.0.0.1:$tls/health")" = OK ]; }
	wait_for 10 through
	[ "$(curl -sk -o /dev/null -w '%{http_code}' "https://127.0.0.1:$tls/")" = 401 ]
	[ "$(curl -sk -u ann:secret "https://127.0.0.1:$tls/")" = page ]
	for path in /metrics /~sfu/metrics /~audiod/metrics; do
		[ "$(curl -sk -u ann:secret -o /dev/null -w '%{http_code}' "https://127.0.0.1:$tls$path")" = 403 ]
	done
	[ "$(curl -sk -u ann:secret -o /dev/null -w '%{http_code}' "https://127.0.0.1:$tls/~sfu/rooms")" = 502 ]
	[ "$(curl -s -o /dev/null -w '%{redirect_url}' "http://127.0.0.1:$plain/x")" = "https://127.0.0.1/x" ]
	sound 1 | $PYTHON -c "
import asyncio, json, ssl, sys, websockets
async def main():
    context = ssl._create_unverified_context()
    url = 'wss://ann:secret@127.0.0.1:$tls/room/s1?media=audio&codec=s16le&ack=1'
    async with websockets.connect(url, ssl=context, compression=None) as ws:
        await ws.send(sys.stdin.buffer.read())
        assert json.loads(await ws.recv())['j_type'] == 'ack'
        await ws.send('{\"j_type\":\"end\"}')
asyncio.run(main())"
	grep -q '"ev":"session-end","room":"room","session":"s1"' ws.log
	# A session of WHIP is ended where its reply says.
	start sfu msr-sfu -p "$sfu"
	wait_for 10 is_healthy "$sfu"
	session=$(curl -sk -u ann:secret -D - -o /dev/null -H 'Content-Type: application/sdp' "https://127.0.0.1:$tls/~sfu/whip/room/ann" \
		--data-binary "@$BATS_TEST_DIRNAME/../fuzz/sdp/sdp.corpus/chromium-publish.sdp" | tr -d '\r' | sed -n 's/^[Ll]ocation: //p')
	[[ $session == https://127.0.0.1:$tls/~sfu/sessions/* ]]
	[ "$(curl -sk -u ann:secret -o /dev/null -w '%{http_code}' -X DELETE "$session")" = 200 ]
	# With a token, or a name and a password, examples publish; the token opens calls only.
	for auth in "--token 1f5e" "--user ann:secret"; do
		# shellcheck disable=SC2086 # two words
		SSL_CERT_FILE=cert.pem "$EXAMPLES/whip-publish" $auth --seconds 0.1 "https://127.0.0.1:$tls/~sfu/whip/room/bob"
	done
	curl -sf "http://127.0.0.1:$sfu/rooms/room" | jq -e '.users == []'
	SSL_CERT_FILE=cert.pem run "$EXAMPLES/whip-publish" --token 1f5f "https://127.0.0.1:$tls/~sfu/whip/room/bob"
	[ "$status" -eq 1 ]
	[[ $output == *"status 401"* ]]
	[ "$(curl -sk -H 'Authorization: Bearer 1f5e' -o /dev/null -w '%{http_code}' "https://127.0.0.1:$tls/")" = 401 ]
	# Browsers ask without a password whether a page of another origin may; this opens nothing else.
	status() { curl -sk -o /dev/null -w '%{http_code}' -H 'Origin: https://www.example.org' "$@"; }
	[ "$(status -X OPTIONS -H 'Access-Control-Request-Method: POST' "https://127.0.0.1:$tls/~sfu/rooms")" = 204 ]
	for path in / /recordings /~audiod/ws; do
		[ "$(status -X OPTIONS "https://127.0.0.1:$tls$path")" = 401 ]
	done
	for method in GET HEAD POST PATCH DELETE; do
		[ "$(status -X $method -m 10 "https://127.0.0.1:$tls/~sfu/rooms")" = 401 ]
	done
	# From the page's own origin, on a port that is not 443; a room may have the name of a program.
	for room in sfu audiod; do
		[ "$(curl -sk --http1.1 -u ann:secret --max-time 5 -o /dev/null -w '%{http_code}' "https://127.0.0.1:$tls/$room/s2" \
			-H "Origin: https://127.0.0.1:$tls" -H 'Connection: Upgrade' -H 'Upgrade: websocket' \
			-H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==')" = 101 ]
	done
	# The page's sound lab, from the page's origin.
	start audiod msr-audiod -p "$audiod" --health-port "$(free_port)"
	wait_for 10 is_healthy "$audiod"
	$PYTHON -c "
import asyncio, json, ssl, websockets
async def main():
    context = ssl._create_unverified_context()
    async with websockets.connect('wss://ann:secret@rec.example.org/~audiod/ws', host='127.0.0.1', port=$tls, ssl=context,
                                  origin='https://rec.example.org') as ws:
        assert json.loads(await ws.recv())['status'] == 'connected'
asyncio.run(main())"
}

@test "the Docker image: what it is given reaches the system, and nothing else hides msr.conf" {
	mkdir bin
	printf '#!/bin/sh\nenv | grep -E "^(MSR|RTC|PUBLIC)_" | sort\n' >bin/msr-supervise
	chmod +x bin/msr-supervise
	last=$(sed '1,/^FROM debian:12-slim$/d' "$EXAMPLES/docker/Dockerfile")
	read -ra image < <(sed -n 's/^ENV //p' <<<"$last")
	command=$(sed -n 's/^CMD //p' <<<"$last" | jq -r '.[2]')
	settings() { env -i PATH="$PWD/bin:/usr/bin:/bin" "${image[@]}" "$@" sh -c "$command" | xargs; }
	[ "$(settings)" = MSR_ADDRESS=0.0.0.0 ]
	[ "$(settings PORT=5001 RTC_MAX_PORT=10199 PUBLIC_IP=192.0.2.1)" = \
		"MSR_ADDRESS=0.0.0.0 MSR_SFU_PORT=5001 PUBLIC_IP=192.0.2.1 RTC_MAX_PORT=10199" ]
	[ "$(settings ADDRESS=127.0.0.1)" = MSR_ADDRESS=127.0.0.1 ]
	[ "$(settings PORT=5001 MSR_SFU_PORT=5002 MSR_ADDRESS=127.0.0.1)" = "MSR_ADDRESS=127.0.0.1 MSR_SFU_PORT=5002" ]
}

@test "the systemd unit names programs and options that exist" {
	if command -v systemd-analyze >/dev/null; then
		sed "s|/usr/local/bin|$(dirname "$(command -v msr-supervise)")|; s|^User=.*||" "$EXAMPLES/msr.service" >msr.service
		systemd-analyze verify --man=no ./msr.service
	fi
	for line in ExecStart ExecStop; do
		command=$(sed -n "s|^$line=/usr/local/bin/||p" "$EXAMPLES/msr.service")
		[[ $command =~ ^msr-supervise\ (run|stop)\ -d\ /srv/msr$ ]]
	done
}

audiod() {
	start audiod msr-audiod -p "$port" --health-port "$(free_port)" -e events
	wait_for 10 is_healthy "$port"
}

# Raw sound, s16le, mono, 16 kHz, out of sox's effects.
sox_raw() {
	sox -V1 -n -t raw -r 16000 -b 16 -e signed -c 1 - "$@"
}

# say TEXT: the same, spoken.
say() {
	espeak-ng --stdout -s 150 "$1" | sox -V1 -t wav - -t raw -r 16000 -b 16 -e signed -c 1 - silence 1 0.01 1% reverse silence 1 0.01 1% reverse
}

@test "audio-client.py: the smallest client of msr-audiod" {
	audiod
	run "$EXAMPLES/audio-client.py" "ws://127.0.0.1:$port/ws"
	[ "$status" -eq 0 ]
	[[ $output == *"1024 bytes"* ]]
	"$EXAMPLES/audio-client.py" --help | grep -q usage
	run "$EXAMPLES/audio-client.py" ws://127.0.0.1:1/ws
	[ "$status" -eq 1 ]
	[[ $output == "audio-client.py: ws://127.0.0.1:1/ws: "* ]]
}

@test "speech-feed gives each utterance, and nothing else, to a recogniser" {
	audiod
	say "The quick brown fox jumps over the lazy dog." >one.raw
	say "Every packet arrives in time." >two.raw
	{ sox_raw trim 0 2; cat one.raw; sox_raw trim 0 2; cat two.raw; sox_raw trim 0 2; } >talk.raw
	# The recogniser's place is taken by a command that says what it was given.
	# shellcheck disable=SC2016 # for the command
	"$EXAMPLES/speech-feed" --url "ws://127.0.0.1:$port/ws" \
		sh -c 'echo "$UTTERANCE $UTTERANCE_START $UTTERANCE_END $(wc -c)"' <talk.raw >heard
	cat heard
	ls -l one.raw two.raw
	[ "$(wc -l <heard)" = 2 ]
	# Each begins before the speech and ends after it, with at most half a second around it.
	awk -v one="$(stat -c %s one.raw)" -v two="$(stat -c %s two.raw)" '
		{ size[NR] = $4; d = $4 - ($3 - $2) * 32000; if (d * d > 400 * 400) bad = 1; start[NR] = $2 }
		END { exit bad || size[1] < one - 3200 || size[1] > one + 20000 || size[2] < two - 3200 || size[2] > two + 20000 ||
			start[1] < 1.5 || start[1] > 2.1 }' heard
	run "$EXAMPLES/speech-feed" --url "ws://127.0.0.1:$port/ws" false <talk.raw
	[ "$status" -eq 1 ]
	run "$EXAMPLES/speech-feed" --url "ws://127.0.0.1:$port/ws" --chain nothing cat <talk.raw
	[ "$status" -eq 1 ]
	[[ $output == *"no processor 'nothing'"* ]]
}

@test "sound-alarm tells of loud and of unusual sound, once each" {
	audiod
	hiss() { sox_raw synth "$1" whitenoise vol -"$2"dB; }
	tone() { sox_raw synth "$1" sine 1000 vol -"$2"dB; }
	alarms() {
		# shellcheck disable=SC2016 # for the command
		"$EXAMPLES/sound-alarm" --url "ws://127.0.0.1:$port/ws" sh -c 'echo "$ALARM $ALARM_LEVEL $ALARM_AT"'
	}
	{ hiss 4 55; tone 0.5 3; hiss 2 55; } | alarms >loud
	cat loud
	[ "$(wc -l <loud)" = 1 ]
	awk '$1 != "loud" || $2 < -9 || $2 > -4 || $3 < 3.9 || $3 > 4.3 { exit 1 }' loud
	{ hiss 4 55; tone 0.5 25; hiss 2 55; } | alarms >unusual
	cat unusual
	[ "$(wc -l <unusual)" = 1 ]
	awk '$1 != "unusual" || $3 < 3.9 || $3 > 4.3 { exit 1 }' unusual
	{ hiss 6 55; } | alarms >none
	[ ! -s none ]
}

@test "sound-alarm says at once that a command failed, and keeps the sound to itself" {
	audiod
	url=ws://127.0.0.1:$port/ws
	sox_raw synth 0.5 sine 1000 vol -3dB >loud.raw
	run "$EXAMPLES/sound-alarm" --url "$url" no-such-command <loud.raw
	[ "$status" -eq 2 ]
	[[ $output == *"there is no command 'no-such-command'"* ]]
	run "$EXAMPLES/sound-alarm" --url "$url" sh -c 'cat >eaten' <loud.raw
	[ "$status" -eq 0 ]
	[ -e eaten ]
	[ ! -s eaten ]
	mkfifo in
	exec 9<>in
	start alarm sh -c 'exec "$@" 9>&- <in' sh "$EXAMPLES/sound-alarm" --url "$url" sh -c 'exit 3'
	cat loud.raw >&9
	wait_for 10 grep -q 'sound-alarm: sh: ended with status 3' alarm.log
	exec 9>&-
	status=0
	wait "$PID" || status=$?
	[ "$status" -eq 1 ]
}

@test "the clients of msr-audiod: when it goes away, one connects again, the other gives what it has" {
	audiod
	local daemon=$PID url=ws://127.0.0.1:$port/ws
	mkfifo one two
	exec 8<>one 9<>two
	# shellcheck disable=SC2016 # for the command
	start alarm sh -c 'exec "$@" 8>&- 9>&- <one' sh "$EXAMPLES/sound-alarm" --url "$url" sh -c 'echo "$ALARM"'
	start feed sh -c 'exec "$@" 8>&- 9>&- <two' sh "$EXAMPLES/speech-feed" --url "$url" wc -c
	local feed=$PID
	sox_raw synth 0.5 sine 1000 vol -3dB >&8
	wait_for 10 grep -qx loud alarm.log
	{ sox_raw trim 0 1; say "The quick brown fox jumps over the lazy dog."; } >&9
	heard() { [ "$(curl -sf "http://127.0.0.1:$port/metrics" | awk '$1 == "msr_audiod_bytes_total" { print $2 }')" -gt 80000 ]; }
	wait_for 10 heard
	kill -9 "$daemon"
	status=0
	wait "$feed" || status=$?
	[ "$status" -eq 1 ]
	grep -qE '^[1-9][0-9]*$' feed.log
	run ! grep Traceback feed.log
	wait_for 10 grep -q 'connecting again' alarm.log
	audiod
	{ sox_raw trim 0 6; sox_raw synth 0.5 sine 1000 vol -3dB; } >&8
	loud_again() { [ "$(grep -cx loud alarm.log)" = 2 ]; }
	wait_for 10 loud_again
	run ! grep Traceback alarm.log
	exec 8>&- 9>&-
}

@test "speech-feed says at once what is wrong with its command or the server" {
	audiod
	run "$EXAMPLES/speech-feed" --url "ws://127.0.0.1:$port/ws" no-such-command </dev/null
	[ "$status" -eq 2 ]
	[[ $output == *"there is no command 'no-such-command'"* ]]
	# There is something else: a page of metrics, which is no WebSocket.
	run "$EXAMPLES/speech-feed" --url "ws://127.0.0.1:$port/metrics" cat </dev/null
	[ "$status" -eq 1 ]
	[[ $output == "speech-feed: ws://127.0.0.1:$port/metrics: "* ]]
}
