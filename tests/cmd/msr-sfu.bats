#!/usr/bin/env bats
# msr-sfu: the interface as documented, with an independent WebRTC client (aiortc).
# takes 100 s
# shellcheck disable=SC2030,SC2031 # each test has its own variables

bats_require_minimum_version 1.5.0
load ../support/common

# The replacement of an offer takes ten seconds; it happens beside the other tests, and the last one looks.
setup_file() {
	local port
	port=$(free_port)
	PATH=$BATS_TEST_DIRNAME/../../${MSR_BUILD:-build}/bin:$PATH RTC_MIN_PORT=9500 RTC_MAX_PORT=9999 \
		msr-sfu -p "$port" -e "$BATS_FILE_TMPDIR/events" 2>"$BATS_FILE_TMPDIR/log" 3>&- &
	export ASIDE=$!
	{
		wait_for 20 is_healthy "$port"
		if URL=http://127.0.0.1:$port api superseded; then echo well; fi
		: >"$BATS_FILE_TMPDIR/superseded.done"
	} >"$BATS_FILE_TMPDIR/superseded" 2>&1 3>&- &
}

teardown_file() {
	kill "$ASIDE"
}

setup() {
	PORT=$(free_port)
	URL=http://127.0.0.1:$PORT
	# Media ports below the ephemeral range, so that nobody else takes them.
	RTC_MIN_PORT=$((10000 + PORT % 9000))
	RTC_MAX_PORT=$((RTC_MIN_PORT + 500))
	export RTC_MIN_PORT RTC_MAX_PORT
}

teardown() {
	stop_all
}

serve() {
	start sfu env PORT="$PORT" msr-sfu -e "$BATS_TEST_TMPDIR/events" "$@"
	SFU=$PID
	wait_for 10 is_healthy "$PORT"
}

client() {
	timeout -k 5 120 "$PYTHON" "$SUPPORT/sfu.py" "$URL" "$@"
}

# What needs no media, and so none of what Python takes a second to load.
api() {
	timeout -k 5 120 "$PYTHON" "$SUPPORT/sfu_api.py" "$URL" "$@"
}

fds_at_most() {
	[ "$(count_fds "$SFU")" -le "$1" ]
}

@test "the original document's calls: two people hear and see each other" {
	serve
	client original
	grep -q '"ev":"connected".*"session":"ann"' "$BATS_TEST_TMPDIR/events"
}

@test "a call goes through a pipe into the recorder, a filter and a live listener" {
	listen=$BATS_TEST_DIRNAME/../../examples/listen-live
	cd "$BATS_TEST_TMPDIR"
	mkdir storage
	# shellcheck disable=SC2016 # expands in the inner shell
	start calls env PORT="$PORT" bash -c 'set -o pipefail
		bash -c '\''echo $$ >sfu.pid; exec msr-sfu -e events --record -o -'\'' |
			"$1" lobby ann -- sh -c "cat >heard" |
			tee >(msr-frames filter kind=rtp session=bob >bob.frames; : >filtered) |
			msr-record -d storage --no-pictures -i -' - "$listen"
	wait_for 10 is_healthy "$PORT"
	client original lobby
	wait_for 10 test -e storage/bob.json # before its room ends the server
	kill "$(cat sfu.pid)"
	ended_well "$PID"
	wait_for 5 test -e filtered
	for name in ann bob; do
		jq -e '.room == "lobby" and .duration > 0.5 and (.codecs | sort) == ["opus", "vp8"]' "storage/$name.json"
		[ -s "storage/$name.webm" ]
	done
	msr-frames json <bob.frames | jq -se 'length > 50 and all(.kind == "rtp" and .session == "bob") and
		([.[].codec] | unique) == ["opus", "vp8"]'
	# Her tone of 440 Hz, for at least half a second.
	"$PYTHON" - <<-'EOF_'
		import numpy as np
		x = np.fromfile("heard", np.int16).astype(float)
		spectrum = np.abs(np.fft.rfft(x))
		hz = np.fft.rfftfreq(len(x), 1 / 48000)[spectrum.argmax()]
		assert len(x) > 24000 and abs(hz - 440) < 20, (len(x), hz)
	EOF_
}

has_media_threads() {
	[ "$(cat "/proc/$SFU/task/"*/comm | grep -cx msr-media)" -eq "$1" ]
}

@test "there is a media thread a core, or as many as asked for" {
	serve
	wait_for 5 has_media_threads "$(getconf _NPROCESSORS_ONLN)"
	stop_all
	serve --threads 5
	wait_for 5 has_media_threads 5
}

counts_dropped() {
	curl -s "$URL/metrics" | grep -q '^msr_sfu_record_dropped_total [1-9]'
}

@test "a full ring delays no call, and a gap of a recording is an event" {
	export MSR_RING_DIR=$BATS_TEST_TMPDIR
	for _ in 1 2; do # nobody reads it
		head -c 30000 /dev/zero | tr '\0' x |
			msr-frames make --kind text --room r --session s --ring-size 64K -o shm:small
	done
	serve --record -o shm:small
	curl -s "$URL/rooms" | jq -e .recording # people are told before there is a room
	client original
	wait_for 5 grep -q '"ev":"room-end"' "$BATS_TEST_TMPDIR/events"
	cat "$BATS_TEST_TMPDIR/events"
	jq -se 'map(select(.ev == "record-gap")) |
		length > 0 and all(.room and .session and .track and .left_out > 0)' "$BATS_TEST_TMPDIR/events"
	wait_for 5 counts_dropped # the media threads tell their counts now and then
}

@test "a late joiner gets everything with the first offer and a picture soon" {
	serve
	client late
}

@test "an unanswered offer is not replaced, and changes fold into the next" {
	serve
	client stale
}

@test "an id in use is refused, or taken over when asked" {
	serve
	client replace
}

@test "server-sent events carry offers, tracks, comings and goings" {
	serve
	client events
}

@test "a user says what it wants to receive, also of those who publish later" {
	serve
	client subscription
}

@test "H.264 passes, also to a late joiner" {
	serve
	client h264
}

@test "WHIP publishes and WHEP plays, with trickle and DELETE" {
	serve
	client whip
}

@test "a WHEP player goes on with a publisher that comes back" {
	serve
	client whip_again
}

@test "a mid may be long, or missing" {
	serve
	api mids
}

@test "what a receiver refuses later is not sent any more" {
	serve
	api refuse
}

@test "WHIP takes the place of who is not connected, with an offer that is of use" {
	serve
	api whip_replace
}

@test "WHIP and WHEP restart ICE with a fragment of their section" {
	serve --rtc-address 127.0.0.1
	api whip_restart
}

@test "candidates that are trickled to WHIP are tried" {
	serve --rtc-address 127.0.0.1
	api trickle
}

@test "to a client with ICE lite the server is the one that chooses" {
	serve --rtc-address 127.0.0.1
	api lite
}

@test "a receiving connection restarts ICE when its user asks for it" {
	serve --rtc-address 127.0.0.1
	client restart
}

@test "a room that WHIP made ends when it is empty" {
	serve --user-timeout 1s
	api whip_room
}

@test "a room may be asked for until it is empty" {
	serve --user-timeout 1s
	api until_empty
}

@test "what an offer over the limit has changed is offered to others" {
	serve
	api too_many
}

@test "an offer that fails at its first section leaves the tracks of the others whole" {
	serve
	api reordered
}

@test "parameters of a codec as long as a line stop nobody" {
	serve
	api long_parameters
}

@test "another PeerConnection under the same user is refused" {
	serve
	api another
}

@test "tracks that found no section are offered once there is one" {
	serve
	api full
}

@test "a camera that becomes a screen within one offer is another track" {
	serve
	api switch
}

@test "every mistake has its code" {
	serve
	api errors
}

@test "an answer may take nothing, and who publishes may stop everything" {
	serve --rtc-address 127.0.0.1
	api taken_not_at_all
	api stopped
}

@test "WHIP and WHEP refuse an offer that would come to nothing" {
	serve
	api useless
}

@test "every error code stands in the manual" {
	cd "$BATS_TEST_DIRNAME/../.."
	sed -nE 's/^.*X\([A-Z_]+, "([a-z_]+)", ([0-9]+),.*/\1 \2/p' cmd/msr-sfu/room/fail.h | sort >"$BATS_TEST_TMPDIR/codes"
	grep -q '^limit 503$' "$BATS_TEST_TMPDIR/codes"
	sed -nE 's/^\.It ([a-z_]+) Ta ([0-9]+) Ta .*/\1 \2/p' man/msr-sfu.8 | sort >"$BATS_TEST_TMPDIR/manual"
	[ -z "$(comm -23 "$BATS_TEST_TMPDIR/codes" "$BATS_TEST_TMPDIR/manual")" ]
}

@test "users that never connect are removed" {
	serve --user-timeout 1s
	api vanish
}

@test "any call that names a user restarts its clock, also one that is refused" {
	serve --user-timeout 2s
	api touched
}

@test "a full port range is 503 and recovers" {
	RTC_MAX_PORT=$((RTC_MIN_PORT + 2)) serve --rtc-address 127.0.0.1
	api ports 3
}

@test "without its address for media joining is 503, until that comes back" {
	unshare -rn true 2>/dev/null || skip "no user namespaces here"
	start sfu unshare -rn sh -c "ip link set lo up && ip addr add 10.9.8.1/32 dev lo && exec msr-sfu -p $PORT --rtc-address 10.9.8.1"
	in_there() { nsenter -t "$PID" -U -n --preserve-credentials "$@"; }
	join() { in_there curl -sf -X POST "$URL/rooms/r/users/$1" >/dev/null; }
	wait_for 10 in_there curl -sf "$URL/health"
	in_there curl -sf --json '{"room_id": "r"}' "$URL/rooms"
	join ann
	in_there ip addr del 10.9.8.1/32 dev lo
	run in_there curl -s -X POST "$URL/rooms/r/users/bob"
	[ "$output" = '{"error":"no_ports","message":"no local address for media is there now"}' ]
	in_there ip addr add 10.9.8.1/32 dev lo
	wait_for 5 join bob
}

@test "joining and leaving leaks no descriptor and no port" {
	serve
	client cycles 20 2
	wait_for 10 fds_at_most "$(($(count_fds "$SFU") + 4))"
	before=$(count_fds "$SFU")
	client cycles 200 2
	wait_for 20 fds_at_most "$((before + 4))"
	wait_for 5 bash -c "curl -s $URL/metrics | grep -q '^msr_sfu_ports_used 0$'"
}

@test "pages of allowed origins get CORS headers, also on errors and preflight" {
	serve --allow-origin https://good.example
	curl -si -H 'Origin: https://good.example' "$URL/rooms/none" | grep -qi '^access-control-allow-origin: https://good.example'
	curl -si -H 'Origin: https://good.example' "$URL/rooms" | grep -qi '^access-control-expose-headers: .*Location, ETag'
	curl -si -X OPTIONS -H 'Origin: https://good.example' -H 'Access-Control-Request-Method: PATCH' "$URL/sessions/x" |
		grep -qi '^access-control-allow-methods:.*PATCH'
	curl -sfi -H 'Origin: https://evil.example' "$URL/rooms" >"$BATS_TEST_TMPDIR/reply"
	run -1 grep -i '^access-control-allow-\(origin\|credentials\)' "$BATS_TEST_TMPDIR/reply"
	# With the password of a proxy's user only where the origin was named, as preflights say too.
	credentials() { grep -i '^access-control-allow-credentials: true' >/dev/null; }
	curl -si -H 'Origin: https://good.example' "$URL/rooms" | credentials
	curl -si -X OPTIONS -H 'Origin: https://good.example' -H 'Access-Control-Request-Method: POST' "$URL/rooms" | credentials
	curl -si "$URL/rooms" -d '{"room_id":"r"}' -H 'Origin: https://good.example' | credentials
	kill "$SFU"
	wait_gone "$SFU"
	serve --allow-origin '*'
	curl -si -H 'Origin: https://any.example' "$URL/rooms" >"$BATS_TEST_TMPDIR/reply"
	grep -qi '^access-control-allow-origin: https://any.example' "$BATS_TEST_TMPDIR/reply"
	run -1 credentials <"$BATS_TEST_TMPDIR/reply"
}

# post HEADER ...: makes a room; the status and the body.
post() {
	local options=()
	for header; do options+=(-H "$header"); done
	curl -s -w '%{http_code}' -X POST "${options[@]}" "$URL/rooms" -d '{}'
}

@test "pages of other origins change nothing; the page behind a proxy and who is no page may" {
	serve --allow-origin https://good.example
	[[ $(post 'Origin: https://evil.example') == *'"forbidden_origin"'*403 ]]
	[[ $(post 'Origin: null' 'Sec-Fetch-Site: cross-site') == *403 ]]
	[ "$(curl -s -o /dev/null -w '%{http_code}' -X DELETE -H 'Origin: http://localhost' "$URL/rooms/r")" = 403 ]
	[ "$(curl -s "$URL/rooms" | jq -c .rooms)" = '[]' ]
	[[ $(post) == *201 ]]
	[[ $(post 'Origin: https://good.example') == *201 ]]
	[[ $(post 'Origin: https://rec.example.org' 'Host: rec.example.org') == *201 ]]
	[[ $(post 'Origin: https://rec.example.org' 'Sec-Fetch-Site: same-origin') == *201 ]]
	[ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Origin: https://evil.example' "$URL/rooms")" = 200 ]
}

@test "https, with a certificate that the client checks" {
	cd "$BATS_TEST_TMPDIR"
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost \
		-addext subjectAltName=IP:127.0.0.1 -keyout key -out cert 2>/dev/null
	start sfu msr-sfu -p "$PORT" -e events --tls-cert cert --tls-key key
	SFU=$PID
	wait_for 10 curl -sf --cacert cert "https://127.0.0.1:$PORT/health"
	[ "$(curl -s --cacert cert "https://127.0.0.1:$PORT/rooms" -d '{"room_id":"r"}')" = '{"room_id":"r"}' ]
	run is_healthy "$PORT"
	[ "$status" -ne 0 ]
	grep -q "listening on https://127.0.0.1:$PORT" sfu.log
	kill "$SFU"
	ended_well "$SFU"
	run msr-sfu -p "$PORT" --tls-cert cert
	[ "$status" -eq 2 ]
	run msr-sfu -p "$PORT" --tls-cert key --tls-key cert
	[ "$status" -eq 1 ]
	[[ $output == *"cannot use certificate 'key' with key 'cert'"* ]]
}

@test "beyond loopback without TLS says so in the log" {
	serve -a 0.0.0.0
	grep -q "listens on 0.0.0.0 without TLS" "$BATS_TEST_TMPDIR/sfu.log"
	stop_all
	serve
	run grep "without TLS" "$BATS_TEST_TMPDIR/sfu.log"
	[ "$status" -eq 1 ]
}

# announced IP: how often the offer of a new user has the address as a candidate, over UDP and over TCP.
announced() {
	curl -s -X POST "$URL/rooms" -d '{"room_id":"r"}' >"$BATS_TEST_TMPDIR/room"
	curl -sf -X POST "$URL/rooms/r/users/ann" -d '{"replace":true}' | jq -r .offer >"$BATS_TEST_TMPDIR/offer"
	for transport in udp tcp; do
		grep -ciE "^a=candidate:[^ ]+ 1 $transport [0-9]+ ${1//./\\.} [0-9]+ typ host" "$BATS_TEST_TMPDIR/offer" || true
	done | xargs
}

@test "the public address is announced beside the host candidates, ADDRESS is where the interface listens" {
	PUBLIC_IP=192.0.2.7 ADDRESS=127.0.0.2 start sfu env PORT="$PORT" msr-sfu -e "$BATS_TEST_TMPDIR/events" --rtc-address 127.0.0.1
	URL=http://127.0.0.2:$PORT
	wait_for 10 curl -sf "$URL/health"
	run curl -s "http://127.0.0.1:$PORT/health"
	[ "$status" -eq 7 ]
	[ "$(announced 192.0.2.7)" = "1 1" ]
	[ "$(announced 127.0.0.1)" = "1 1" ]
	# It leads to the same ports, and each candidate has a foundation and a priority of its own.
	sed -n 's/\r$//; s/^a=candidate://p' "$BATS_TEST_TMPDIR/offer" >"$BATS_TEST_TMPDIR/candidates"
	[ "$(awk '{ print tolower($3), $6 }' "$BATS_TEST_TMPDIR/candidates" | sort | uniq -c | awk '{ print $1 }' | xargs)" = "2 2" ]
	[ "$(cut -d' ' -f1 "$BATS_TEST_TMPDIR/candidates" | sort -u | wc -l)" = 4 ]
	[ "$(cut -d' ' -f4 "$BATS_TEST_TMPDIR/candidates" | sort -u | wc -l)" = 4 ]
}

@test "--public-ip wins over the environment; one of another family than the local addresses changes nothing" {
	PUBLIC_IP=192.0.2.7 serve --public-ip 198.51.100.9 --rtc-address 127.0.0.1
	[ "$(announced 198.51.100.9)" = "1 1" ]
	[ "$(announced 192.0.2.7)" = "0 0" ]
	stop_all
	PUBLIC_IP=2001:db8::7 serve --rtc-address 127.0.0.1
	[ "$(announced 2001:db8::7)" = "0 0" ]
	[ "$(announced 127.0.0.1)" = "1 1" ]
	run -2 msr-sfu -p 0 --public-ip example.org
	[[ $output == *"--public-ip"*"example.org"* ]]
}

@test "the description of the interface is served and is the one in examples" {
	serve
	description=$BATS_TEST_DIRNAME/../../examples/msr-sfu.openapi.json
	curl -sf "$URL/openapi.json" | diff - "$description"
	[ "$(msr-sfu -V)" = "msr-sfu $(jq -r .info.version "$description")" ]
	diff <(jq -r '.components.schemas.Error.properties.error.enum[]' "$description") \
		<(sed -En 's/^\.It ([a-z_]+) Ta [0-9]+ Ta.*/\1/p' "$BATS_TEST_DIRNAME/../../man/msr-sfu.8" | LC_ALL=C sort -u)
	jq -e '[.paths[][] | objects] | all(.operationId) and (map(.operationId) | unique | length) == length' "$description"
}

@test "where it cannot start it says why, and exits with 1" {
	for n in 4 5 6; do
		run bash -c "exec 3>&-; ulimit -n $n; exec msr-sfu -p 0"
		[ "$status" -eq 1 ]
		[[ $output == *"Too many open files"* ]]
	done
}

@test "addresses and origins that would never be of use are refused at the start" {
	for wrong in example.org 192.0.2.1,192.0.2.2 "192.0.2.1 "; do
		PUBLIC_IP=$wrong run -2 msr-sfu -p 0
		[[ $output == *PUBLIC_IP*"IP address"*"$wrong"* ]]
	done
	run -2 msr-sfu -p 0 --rtc-address localhost
	run -1 msr-sfu -p 0 --rtc-address 203.0.113.9 # of no interface here
	[[ $output == *"--rtc-address"* ]]
	for program in "msr-sfu -p 0" "msr-ws -p 0 -o -" "msr-audiod -p 0 --health-port 0"; do
		for wrong in example.org https://example.org/ https:// https://example.org/page; do
			# shellcheck disable=SC2086 # words
			run -2 $program --allow-origin "$wrong"
			[[ $output == *"--allow-origin"*"$wrong"* ]]
		done
	done
	start sfu msr-sfu -p "$PORT" --allow-origin app://phone --allow-origin null -a ::1
	wait_for 10 grep -q 'listening on http://\[::1\]:' "$BATS_TEST_TMPDIR/sfu.log"
}

@test "SIGTERM ends rooms and exits with 0 at once" {
	serve
	curl -sf -X POST "$URL/rooms" -d '{"room_id":"r"}'
	curl -sf -X POST "$URL/rooms/r/users/ann" >"$BATS_TEST_TMPDIR/ann"
	kill "$SFU"
	ended_well "$SFU"
	grep -q '"ev":"room-end".*"reason":"shutdown"' "$BATS_TEST_TMPDIR/events"
}

@test "an offer that stays unanswered is replaced after ten seconds, and its answer is refused" {
	wait_for 40 test -e "$BATS_FILE_TMPDIR/superseded.done"
	cat "$BATS_FILE_TMPDIR/superseded"
	grep -qx well "$BATS_FILE_TMPDIR/superseded"
}
