#!/usr/bin/env bats
# msr-audiod: protocol, isolation, limits, and workers that die.

load ../support/common

setup() {
	PORT=$(free_port)
	HEALTH=$(free_port)
	URL=ws://127.0.0.1:$PORT/ws
	export URL
}

teardown() {
	stop_all
}

serve() {
	start audiod msr-audiod -p "$PORT" --health-port "$HEALTH" -w 2 -e "$BATS_TEST_TMPDIR/events" "$@"
	AUDIOD=$PID
	wait_for 10 is_healthy "$HEALTH"
}

client() {
	$PYTHON "$SUPPORT/audiod.py" "$URL" "$@"
}

# Shared memory of the running server.
segments() {
	find /dev/shm -name "msr-audiod-$AUDIOD-*" | wc -l
}

no_segments() {
	[ "$(segments)" -eq 0 ]
}

@test "the original document's client works" {
	serve
	run "$PYTHON" "$BATS_TEST_DIRNAME/../../examples/audio-client.py" "$URL"
	echo "$output"
	[ "$status" -eq 0 ]
	[[ $output == *'"status":"receiver_started"'*"1024 bytes"* ]]
}

@test "health and metrics answer on both ports" {
	serve
	is_healthy "$PORT"
	curl -sf "http://127.0.0.1:$HEALTH/metrics" | grep -q '^msr_audiod_sessions 0$'
}

@test "commands are answered as documented" {
	serve
	client commands
}

@test "wrong commands and sound get a precise error and the session lives on" {
	serve --allow-exec cat=cat
	client errors
}

@test "messages of every length come back whole and in order" {
	serve
	client lengths
}

@test "forty clients at once see only their own bytes" {
	serve
	client isolation
}

@test "a chain processes, announces its delay and sends events" {
	serve
	client chain
	client events
}

@test "a program that the operator allowed filters the sound" {
	serve --allow-exec swap="tr ab ba"
	run msr-audiod filter --format u8 exec:swap --allow-exec swap="tr ab ba" <<<"aabbab"
	[ "$status" -eq 0 ]
	[ "$output" = bbaaba ]
}

@test "silent sessions end with 4008, others live on" {
	serve --session-timeout 1s
	client timeout
}

@test "one receiver too many is refused until a place is free" {
	serve --max-sessions 3 --max-connections 20
	client full 3
}

@test "pages of foreign origins are refused" {
	serve --allow-origin https://good.example
	client origin http://localhost:3000 in
	client origin https://good.example in
	client origin https://evil.example 403
}

@test "workers killed under load: every message is answered and no session ends" {
	serve
	client storm "$AUDIOD" 2
	curl -sf "http://127.0.0.1:$HEALTH/metrics" | grep -qE '^msr_audiod_worker_deaths_total [1-9]'
	grep -q '"ev":"worker-died"' "$BATS_TEST_TMPDIR/events"
}

@test "a worker that hangs is replaced" {
	serve --data-timeout 300ms
	client hang "$AUDIOD"
}

@test "a client that never reads is bounded, others do not notice" {
	serve
	client slow
}

@test "SIGTERM answers what is under way, closes with 1001 and leaves nothing" {
	serve
	[ "$(segments)" -gt 0 ]
	client stop "$AUDIOD"
	ended_well "$AUDIOD"
	no_segments
}

@test "what a killed server leaves is removed by the next" {
	serve
	kill -9 "$AUDIOD"
	wait_gone "$AUDIOD"
	[ "$(segments)" -gt 0 ]
	local old=$AUDIOD
	serve
	AUDIOD=$old no_segments
}

@test "hundreds of connections leave no descriptor behind" {
	serve
	client cycles 20
	before=$(count_fds "$AUDIOD")
	client cycles 400
	wait_for 5 test "$(count_fds "$AUDIOD")" -le "$before"
}

@test "a live stream at its real pace comes back gapless" {
	serve
	client stream 2
}

@test "denoise raises the signal-to-noise ratio by 6 dB and leaves the speech" {
	run "$PYTHON" "$SUPPORT/audio-measure.py" denoise
	echo "$output"
	jq -e '.gain >= 6 and .speech > -3' <<<"$output"
}

@test "vad judges 95 % of the frames rightly" {
	run "$PYTHON" "$SUPPORT/audio-measure.py" vad
	echo "$output"
	jq -e '.right >= 0.95' <<<"$output"
}

@test "sessions are recorded as frames" {
	serve -o "$BATS_TEST_TMPDIR/frames" --room studio
	client commands
	stop_all
	msr-frames json -i "$BATS_TEST_TMPDIR/frames" >"$BATS_TEST_TMPDIR/list"
	cat "$BATS_TEST_TMPDIR/list"
	jq -se 'map(select(.kind == "audio")) | length == 1 and .[0].room == "studio" and .[0].codec == "u8" and .[0].bytes == 3' \
		"$BATS_TEST_TMPDIR/list"
}
