#!/usr/bin/env bats
# The chat server as a client from the original document sees it, and the client in a pipe.
# takes 70 s

# shellcheck disable=SC2030,SC2031 # each test is a shell of its own

bats_require_minimum_version 1.5.0
load ../support/common

setup() {
	PORT=$(free_port)
	ADDRESS=127.0.0.1:$PORT
	export TMPDIR=$BATS_TEST_TMPDIR
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	stop_all
}

# server OPTION ...: starts it and waits until it listens. Its pid is in SERVER.
server() {
	start server msr-chat server --address="$ADDRESS" "$@"
	SERVER=$PID
	wait_for 10 grep -qs '"ev":"listening"' server.log events.json
}

# original SCENARIO ...: a scenario of the client from the document.
original() {
	timeout 60 "$PYTHON" "$SUPPORT/chat_original.py" "$ADDRESS" "$@"
}

events() {
	grep '^{' server.log | jq -c "select(.ev == \"$1\")"
}

@test "the port may be given alone" {
	start server msr-chat server -p "$PORT"
	wait_for 10 grep -qs "\"port\":$PORT" server.log
	original messages
	for port in 80x 65536 99999999999999; do
		run timeout 5 msr-chat server -p "$port"
		[ "$status" -eq 1 ]
		[[ $output == *"'127.0.0.1:$port' is not an address; use host:port, a port is at most 65535" ]]
		run timeout 5 msr-chat client -a "127.0.0.1:$port" -u ann </dev/null
		[ "$status" -eq 1 ]
		[[ $output == *"'127.0.0.1:$port' is not an address"* ]]
	done
}

@test "logins: raw name and JSON, all three refusals, names in NFC" {
	server
	original logins
}

@test "messages of all four types, public and private" {
	server
	original messages
}

@test "descriptors byte by byte, and 5,000 messages in one go" {
	server
	original segments
}

@test "every error leaves the stream in step" {
	server --max-content 1M
	original errors
}

@test "garbage hurts nobody" {
	server
	original garbage
	kill -0 "$SERVER"
}

@test "a storm of connections delays nobody much" {
	server
	timeout 60 "$PYTHON" "$SUPPORT/chat_long.py" connects "$ADDRESS" "$SERVER" 2 500 2
	kill -0 "$SERVER"
}

@test "a slow sender delays nobody" {
	server
	original slow_upload
	wait_for 5 sh -c 'grep -q "\"state\":\"delivered\"" server.log'
	# What msr-events(5) says of it, of the file of ann that bob got.
	[ "$(events transfer | jq -r 'select(.state == "received") | "\(.user) \(.bytes) \(.of)"')" = "ann 100000 100000" ]
	[ "$(events transfer | jq -r 'select(.state == "delivered" and .user == "bob") | "\(.messages) \(.waiting)"')" = "1 0" ]
}

@test "texts overtake a large file that has not begun" {
	server
	original overtaking
}

@test "a receiver that never reads is disconnected with an event, others get everything" {
	server --send-timeout 2s
	original never_reads
	[ "$(events slow | jq -r .user)" = dead ]
}

@test "a receiver that never reads the room's texts is disconnected at its bound" {
	server --max-queue 1M --send-timeout 60s
	original never_reads_texts
	[ "$(events slow | jq -r .user)" = dead ]
	peak=$(awk '$1 == "VmHWM:" { print int($2 / 1024) }' "/proc/$SERVER/status")
	echo "peak $peak MiB"
	[ "$peak" -lt 64 ]
}

@test "who leaves with much to fetch keeps nothing of the room" {
	server --max-queue 256K
	original leaver_stays
	[ "$(events slow | jq -r .user)" = leaver ]
}

@test "who leaves has to go on fetching" {
	server --send-timeout 1s
	original leaver_dawdles
	[ "$(events slow | jq -r .user)" = leaver ]
}

@test "one slow reader throttles nobody, whether it asked for presence or not" {
	server
	original pressed 1 7 50000
}

@test "where most are slow senders wait, but not for ever" {
	server --max-queue 32M
	original pressed 5 3 30000
}

@test "private messages cannot have their receiver disconnected" {
	server
	original private_flood
	[ -z "$(events slow)" ]
}

@test "message rate: warning, drops, and the end for a flood" {
	server --rate 10 --burst 20 --limit-loopback
	original rate
}

@test "connections of one address are limited where asked" {
	server --max-per-address 3 --limit-loopback
	original address_limit
}

@test "a user more than --max-users is told that the server is full" {
	server --max-users 2
	# Who says nothing takes nobody's place.
	exec {silent}<>/dev/tcp/127.0.0.1/"$PORT"
	exec {mute}<>/dev/tcp/127.0.0.1/"$PORT"
	start bob msr-chat client -a "$ADDRESS" -u bob --wait 30s </dev/null
	start cy msr-chat client -a "$ADDRESS" -u cy --wait 30s </dev/null
	wait_for 10 grep -q '"user":"bob"' server.log
	wait_for 10 grep -q '"user":"cy"' server.log
	run msr-chat client -a "$ADDRESS" -u ann <<<'hi'
	[ "$status" -eq 1 ]
	[[ $output == *server_full* ]]
	kill "$PID"
	wait_for 10 grep -q '"ev":"leave".*"user":"cy"' server.log
	msr-chat client -a "$ADDRESS" -u ann <<<'hi'
	exec {silent}>&- {mute}>&-
}

@test "login and message timeouts" {
	server --login-timeout 1s --message-timeout 1s
	original timeouts
}

@test "silent users are disconnected where asked" {
	server --idle-timeout 2s
	original idle
}

@test "headers have the bound that was asked for" {
	server --max-header 512
	original long_headers
}

@test "no space in the budget" {
	server --max-spool 1M
	original no_space
}

@test "one address gets half of the budget" {
	server --max-spool 4M --limit-loopback --rate 0
	original spool_share
}

@test "contents leave descriptors for connections" {
	start server prlimit --nofile=64:64 msr-chat server --address="$ADDRESS"
	wait_for 10 grep -q listening server.log
	original spool_files
}

@test "a full disk gives the sender an error and leaves the server running" {
	# A limit on file sizes fails the write just as a full file system does, and needs no mount.
	start server prlimit --fsize=100000 msr-chat server --address="$ADDRESS"
	SERVER=$PID
	wait_for 10 grep -q listening server.log
	original no_space
	kill -0 "$SERVER"
}

@test "presence for those who ask" {
	server
	original presence
}

@test "history after the login" {
	server --history 3
	original history
}

@test "a history larger than the bound of a receiver keeps nobody out" {
	server --history 100 --max-queue 256K
	original long_history
}

@test "a client that ends its side still gets its answers" {
	server
	original half_closed
}

@test "SIGTERM finishes an upload and its delivery, and exits 0" {
	server
	original upload_then_stop "$SERVER"
	wait_gone "$SERVER" 10
	ended_well "$SERVER"
}

@test "SIGTERM waits for an upload only as long as --drain says, and exits 0" {
	server --drain 1s
	timeout 7 "$PYTHON" "$SUPPORT/chat_original.py" "$ADDRESS" endless_upload_then_stop "$SERVER"
	ended_well "$SERVER"
	[ "$(events transfer | jq -r '"\(.state) \(.user) \(.bytes) \(.of) \(.error)"')" = "receiving ann 50000 200000 null
failed ann 50000 200000 disconnected" ]
}

@test "a second SIGTERM ends the server at once, with status 1" {
	server --drain 60s
	original endless_upload_then_stop "$SERVER" &
	local sender=$! status=0
	wait_for 10 grep -q stopping server.log
	kill "$SERVER"
	wait "$SERVER" || status=$?
	[ "$status" -eq 1 ]
	wait "$sender"
}

@test "kill -9 in the middle of a transfer leaves no file" {
	mkdir spool
	server --spool spool
	exec {ann}<>/dev/tcp/127.0.0.1/"$PORT"
	printf '\0\1\0\3\0\0\0\0\0\0\0\0\0\0\0\0ann' >&"$ann"
	printf '\0\10\0\1\0\0\0\0\0\0\0\0\0\20\0\0f' >&"$ann"
	head -c 500000 /dev/zero >&"$ann"
	wait_for 10 sh -c "ls -l /proc/$SERVER/fd | grep -q deleted"
	kill -9 "$SERVER"
	[ -z "$(ls -A spool)" ]
	exec {ann}>&-
}

@test "no connection and no file stays open behind users" {
	server
	original messages
	before=$(count_fds "$SERVER")
	original messages
	original slow_upload
	wait_for 10 test "$(count_fds "$SERVER")" -le "$before"
}

@test "passwords: made, asked for, refused" {
	echo geheim | msr-chat password ann >users
	[[ $(cat users) == 'ann:$'* ]]
	server --password-file users
	{ echo geheim; head -c 1000 /dev/zero | tr '\0' x; } >good
	echo falsch >bad
	msr-chat client -a "$ADDRESS" -u ann --password-from good </dev/null
	run msr-chat client -a "$ADDRESS" -u ann --password-from bad </dev/null
	[ "$status" -eq 1 ]
	[[ $output == *refused* ]]
	run msr-chat client -a "$ADDRESS" -u guest </dev/null
	[ "$status" -eq 1 ]
	[[ $output == *"not connected to $ADDRESS: "* ]]
	echo neu | msr-chat password bob >>users
	kill -HUP "$SERVER"
	wait_for 5 grep -q '2 users' server.log
	echo neu >good
	msr-chat client -a "$ADDRESS" -u bob --password-from good </dev/null
	original passwords
	run msr-chat password ann < <(printf '%0256d' 0)
	[ "$status" -eq 1 ]
	[[ $output == *'at most 255 bytes'* ]]
	printf '%0255d' 0 | msr-chat password ann
}

@test "too many logins at once: the server is full, no password is wrong" {
	echo geheim | msr-chat password ann >users
	server --password-file users
	original password_storm
}

@test "guests cannot look like somebody who has a password" {
	echo geheim | msr-chat password ann >users
	echo geheim >password
	server --password-file users --guests
	msr-chat client -a "$ADDRESS" -u guest </dev/null
	for name in ann $'\u0430nn'; do
		run msr-chat client -a "$ADDRESS" -u "$name" </dev/null
		[ "$status" -eq 1 ]
		[[ $output == *refused* ]]
	done
	msr-chat client -a "$ADDRESS" -u ann --password-from password </dev/null
}

@test "TLS: messages and large files, and a certificate nobody vouches for" {
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=chat \
		-addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem 2>/dev/null
	server --tls-cert cert.pem --tls-key key.pem
	run msr-chat client -a "$ADDRESS" -u ann --tls </dev/null
	[ "$status" -eq 1 ]
	[[ $output == *TLS* ]]
	start bob msr-chat client -a "$ADDRESS" -u bob --tls --ca cert.pem --json -d got --wait 30s </dev/null
	wait_for 10 grep -q login bob.log
	head -c 3000000 /dev/urandom >big
	printf 'hello\n/file big\n' | msr-chat client -a "$ADDRESS" -u ann --tls --ca cert.pem
	wait_for 20 cmp big got/big
	[ "$(jq -r 'select(.type == "utf8") | .text' bob.log)" = hello ]
}

@test "client in a pipe: address, name and folder from the environment" {
	server
	echo content >a.txt
	export MSR_CHAT_ADDRESS=$ADDRESS MSR_CHAT_USERNAME=bob MSR_CHAT_SAVE_DIRECTORY=kept
	start bob msr-chat client --wait 30s </dev/null
	wait_for 10 grep -q '"user":"bob"' server.log
	msr-chat client --username ann <<<'/file a.txt' # an option wins
	wait_for 10 cmp a.txt kept/a.txt
	grep -q '<ann> ' bob.log
}

@test "client in a pipe: lines in, lines out, private, files under free names" {
	server
	mkdir got
	echo mine >got/a.txt
	echo theirs >a.txt
	start bob msr-chat client --address="$ADDRESS" --username=bob --save_directory==got --wait 30s </dev/null
	wait_for 10 grep -q '"user":"bob"' server.log
	printf '%s\n' 'hello' '//slash' '/msg bob psst' '/file @bob a.txt' '/file a.txt' |
		msr-chat client -a "$ADDRESS" -u ann
	wait_for 10 test -f got/a~3.txt
	[ "$(cat got/a.txt)" = mine ]
	[ "$(cat got/a~2.txt)" = theirs ]
	[ -z "$(ls got/*.part 2>/dev/null)" ]
	grep -q '<ann> hello$' bob.log
	grep -q '<ann> /slash$' bob.log
	grep -q '\[ann > bob\] psst$' bob.log
}

@test "client in a pipe: the exit status tells whether all was taken" {
	server
	run msr-chat client -a "$ADDRESS" -u ann <<<'/msg nobody hi'
	[ "$status" -eq 1 ]
	[[ $output == *user_not_found* ]]
	run msr-chat client -a "$ADDRESS" -u ann <<<'/file /no/such/file'
	[ "$status" -eq 1 ]
	run msr-chat client -a "$ADDRESS" -u ann <<<'/nonsense'
	[ "$status" -eq 1 ]
	run msr-chat client -a 127.0.0.1:1 -u ann <<<'hi'
	[ "$status" -eq 1 ]
	run msr-chat client -a "$ADDRESS" -u ' x' <<<'hi'
	[ "$status" -eq 2 ]
	msr-chat client -a "$ADDRESS" -u ann <<<'hi'
}

@test "client in a pipe: many lines, and one that is too long" {
	server
	start bob msr-chat client -a "$ADDRESS" -u bob --wait 60s </dev/null
	wait_for 10 grep -q '"user":"bob"' server.log
	seq -f '%0100.0f' 1 20000 | msr-chat client -a "$ADDRESS" -u ann
	wait_for 30 sh -c 'grep -c "<ann>" bob.log | grep -qx 20000'
	{ head -c 1500000 /dev/zero | tr '\0' x; printf '\nafter it\n'; } >lines
	run msr-chat client -a "$ADDRESS" -u eve <lines
	[ "$status" -eq 1 ]
	[[ $output == *'too long'* ]]
	wait_for 10 grep -q '<eve> after it$' bob.log
	[ "$(grep -c '<eve>' bob.log)" -eq 1 ]
}

@test "client in a pipe: it ends when nobody reads its output" {
	server
	start bob sh -c "msr-chat client -a $ADDRESS -u bob --wait 60s </dev/null | head -n 1"
	wait_for 10 grep -q '"user":"bob"' server.log
	msr-chat client -a "$ADDRESS" -u ann <<<'one'
	wait_for 10 grep -q one bob.log
	msr-chat client -a "$ADDRESS" -u ann <<<'two'
	wait_for 10 grep -q '"ev":"leave".*"user":"bob"' server.log
	wait_for 10 grep -q 'cannot write: Broken pipe' bob.log
}

@test "client in a pipe: every address of a name is tried" {
	# A name with two addresses, for one process.
	printf '127.0.0.1 twice\n::1 twice\n' >hosts
	# shellcheck disable=SC2016 # for the inner shell
	twice='mount --bind hosts /etc/hosts && exec msr-chat client -u ann -a "twice:$0"'
	unshare -r -m mount --bind hosts /etc/hosts || skip 'no namespaces'
	for address in "127.0.0.1:$PORT" "[::1]:$PORT"; do
		start server msr-chat server --address="$address"
		wait_for 10 grep -qs '"ev":"listening"' server.log
		unshare -r -m sh -c "$twice" "$PORT" <<<'hi'
		kill "$PID"
		wait_gone "$PID"
	done
	run unshare -r -m sh -c "$twice" "$PORT" <<<'hi'
	[ "$status" -eq 1 ]
	[[ $output == *refused* ]]
	run msr-chat client -u ann -a "no.such.invalid:$PORT" <<<'hi'
	[ "$status" -eq 1 ]
	[[ $output != *'No route'* ]]
}

@test "client in a pipe: escape sequences of others do not come out raw" {
	server
	start bob msr-chat client -a "$ADDRESS" -u bob --wait 30s </dev/null
	wait_for 10 grep -q '"user":"bob"' server.log
	printf 'evil \033]0;title\007 \033[2J \302\233 31m\n' | msr-chat client -a "$ADDRESS" -u ann
	wait_for 10 grep -q evil bob.log
	run ! env LC_ALL=C grep -q "$(printf '\033')" bob.log
	run ! env LC_ALL=C grep -q "$(printf '\302\233')" bob.log
}

@test "client reconnects and sends what waited" {
	server
	mkfifo in
	exec 7<>in
	# The redirection inside: a background job of this shell would read /dev/null.
	start ann sh -c "exec msr-chat client -a $ADDRESS -u ann --reconnect --json <in"
	wait_for 10 grep -q '"login"' ann.log
	kill -9 "$SERVER"
	wait_for 10 grep -q '"disconnect"' ann.log
	echo later >&7
	server
	start bob msr-chat client -a "$ADDRESS" -u bob --wait 30s </dev/null
	wait_for 20 sh -c 'grep -c \"login\" ann.log | grep -q 2'
	echo 'and now' >&7
	wait_for 10 grep -q 'and now' bob.log
	exec 7>&-
}

@test "a client that is told to end sends what it has read, unless it is told again" {
	local status=0
	server
	start bob msr-chat client -a "$ADDRESS" -u bob --json -d got --wait 60s </dev/null
	truncate -s 32M big
	mkfifo in
	exec 7<>in
	# A file that is under way, as far as a server takes it that stands still.
	sending() {
		start "$1" sh -c "exec msr-chat client -a $ADDRESS -u $1 --json <in"
		wait_for 10 grep -q login "$1.log"
		kill -STOP "$SERVER"
		printf '/file big\nthe next line\nhalf a li' >&7
		wait_for 10 grep -q progress "$1.log"
		kill "$PID"
	}
	sending ann
	kill -CONT "$SERVER"
	ended_well "$PID"
	wait_for 10 grep -q '"file"' bob.log
	wait_for 10 grep -q 'the next line' bob.log
	run ! grep -q 'half a li' bob.log
	sending eve
	kill -HUP "$PID"
	wait "$PID" || status=$?
	[ "$status" -eq 1 ]
	grep -q 'not everything was sent' eve.log
	kill -CONT "$SERVER"
	exec 7>&-
}

@test "pictures and voice are checked before they are sent" {
	server
	start bob msr-chat client -a "$ADDRESS" -u bob --json -d got --wait 30s </dev/null
	wait_for 10 grep -q login bob.log
	sox -n -r 8000 tone.wav synth 0.5 sine 440
	printf '\211PNG\r\n\032\n\0\0\0\rIHDR\0\0\1\100\0\0\0\310' >p.png
	printf '/voice tone.wav\n/image p.png\n' | msr-chat client -a "$ADDRESS" -u ann
	wait_for 10 sh -c 'grep -c \"message\" bob.log | grep -q 2'
	[ "$(jq -r 'select(.type == "voice") | .seconds' bob.log)" = 0.5 ]
	[ "$(jq -r 'select(.type == "image") | "\(.kind) \(.width)x\(.height)"' bob.log)" = "png 320x200" ]
	run msr-chat client -a "$ADDRESS" -u ann <<<'/voice p.png'
	[ "$status" -eq 1 ]
	run msr-chat client -a "$ADDRESS" -u ann <<<'/image tone.wav'
	[ "$status" -eq 1 ]
}

@test "message events are written where a path was given" {
	server -e events.json
	msr-chat client -a "$ADDRESS" -u ann <<<'hello'
	wait_for 5 grep -q '"ev":"leave"' events.json
	[ "$(jq -r 'select(.ev == "message") | "\(.user) \(.type) \(.bytes)"' events.json)" = "ann utf8 5" ]
}

@test "the bot among the examples answers" {
	server
	start bot "$BATS_TEST_DIRNAME/../../examples/chat-bot" clock "$ADDRESS"
	wait_for 10 grep -q '"user":"clock"' server.log
	run msr-chat client -a "$ADDRESS" -u ann --wait 1s <<<'what time is it?'
	[[ $output == *'<clock> '*'it is '*:* ]]
	# Whoever asks, it is not told what to do.
	echo secret >secret
	run msr-chat client -a "$ADDRESS" -u '/quit x' --wait 1s <<<'what time is it?'
	run msr-chat client -a "$ADDRESS" -u 'x\n/file secret' -d got --wait 1s <<<'what time is it?'
	[[ $output == *'<clock> it is '*', x\n/file secret'* ]]
	[ ! -e got/secret ]
	# Nor is it given anything to keep.
	msr-chat client -a "$ADDRESS" -u ann <<<'/file @clock secret'
	: >empty
	msr-chat client -a "$ADDRESS" -u ann <<<'/file @clock empty'
	run msr-chat client -a "$ADDRESS" -u ann --wait 1s <<<'what time is it?'
	[[ $output == *'<clock> '*'it is '*:* ]]
	[ -z "$(find . -name 'secret~*' -o -name 'empty~*')" ]
	# It can be ended alone, and leaves nothing.
	kill "$PID"
	wait_gone "$PID"
	[ -z "$(find . -name heard)" ]
}

@test "the bot among the examples fails where it is not let in" {
	run timeout 20 "$BATS_TEST_DIRNAME/../../examples/chat-bot" clock "127.0.0.1:$PORT"
	[ "$status" -eq 1 ]
}

@test "without commands every line is text" {
	server
	start bob msr-chat client -a "$ADDRESS" -u bob -d got --wait 30s </dev/null
	wait_for 10 grep -q '"user":"bob"' server.log
	echo secret >secret
	printf '%s\n' '/file secret' '//two' '/quit' 'the end' | msr-chat client -a "$ADDRESS" -u ann --no-commands
	wait_for 5 grep -q '<ann> the end$' bob.log
	grep -q '<ann> /file secret$' bob.log
	grep -q '<ann> //two$' bob.log
	grep -q '<ann> /quit$' bob.log
	[ ! -e got ]
}
