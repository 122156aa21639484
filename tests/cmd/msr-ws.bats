#!/usr/bin/env bats
# msr-ws: media in all forms, order, acknowledgements, sessions, limits, broken input, HTTP.
# takes 110 s

load ../support/common

# What takes 20 s of waiting is tested beside all the others, on a server of its own; its case is the last.
setup_file() {
	load ../support/common
	local port
	port=$(free_port)
	msr-ws -p "$port" -o "$BATS_FILE_TMPDIR/frames" -e /dev/null >/dev/null 2>&1 3>&- &
	export SLOW_WS=$!
	wait_for 10 is_healthy "$port"
	{
		status=0
		"$PYTHON" "$SUPPORT/ws.py" "ws://127.0.0.1:$port" "$BATS_FILE_TMPDIR/frames" slow || status=$?
		echo $status >"$BATS_FILE_TMPDIR/slow.status"
	} >"$BATS_FILE_TMPDIR/slow.log" 2>&1 3>&- &
	export SLOW=$!
}

teardown_file() {
	kill "$SLOW_WS" "$SLOW" 2>/dev/null || true
}

setup() {
	PORT=$(free_port)
	URL=ws://127.0.0.1:$PORT
	HTTP=http://127.0.0.1:$PORT
	OUT=$BATS_TEST_TMPDIR/frames
	EVENTS=$BATS_TEST_TMPDIR/events
	mkdir "$BATS_TEST_TMPDIR/page"
	echo '<p>the page' >"$BATS_TEST_TMPDIR/page/index.html"
}

teardown() {
	stop_all
	rm -f "/dev/shm/msr-bats-$$".*  "/dev/shm/msr-bats-$$"
}

serve_to() {
	local sink=$1
	shift
	start ws msr-ws -p "$PORT" -o "$sink" -e "$EVENTS" --page "$BATS_TEST_TMPDIR/page" "$@"
	WS=$PID
	wait_for 10 is_healthy "$PORT"
}

serve() {
	serve_to "$OUT" "$@"
}

client() {
	$PYTHON "$SUPPORT/ws.py" "$URL" "$OUT" "$@"
}

# A scenario against a server with the given options: scenario NAME [ARG ...] -- [OPTION ...]
scenario() {
	local args=()
	while [ "$1" != -- ]; do args+=("$1"); shift; done
	shift
	serve "$@"
	client "${args[@]}"
}

metric() {
	curl -s "$HTTP/metrics" | awk -v m="$1" '$1 == m { print $2 }'
}

event() {
	jq -e -s "map(select(.ev == \"$1\")) | $2" "$EVENTS"
}

@test "base64, byte arrays, records and bare chunks become frames" { scenario formats --; }

@test "chunks are known by their own mark" { scenario sniffed --; }

@test "parts in any order and repeated are written once and in order" {
	scenario shuffled --
	[ "$(metric msr_ws_parts_repeated_total)" -gt 20 ]
}

@test "a part that never comes is given up after two seconds" {
	scenario missing --
	[ "$(metric msr_ws_parts_lost_total)" -eq 996 ]
}

@test "a part that was given up is not acknowledged when it comes after all" {
	command -v msr-record >/dev/null || skip "msr-record is not built"
	scenario given_up refused --
	kill "$WS"
	ended_well "$WS"
	ring=bats-$$
	serve_to "shm:$ring" --ring-size 1M
	start record msr-record -d "$BATS_TEST_TMPDIR/storage" -i "shm:$ring" -e "$EVENTS"
	client given_up large
}

@test "numbering may begin with 1" { scenario from_one --; }

@test "bodies of 16 MiB pass, larger ones are refused" { scenario large --; }

@test "faults get precise errors and disturb nobody" {
	scenario errors --
	event frame-error '.[0].error == "bad_json" and .[0].session == "s1"'
	event frame-error 'length < 3' # at most one a second
	[ "$(metric msr_ws_errors_total)" -ge 12 ]
}

@test "text goes to the others in the room" { scenario room --; }

@test "a live session is refused or taken over" {
	scenario taken --
	event connect '.[1].resumed == true and .[0].resumed == false'
	event disconnect '.[0].code == 4001'
}

@test "a session resumes within its window and ends after it" {
	scenario resumed -- --resume-window 1s
	event session-end '.[0] | .reason == "away" and .audio == 3 and .repeated == 1 and .lost == 0'
}

@test "end flushes, closes and frees the id" {
	scenario ended --
	event session-end '.[0] | .reason == "end" and .audio == 2 and .lost == 1'
}

@test "acks over a file say that they are not safe" { scenario acks no --; }

@test "acks over a ring mean that msr-record has it" {
	command -v msr-record >/dev/null || skip "msr-record is not built"
	ring=bats-$$
	start record msr-record -d "$BATS_TEST_TMPDIR/storage" -i "shm:$ring" -e "$EVENTS"
	serve_to "shm:$ring" --ring-size 1M
	client acks yes
	kill "$WS"
	ended_well "$WS"
}

@test "without a reader of the ring nothing is acknowledged" {
	serve_to "shm:bats-$$" --ring-size 1M
	start acks "$PYTHON" "$SUPPORT/ws.py" "$URL" "$OUT" acks yes
	wait_for 10 all_in_the_ring
	kill -0 "$PID"
	[ "$(metric msr_ws_acks_total)" -eq 0 ]
	# Nor does what is sent again for want of that pile up.
	start again "$PYTHON" "$SUPPORT/ws.py" "$URL" "$OUT" again
	wait_for 10 all_came_again
	msr-frames dump -i "shm:bats-$$" --count 51 kind=audio >"$BATS_TEST_TMPDIR/dump"
	ended_well "$PID"
}

@test "a recording is open until its client knows that it is safe" {
	ring=shm:bats-$$
	serve_to "$ring" --ring-size 1M
	start told "$PYTHON" "$SUPPORT/ws.py" "$URL" "$OUT" told
	told=$PID
	# It has said "end", was lost, and came again. Killed now, what it sends again continues the recording.
	wait_for 20 all_known_again
	[ "$(msr-frames dump --keep -i "$ring" | grep -c ' close ')" -eq 0 ]
	event session-end 'length == 0'
	start reader msr-frames dump -i "$ring"
	ended_well "$told"
	wait_for 5 grep -q " close " "$BATS_TEST_TMPDIR/reader.log"
	event session-end '.[0] | .reason == "end" and .audio == 50'
}

all_in_the_ring() {
	[ "$(metric 'msr_ws_frames_total{kind="audio"}')" -eq 50 ]
}
all_known_again() {
	[ "$(metric msr_ws_parts_repeated_total)" -eq 50 ]
}
all_came_again() {
	[ "$(metric msr_ws_parts_repeated_total)" -eq 1000 ]
}

@test "ids and queries are checked first" {
	scenario ids --
	[ "$(curl -s -o /dev/null -w '%{http_code}' --path-as-is "$HTTP/../../etc/passwd")" -ge 400 ]
}

@test "foreign origins are refused" {
	scenario origins "$HTTP" https://friend.example -- --allow-origin https://friend.example
}

@test "sessions in all and in a room are bounded" { scenario crowd -- --max-sessions 4 --max-room 3; }

@test "connections from one address are bounded" {
	serve --max-per-address 3
	wait_for 5 crowded_out
	exec 7>&- 8>&- 9>&-
	wait_for 5 is_healthy "$PORT"
	[ "$(metric 'msr_web_refused_total{limit="address"}')" -ge 1 ]
}
# Three connections leave no room for a fourth. One of the three is refused when the server has not yet noticed
# that an earlier one closed; so they are made anew for each look.
crowded_out() {
	exec 7>&- 8>&- 9>&-
	nap
	exec 7<>"/dev/tcp/127.0.0.1/$PORT" 8<>"/dev/tcp/127.0.0.1/$PORT" 9<>"/dev/tcp/127.0.0.1/$PORT"
	! is_healthy "$PORT"
}

@test "too many messages are read more slowly, not lost" {
	scenario throttled -- --max-rate 100
	[ "$(metric msr_ws_throttled_total)" -ge 1 ]
}

@test "a full sink pauses the senders and loses nothing" {
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	serve_to "$BATS_TEST_TMPDIR/fifo"
	client full "$BATS_TEST_TMPDIR/fifo"
	[ "$(metric msr_ws_sink_full_total)" -ge 1 ]
}

@test "received data is bounded in memory" {
	scenario memory -- --max-memory 4M
	[ "$(metric msr_web_held_pauses_total)" -ge 1 ]
	[ "$(metric msr_web_held_bytes)" -eq 0 ]
	rss=$(awk '/VmHWM/ { print $2 }' "/proc/$WS/status")
	echo "$rss KiB"
	[ "$rss" -lt 40000 ]
}

@test "broken framing ends only its own connection" { scenario framing --; }

@test "health, metrics, page and configuration" {
	mkdir "$BATS_TEST_TMPDIR/storage"
	serve --storage "$BATS_TEST_TMPDIR/storage" --sfu-url https://a.example/sfu/
	[ "$(curl -s "$HTTP/health")" = OK ]
	curl -s "$HTTP/metrics" | grep -q '^msr_ws_sessions 0$'
	[ "$(curl -s "$HTTP/")" = '<p>the page' ]
	curl -s "$HTTP/config.json" | jq -e '.sfu == "https://a.example/sfu/" and .resume_window == 10 and .recordings'
	[ "$(curl -s -o /dev/null -w '%{http_code}' "$HTTP/room/s1")" = 426 ]
	[ "$(curl -s -X POST -d x "$HTTP/health" | jq -r .error)" = method_not_allowed ]
	[ "$(curl -s "$HTTP/nothing" | jq -r .error)" = not_found ]
}

policy_of() {
	curl -sI "$HTTP$1" | tr -d '\r' | sed -n 's/^Content-Security-Policy: //p'
}

@test "the page may load and reach what it needs and nothing else, files of the storage nothing" {
	mkdir "$BATS_TEST_TMPDIR/storage"
	echo '<script>alert(1)</script>' >"$BATS_TEST_TMPDIR/storage/x.html"
	serve --storage "$BATS_TEST_TMPDIR/storage" --sfu-url 'https://a.example:5000/x?y;script-src *' \
		--audiod-url ws://0.0.0.0:8004
	policy=$(policy_of /)
	[[ $policy == "default-src 'none'; script-src 'self'; "* ]]
	[[ $policy == *"; connect-src 'self' https://a.example:5000 ws://*:8004 http://*:8004" ]]
	[[ $(policy_of /recordings/x.html) == "default-src 'none'; "*"; sandbox" ]]
	stop_all
	serve --sfu-url /sfu/ --audiod-url 'wss://[2001:db8::1]:8004/'
	[[ $(policy_of /) == *"; connect-src 'self' wss: https:" ]]
}

@test "recordings are listed and served with ranges" {
	storage=$BATS_TEST_TMPDIR/storage
	mkdir -p "$storage/st" "$BATS_TEST_TMPDIR/secret"
	head -c 100000 /dev/urandom >"$storage/st/s1.webm"
	echo '{"session":"s1","room":"r","file":"s1.webm","duration":1.5,"poster":"s1.poster.jpg"}' >"$storage/st/s1.json"
	echo '{"not":"ours"}' >"$storage/x.json"
	echo 'broken' >"$storage/y.json"
	echo '{"file":"../../secret/key"}' >"$storage/z.json"
	mkdir "$storage/chat"
	echo '{"session":"s1","room":"r","file":"s1.webm"}' >"$storage/chat/0123456789abcdef-s1.json" # sent by somebody
	# Names as long as they can be, which are not ours either.
	long=$(printf '%0128d' 1)
	mkdir -p "$storage/$long/$long"
	printf '{}' >"$storage/$long/$long/$long$(printf '%0122d' 1).json"
	echo key >"$BATS_TEST_TMPDIR/secret/key"
	echo part >"$storage/.s2.audio.part"
	ln -s "$BATS_TEST_TMPDIR/secret" "$storage/link"
	ln -s "$BATS_TEST_TMPDIR/secret/key" "$storage/key.webm"
	serve --storage "$storage"
	curl -s "$HTTP/recordings" >"$BATS_TEST_TMPDIR/list"
	jq -e '.recordings | map(select(.path)) | length == 1 and
		.[0] == {session: "s1", room: "r", duration: 1.5, path: "st/s1.webm", poster: "st/s1.poster.jpg"}' \
		"$BATS_TEST_TMPDIR/list"
	etag=$(curl -sI "$HTTP/recordings" | tr -d '\r' | awk 'tolower($1) == "etag:" { print $2 }')
	[ "$(curl -s -o /dev/null -w '%{http_code}' -H "If-None-Match: $etag" "$HTTP/recordings")" = 304 ]
	curl -s "$HTTP/recordings/st/s1.webm" | cmp - "$storage/st/s1.webm"
	curl -s -r 5000-5999 "$HTTP/recordings/st/s1.webm" | cmp - <(tail -c +5001 "$storage/st/s1.webm" | head -c 1000)
	curl -s -r -10 "$HTTP/recordings/st/s1.webm" | cmp - <(tail -c 10 "$storage/st/s1.webm")
	curl -sI -r 0-9 "$HTTP/recordings/st/s1.webm" | grep -q '^Content-Range: bytes 0-9/100000'
	[ "$(curl -s -o /dev/null -w '%{http_code}' -r 100000- "$HTTP/recordings/st/s1.webm")" = 416 ]
	for path in .s2.audio.part link/key key.webm '../secret/key' '%2e%2e/secret/key' 'st/..%2f..%2fsecret/key' 'st//../../secret/key'; do
		run curl -s -f --path-as-is "$HTTP/recordings/$path"
		echo "$path: $status $output"
		[ "$status" -ne 0 ]
	done
	# A room may have that name, but who asks for a file is not told to open a WebSocket.
	[ "$(curl -s -o /dev/null -w '%{http_code}' "$HTTP/recordings/gone.mp3")" = 404 ]
	# New ones show up.
	cp "$storage/st/s1.json" "$storage/s1.json"
	cp "$storage/st/s1.webm" "$storage/s1.webm"
	wait_for 5 two_recordings
}
two_recordings() {
	curl -s "$HTTP/recordings" | jq -e '.recordings | map(select(.path)) | length == 2'
}

@test "requests that are no HTTP" {
	serve
	head -c 4096 /dev/urandom | timeout 20 nc -N 127.0.0.1 "$PORT" >/dev/null || true
	printf 'GET / HTTP/1.1\r\nX: %09000d\r\n\r\n' 0 | timeout 20 nc -N 127.0.0.1 "$PORT" >/dev/null || true
	printf 'POST /health HTTP/1.1\r\nContent-Length: -5\r\n\r\n' | timeout 20 nc -N 127.0.0.1 "$PORT" >/dev/null || true
	printf 'POST /health HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n' | timeout 20 nc -N 127.0.0.1 "$PORT" >/dev/null || true
	is_healthy "$PORT"
}

@test "TLS" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
		-keyout "$BATS_TEST_TMPDIR/key" -out "$BATS_TEST_TMPDIR/cert" 2>/dev/null
	start ws msr-ws -p "$PORT" -o "$OUT" -e "$EVENTS" --tls-cert "$BATS_TEST_TMPDIR/cert" --tls-key "$BATS_TEST_TMPDIR/key"
	wait_for 10 curl -skf "https://127.0.0.1:$PORT/health"
	URL=wss://127.0.0.1:$PORT client formats
	URL=wss://127.0.0.1:$PORT client acks no
}

@test "SIGTERM ends the sessions and exits with 0" {
	serve
	client stay /room/s1 1001 >"$BATS_TEST_TMPDIR/said" &
	stayer=$!
	wait_for 10 grep -q connected "$BATS_TEST_TMPDIR/said"
	wait_for 10 test -s "$OUT"
	kill "$WS"
	ended_well "$WS"
	wait "$stayer"
	event session-end '.[0].reason == "shutdown"'
	grep -q '{"reason":"shutdown"}' "$OUT"
}

@test "ends with an error when the reader of its pipe is gone" {
	{ msr-ws -p "$PORT" -o - -e "$EVENTS" 2>"$BATS_TEST_TMPDIR/log" || echo $? >"$BATS_TEST_TMPDIR/status"; } |
		head -c 1 >/dev/null &
	wait_for 10 is_healthy "$PORT"
	for _ in 1 2 3 4; do client sniffed 2>/dev/null || true; done
	wait_for 10 test -s "$BATS_TEST_TMPDIR/status"
	[ "$(cat "$BATS_TEST_TMPDIR/status")" = 1 ]
	grep -q 'reader of the pipe is gone' "$BATS_TEST_TMPDIR/log"
}

@test "a start that fails says why" {
	says_why_not msr-ws -p 0 -o "$OUT.2"
}

@test "refuses to start where it cannot" {
	serve
	run msr-ws -p "$PORT" -o "$OUT.2"
	[ "$status" -eq 1 ]
	[[ $output == *"cannot listen on 127.0.0.1 port $PORT: Address already in use"* ]]
	run msr-ws -p 0 -o "$OUT.2" --storage /no/such/folder
	[ "$status" -eq 1 ]
	run msr-ws --tls-cert x
	[ "$status" -eq 2 ]
	run msr-ws -p 99999
	[ "$status" -eq 2 ]
	run msr-ws --help
	[ "$status" -eq 0 ]
	[[ $output == *--max-memory* ]]
}

@test "slow heads, dead peers and stalled messages are given up" {
	wait_for 60 test -s "$BATS_FILE_TMPDIR/slow.status"
	cat "$BATS_FILE_TMPDIR/slow.log"
	[ "$(cat "$BATS_FILE_TMPDIR/slow.status")" = 0 ]
}
