#!/usr/bin/env bats
# msr-audiod: what clients see. In groups: connection, commands, data, buffers, isolation, timeouts;
# the full cycle; clean-up, recovery, shutdown; the processes among themselves; load; real sound. The
# full loads are in tests/long/audiod.bats.
# takes 125 s

bats_require_minimum_version 1.5.0
load ../support/common

setup_file() {
	make -s -C "$BATS_TEST_DIRNAME/../.." build/tests/bench/audiod_load >/dev/null
}

setup() {
	read -r PORT HEALTH < <(free_ports 2)
	URL=ws://127.0.0.1:$PORT/ws
	export URL
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	stop_all
	rm -f "/dev/shm/msr-test$PORT" "/dev/shm/msr-test$PORT".*
}

serve() {
	start audiod msr-audiod -p "$PORT" --health-port "$HEALTH" -w 2 -e events "$@"
	AUDIOD=$PID
	wait_for 10 is_healthy "$HEALTH"
}

client() {
	$PYTHON "$SUPPORT/audiod.py" "$URL" "$@"
}

# packets CLIENTS SIZE SECONDS flood|paced WINDOW|RATE: packets, each compared; fails when one is lost.
packets() {
	"$BATS_TEST_DIRNAME/../../build/tests/bench/audiod_load" "$PORT" "$AUDIOD" "$@"
}

metric() {
	curl -sf "http://127.0.0.1:$HEALTH/metrics" | awk -v name="$1" '$1 == name { print $2 }'
}

nobody_left() {
	[ "$(metric msr_audiod_sessions)" = 0 ] && [ "$(metric msr_audiod_receivers)" = 0 ]
}

# Shared memory of the running server.
segments() {
	find /dev/shm ${MSR_RING_DIR:+"$MSR_RING_DIR"} -name "msr-audiod-$AUDIOD-*" | wc -l
}

no_segments() {
	[ "$(segments)" -eq 0 ]
}

# Programs that the workers run.
programs() {
	local worker
	for worker in $(pgrep -P "$AUDIOD"); do
		pgrep -P "$worker"
	done | wc -l
}

programs_are() {
	[ "$(programs)" = "$1" ]
}

# Highest resident memory so far, MiB.
peak_mib() {
	awk '$1 == "VmHWM:" { print int($2 / 1024) }' "/proc/$AUDIOD/status"
}

# Speech between pauses, s16le, mono, 16 kHz.
speech() {
	{
		sox -V1 -n -t raw -r 16000 -b 16 -e signed -c 1 - trim 0 0.5
		espeak-ng --stdout "Real time audio processing needs bounded delays." |
			sox -V1 -t wav - -t raw -r 16000 -b 16 -e signed -c 1 -
		sox -V1 -n -t raw -r 16000 -b 16 -e signed -c 1 - trim 0 0.5
	} >speech.raw
}

# ---- connection ----

@test "connection: health and metrics answer on both ports" {
	serve
	is_healthy "$PORT"
	[ "$(metric msr_audiod_sessions)" = 0 ]
}

@test "connection: pages of foreign origins are refused" {
	serve --allow-origin https://good.example
	client origin http://localhost:3000 in
	client origin https://good.example in
	client origin https://evil.example 403
}

@test "connection: as many clients are let in as the limit of open files allows, beside the workers" {
	ulimit -Sn 100
	ulimit -Hn 300
	serve -w 20
	clients=$(sed -n 's/.* lets \([0-9]*\) clients in.*/\1/p' "$BATS_TEST_TMPDIR/audiod.log")
	echo "$clients clients, $(count_fds "$AUDIOD") descriptors"
	[ "$clients" -gt 0 ]
	[ $((clients + $(count_fds "$AUDIOD"))) -le 300 ]
	# Programs of exec: need descriptors in the workers.
	grep -q '^Max open files  *300  *300 ' "/proc/$(pgrep -P "$AUDIOD" | head -n 1)/limits"
	run msr-audiod -w 100
	[ "$status" -eq 1 ]
	[[ $output == *"too low for 100 workers"* ]]
}

@test "connection: a worker that dies is replaced in a full house of many workers" {
	serve -w 40 --max-connections 64 --session-timeout 60s
	client crowd "$AUDIOD" 64
}

@test "connection: a worker that takes another's place may open as many files" {
	ulimit -Sn 400
	ulimit -Hn 1000
	serve --max-connections 20
	local old
	old=$(pgrep -P "$AUDIOD" | head -n 1)
	kill -9 "$old"
	all_may() {
		local worker n=0
		for worker in $(pgrep -P "$AUDIOD"); do
			[ "$worker" != "$old" ] && grep -q '^Max open files  *1000  *1000 ' "/proc/$worker/limits" && n=$((n + 1))
		done
		[ "$n" -eq 2 ]
	}
	wait_for 5 all_may
}

@test "connection: wss and https with a certificate" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=audiod \
		-addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem 2>/dev/null
	start audiod msr-audiod -p "$PORT" --health-port "$HEALTH" -w 1 --tls-cert cert.pem --tls-key key.pem
	wait_for 10 curl -sf --cacert cert.pem "https://127.0.0.1:$HEALTH/health"
	URL=wss://127.0.0.1:$PORT/ws SSL_CERT_FILE=cert.pem client one 100000
	run ! client one 1
}

@test "connection: health is answered while clients have every connection" {
	serve --max-connections 3
	local fd fds=()
	for _ in 1 2 3; do
		exec {fd}<>"/dev/tcp/127.0.0.1/$PORT"
		fds+=("$fd")
	done
	taken() { [ "$(metric msr_web_connections)" = 4 ]; }
	wait_for 5 taken
	is_healthy "$HEALTH"
	run ! is_healthy "$PORT"
	for fd in "${fds[@]}"; do
		exec {fd}>&-
	done
}

@test "connection: broken frames, floods, half-closed and reset connections disturb nobody" {
	serve
	run "$PYTHON" "$SUPPORT/audiod_hostile.py" "$URL"
	echo "$output"
	[ "$status" -eq 0 ]
	wait_for 10 nobody_left
	echo "peak $(peak_mib) MiB"
	[ "$(peak_mib)" -lt 64 ]
}

# ---- commands ----

@test "commands: each is answered as documented" {
	serve
	client commands
	wait_for 5 nobody_left
	# As msr-events(5) has it.
	jq -se 'map(select(.ev == "connect")) | length == 2 and all(.peer == "127.0.0.1")' events
	jq -se 'def ids(ev): map(select(.ev == ev) | .session) | sort; ids("connect") == ids("disconnect")' events
}

@test "commands: wrong ones get a precise error and the session lives on" {
	serve --allow-exec cat=cat
	client errors
}

# ---- data, buffers ----

@test "data and buffers: messages of every length come back whole and in order" {
	serve
	client lengths
}

@test "buffers: lengths around another size of buffer, and a longer bound" {
	serve --buffer 64 --max-message 2M
	client lengths $((2 << 20))
}

@test "data and buffers: a message that is too large gets an error and the session lives on" {
	serve
	client too_large
	[ "$(peak_mib)" -lt 32 ]
}

# ---- isolation ----

@test "isolation: forty clients at once see only their own bytes" {
	serve
	client isolation
}

@test "isolation: a client that never reads is bounded, others do not notice" {
	serve
	client slow
	echo "peak $(peak_mib) MiB"
	[ "$(peak_mib)" -lt 48 ]
}

@test "isolation: clients that never read are bounded together, others do not notice" {
	serve --max-memory 8M
	client slow_crowd "$HEALTH" 16 $((8 << 20))
	grep -q '"ev":"disconnect".*"reason":"reads too slowly"' events
	echo "peak $(peak_mib) MiB"
	[ "$(peak_mib)" -lt 64 ]
}

@test "buffers: little is read ahead of a worker that is behind" {
	serve --workers 1 --data-timeout 60s
	client behind "$AUDIOD" "$HEALTH"
}

@test "isolation: a client that reads late gets every answer" {
	serve --max-queue 256K
	client late commands
	client late sound
	[ "$(peak_mib)" -lt 32 ]
}

# ---- timeouts ----

@test "timeouts: silent sessions end with 4008, others live on" {
	serve --session-timeout 1s --data-timeout 10s
	client timeout "$AUDIOD"
}

@test "timeouts: a worker that hangs is replaced" {
	serve -w 1 --data-timeout 300ms
	client hang "$AUDIOD"
	[ "$(metric msr_audiod_worker_hangs_total)" = 1 ]
}

# ---- the full cycle ----

@test "full cycle: the smallest Python client, and a page's" {
	serve
	run "$PYTHON" "$BATS_TEST_DIRNAME/../../examples/audio-client.py" "$URL"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *'"status":"receiver_started"'*"1024 bytes"* ]]
	"$BATS_TEST_DIRNAME/../../scripts/browser-deps"
	node "$SUPPORT/audiod_page.mjs" "$URL"
}

@test "full cycle: the client of the original document, word for word, at the ports that it knows" {
	unshare -rn true 2>/dev/null || skip "no user namespaces here"
	start audiod unshare -rn sh -c 'ip link set lo up && exec msr-audiod'
	in_there() { nsenter -t "$PID" -U -n --preserve-credentials "$@"; }
	wait_for 10 in_there curl -sf http://127.0.0.1:8005/health
	run in_there "$PYTHON" "$SUPPORT/audiod_original.py"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *'"status":"receiver_started"'*1024* ]]
}

@test "full cycle: a chain processes, announces its delay and sends events" {
	serve
	client chain
	client events
}

@test "full cycle: a program that the operator allowed filters the sound, and ends with its session" {
	serve --allow-exec pass=cat --allow-exec "pipe=cat | cat" --allow-exec "ends=head -c 800"
	client program pass
	wait_for 5 programs_are 0
	client program pipe
	wait_for 5 programs_are 0
	client program_ends
	wait_for 5 programs_are 0
	run msr-audiod filter --format u8 exec:swap --allow-exec swap="tr ab ba" <<<"aabbab"
	[ "$status" -eq 0 ]
	[ "$output" = bbaaba ]
}

@test "full cycle: a program that was late is on time again, one that always is stays whole" {
	serve --allow-exec 'late=until [ -e gate ]; do sleep 0.02; done; cat' \
		--allow-exec 'collects=dd bs=2400 iflag=fullblock 2>dd.log'
	client program_late
	client program_collects
}

@test "full cycle: the filter says what is wrong, and helps behind its chain, too" {
	run msr-audiod filter denoise --help
	[ "$status" -eq 0 ]
	[[ $output == *CHAIN*"Processors: "*" denoise "*" exec" ]]
	run msr-audiod filter exec:ends --allow-exec ends
	[ "$status" -eq 2 ]
	run msr-audiod filter exec:ends --allow-exec ends=true <<<"sound"
	[ "$status" -eq 1 ]
	[[ $output == *"a program of the chain ended"* ]]
}

@test "full cycle: what came in, or went back, is a recording of msr-record" {
	local side
	speech
	for side in input output; do
		start record msr-record -i "shm:test$PORT" -d "$side" --audio wav --no-pictures -e record.events
		serve -o "shm:test$PORT" --record "$side" --room studio
		client record speech.raw gain=-6
		finished() { [ "$(find "$side" -name '*.json' | wc -l)" = 1 ]; }
		wait_for 120 finished # by ffmpeg, at low priority
		jq -e '.room == "studio" and .missing == 0' "$side"/*.json
		ffmpeg -nostdin -v error -i "$side"/*.wav -f s16le recorded.raw -y
		if [ "$side" = input ]; then cmp speech.raw recorded.raw; else cmp speech.raw.out recorded.raw; fi
		stop_all
	done
	run ! cmp -s speech.raw speech.raw.out
}

@test "full cycle: sessions are recorded as frames" {
	serve -o frames --room studio
	client commands
	stop_all
	msr-frames json -i frames >list
	cat list
	jq -se 'map(select(.kind == "audio")) | length == 1 and .[0].room == "studio" and .[0].codec == "u8" and .[0].bytes == 3' list
}

@test "full cycle: a message longer than a frame may be is recorded, too" {
	serve -o frames --max-message 20M
	client one $((17 << 20))
	stop_all
	msr-frames json -i frames >list
	jq -se '[.[] | select(.kind == "audio") | .bytes] | add == 17825792' list
}

@test "full cycle: a message that was lost is a gap in the recording" {
	local buffer
	for buffer in 1024 64; do # whole messages, and slices
		serve -o "frames.$buffer" --buffer "$buffer" --allow-exec "ends=head -c 800"
		client program_ends # loses two
		stop_all
		msr-frames json -i "frames.$buffer" >list
		cat list
		jq -se '([.[] | select(.kind == "audio")] | length) + 2 == (.[] | select(.kind == "close")).part' list
		jq -se 'map(select(.kind == "audio" and (.flags | index("gap")))) | length == 1' list
		[ "$(grep -c '"ev":"record-gap"' events)" = 2 ]
		rm events
	done
}

# ---- clean-up, recovery, shutdown ----

@test "clean-up: hundreds of connections leave no descriptor behind" {
	serve
	client cycles 20
	before=$(count_fds "$AUDIOD")
	client cycles 400
	wait_for 5 nobody_left
	[ "$(count_fds "$AUDIOD")" -le "$before" ]
}

@test "clean-up: what a killed server leaves is removed by the next, wherever rings are" {
	mkdir rings
	for MSR_RING_DIR in "" "$PWD/rings"; do
		export MSR_RING_DIR
		serve
		kill -9 "$AUDIOD"
		wait_gone "$AUDIOD"
		[ "$(segments)" -gt 0 ]
		rm "/dev/shm/msr-audiod-$AUDIOD-0" # as if it was killed while it removed them
		local old=$AUDIOD
		serve
		AUDIOD=$old no_segments
		kill "$AUDIOD"
		wait_gone "$AUDIOD"
	done
}

@test "clean-up: servers that cannot see each other's processes leave each other's memory alone" {
	# As in two containers with one /dev/shm, where both are process 1.
	local port health one two
	read -r port health < <(free_ports 2)
	start one unshare -rpf --mount-proc --kill-child msr-audiod -p "$PORT" --health-port "$HEALTH" -w 2 -e events
	one=$PID
	wait_for 10 is_healthy "$HEALTH"
	start two unshare -rpf --mount-proc --kill-child msr-audiod -p "$port" --health-port "$health" -w 2 -e events
	two=$PID
	wait_for 10 is_healthy "$health"
	client replaced "$(pgrep -P "$one")"
	kill "$(pgrep -P "$one")" "$(pgrep -P "$two")"
	wait_gone "$one"
	wait_gone "$two"
	AUDIOD=1 no_segments
}

@test "recovery: workers killed under load: every message is answered and no session ends" {
	serve --session-timeout 60s
	client storm "$AUDIOD" 2
	[ "$(metric msr_audiod_worker_deaths_total)" -ge 10 ]
	grep -q '"ev":"worker-died"' events
}

@test "recovery: a killed worker is replaced within 200 ms" {
	serve
	client replaced "$AUDIOD"
}

@test "shutdown: SIGTERM answers what is under way, closes with 1001 and leaves nothing" {
	serve --data-timeout 10s # for workers that the test stops
	[ "$(segments)" -gt 0 ]
	client stop "$AUDIOD"
	ended_well "$AUDIOD"
	no_segments
}

@test "shutdown: two seconds are enough though workers hang and nobody reads the recording" {
	mkfifo pipe
	serve --data-timeout 60s -o pipe
	client stop_stuck "$AUDIOD"
	ended_well "$AUDIOD"
}

# ---- the processes among themselves (tests/unit/msr-audiod/pool_test.c has workers that lie) ----

@test "processes: sessions in which nothing happens wake nobody" {
	serve --session-timeout 0
	client idle "$AUDIOD" 200 3
}

# ---- load ----

@test "load: one receiver too many is refused until a place is free" {
	serve --max-sessions 3 --max-connections 20
	client full 3
}

@test "load: a flood of 100 clients loses and confuses nothing" {
	serve
	packets 100 1024 2 flood 16
}

@test "load: 1,000 sessions at 50 packets a second lose nothing" {
	serve --session-timeout 60s
	packets 1000 1024 2 paced 50
}

@test "load: a stream of packets longer than the buffer" {
	serve
	packets 10 5000 1 flood 8
}

# ---- real sound ----

@test "real sound: a live stream at its real pace comes back gapless" {
	serve
	client stream 2
}

@test "real sound: speech through the server is what the filter makes of it" {
	serve
	speech
	client same_as_filter speech.raw highpass,denoise,agc,vad,limiter,meter
}

@test "real sound: denoise raises the signal-to-noise ratio by 6 dB, also while somebody speaks" {
	run "$PYTHON" "$SUPPORT/audio-measure.py" denoise
	echo "$output"
	jq -e '.gain >= 6 and .speech > -3' <<<"$output"
	jq -e '.spoken["0"] >= 6 and .spoken["5"] >= 6 and .spoken["10"] >= 5' <<<"$output"
}

@test "real sound: vad judges 95 % of the frames rightly" {
	run "$PYTHON" "$SUPPORT/audio-measure.py" vad
	echo "$output"
	jq -e '.right >= 0.95' <<<"$output"
}
