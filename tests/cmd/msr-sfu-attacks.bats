#!/usr/bin/env bats
# Attacks on msr-sfu, each beside a call of others that must not notice. MSR_BUILD names another
# build to attack (tests/long does that with the sanitizers).
# takes 30 s

load ../support/common

setup_file() {
	load ../support/common
	PORT=$(free_port)
	RTC_MIN_PORT=$((10000 + PORT % 9000))
	RTC_MAX_PORT=$((RTC_MIN_PORT + 60))
	URL=http://127.0.0.1:$PORT
	WITNESS=$BATS_FILE_TMPDIR/witness.json
	export PORT RTC_MIN_PORT RTC_MAX_PORT URL WITNESS
	msr-sfu -p "$PORT" -e "$BATS_FILE_TMPDIR/events" >"$BATS_FILE_TMPDIR/sfu.log" 2>&1 3>&- &
	SFU=$!
	wait_for 20 is_healthy "$PORT"
	$PYTHON "$SUPPORT/sfu.py" "$URL" witness "$WITNESS" >"$BATS_FILE_TMPDIR/witness.log" 2>&1 3>&- &
	HEARS=$!
	export SFU HEARS
	wait_for 30 test -f "$WITNESS"
}

teardown_file() {
	kill "$HEARS" "$SFU" || true
	wait_gone "$SFU" 10 # within the time that ends every call, and without a report of a sanitizer
	! grep -E "Sanitizer|runtime error" "$BATS_FILE_TMPDIR/sfu.log"
}

heard() {
	jq .frames "$WITNESS"
}

hears_more_than() {
	[ "$(heard)" -gt "$1" ]
}

# The attack is answered as it should be; the server lives; the witness has heard everything.
survives() {
	local before
	before=$(heard)
	timeout 240 "$PYTHON" "$SUPPORT/attack.py" "$URL" "$@"
	is_healthy "$PORT"
	kill -0 "$SFU"
	wait_for 10 hears_more_than $((before + 25))
	cat "$WITNESS"
	jq -e '.lost <= 0.01 * .frames and .pause < 3 and (.pitch - 440 | fabs) < 40' "$WITNESS"
}

@test "floods of STUN, DTLS, RTP and RTCP from strangers" {
	survives flood
}

@test "media before DTLS" {
	survives early
}

@test "replayed and changed SRTP" {
	survives replay
}

@test "authentic RTP and RTCP that are nonsense" {
	survives packets
}

@test "descriptions of a mebibyte, of ten thousand lines, and broken ones" {
	survives descriptions
}

@test "thousands of rooms, and more users than ports" {
	survives crowd 2000 200
}

@test "half-open HTTP" {
	survives half_open
}
