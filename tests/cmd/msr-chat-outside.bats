#!/usr/bin/env bats
# What the chat server shows the world outside: health, metrics, and the bridge to a room of msr-ws.

# shellcheck disable=SC2030,SC2031 # each test is a shell of its own

bats_require_minimum_version 1.5.0
load ../support/common

setup() {
	read -r PORT HTTP WS < <(free_ports 3)
	ADDRESS=127.0.0.1:$PORT
	cd "$BATS_TEST_TMPDIR" || return
}

teardown() {
	stop_all
}

# A person in the room; what they hear goes to NAME.log, lines for them are written to NAME.in.
person() {
	mkfifo "$1.in"
	start "$1" sh -c "exec $PYTHON $SUPPORT/room_person.py ws://127.0.0.1:$WS/lobby/$1 $1 <>$1.in"
	wait_for 10 grep -q ready "$1.log"
}

# bridge [COMMAND ...]: msr-ws, and the server in a room of it, started by that command if given.
bridge() {
	mkdir -p storage
	start ws msr-ws -p "$WS" -o /dev/null --storage storage
	WS_PID=$PID
	wait_for 10 is_healthy "$WS"
	start server "$@" msr-chat server --address="$ADDRESS" --room "ws://127.0.0.1:$WS/lobby/chat" \
		--storage storage --spool "${SPOOL:-.}" --max-content "${MAX_CONTENT:-3M}" --metrics-port "$HTTP"
	SERVER=$PID
	wait_for 10 grep -q 'info in the room' server.log
}

@test "health and metrics" {
	start server msr-chat server --address="$ADDRESS" --metrics-port "$HTTP"
	SERVER=$PID
	wait_for 10 is_healthy "$HTTP"
	printf 'a\nb\n' | msr-chat client -a "$ADDRESS" -u ann
	curl -sf "http://127.0.0.1:$HTTP/metrics" >metrics
	grep -q '^msr_chat_messages_total 2$' metrics
	grep -q '^msr_chat_logins_total 1$' metrics
	grep -q '^process_resident_memory_bytes ' metrics
	kill "$SERVER"
	wait_gone "$SERVER" 5
	ended_well "$SERVER"
}

@test "text passes both ways, privately too" {
	bridge
	person eve
	start bob sh -c "exec msr-chat client -a $ADDRESS -u bob -d got --wait 60s </dev/null"
	start cy sh -c "exec msr-chat client -a $ADDRESS -u cy -d cy --wait 60s </dev/null"
	wait_for 10 grep -q '"user":"bob"' server.log
	wait_for 10 grep -q '"user":"cy"' server.log
	echo 'from the web' >eve.in
	wait_for 10 grep -q '<eve@web> from the web$' bob.log
	echo '@bob psst' >eve.in
	wait_for 10 grep -q '\[eve@web > bob\] psst$' bob.log
	printf 'from the terminal\n/msg eve@web only you\n' | msr-chat client -a "$ADDRESS" -u ann
	wait_for 10 grep -q 'only you' eve.log
	[ "$(jq -r 'select(.text == "from the terminal") | .from' eve.log)" = ann ]
	[ "$(jq -r 'select(.text == "only you") | .to' eve.log)" = eve ]
	# What is for one user of the chat gets neither into the room nor to another.
	head -c 100000 /dev/zero >secret.bin
	echo small >secret.txt
	printf '/msg bob secret\n/file @bob secret.txt\n/file @bob secret.bin\nfor all\n' |
		msr-chat client -a "$ADDRESS" -u ann
	wait_for 10 cmp secret.bin got/secret.bin
	wait_for 10 grep -q 'for all' eve.log
	wait_for 10 grep -q 'for all' cy.log
	grep -q '\[ann > bob\] secret$' bob.log
	run ! grep -E 'secret|psst|only you' cy.log
	run ! grep -E 'secret|psst' eve.log
	run ! ls cy
	[ -z "$(ls storage/chat)" ]
	person zoe
	echo '@eve between us of the room' >zoe.in
	echo '@nobody hi' >eve.in
	wait_for 10 grep -q 'nobody in the chat has the name nobody' eve.log
	run ! grep -q 'the name eve' zoe.log
	run msr-chat client -a "$ADDRESS" -u ann <<<'/msg unheard@web hi'
	[ "$status" -eq 1 ]
	# With a Cyrillic letter, and another hyphen.
	for name in eve@web $'eve@w\u0435b' msr-chat $'msr\u2010chat'; do
		run msr-chat client -a "$ADDRESS" -u "$name" <<<'I am somebody else'
		[ "$status" -eq 1 ]
	done
}

@test "files, pictures and voice of the chat appear in the room as links" {
	bridge
	person eve
	head -c 100000 /dev/urandom >'big file.bin'
	echo small >small.txt
	printf '/file big file.bin\n/file small.txt\n' | msr-chat client -a "$ADDRESS" -u ann
	wait_for 10 grep -q 'small.txt' eve.log
	url=$(jq -r 'select(.text == "big file.bin") | .url' eve.log)
	curl -sf "http://127.0.0.1:$WS$url" | cmp - 'big file.bin'
	url=$(jq -r 'select(.text == "small.txt") | .url' eve.log)
	[ "$(curl -sf "http://127.0.0.1:$WS$url")" = small ]
	sox -n -r 8000 tone.wav synth 0.2 sine 440
	printf '\211PNG\r\n\032\n\0\0\0\rIHDR\0\0\1\100\0\0\0\310' >p.png
	printf '/image p.png\n/voice tone.wav\n' | msr-chat client -a "$ADDRESS" -u ann
	wait_for 10 grep -q 'tone.wav' eve.log
	for file in p.png tone.wav; do
		url=$(jq -r "select(.text == \"$file\") | .url" eve.log)
		curl -sf "http://127.0.0.1:$WS$url" | cmp - $file
	done
}

@test "files of the chat are for those whom the umask leaves them" {
	# shellcheck disable=SC2016 # expands in the inner shell
	bridge sh -c 'umask 027; exec "$@"' sh
	person eve
	head -c 100000 /dev/urandom >big
	echo small >small
	printf '/file big\n/file small\n' | msr-chat client -a "$ADDRESS" -u ann
	wait_for 10 grep -q '"text":"small"' eve.log
	[ "$(stat -c %a storage/chat/*-big storage/chat/*-small | xargs)" = "640 640" ]
}

@test "a text of the room that is too long for the chat is refused, and hurts nobody" {
	bridge
	person eve
	start bob sh -c "exec msr-chat client -a $ADDRESS -u bob --wait 60s </dev/null"
	wait_for 10 grep -q '"user":"bob"' server.log
	printf '%250000s\n' x >eve.in
	wait_for 10 grep -q 'too long for the chat' eve.log
	[ "$(jq -r 'select(.from == "msr-chat") | .to' eve.log)" = eve ]
	printf '%16384s\n' just-fits >eve.in
	wait_for 10 grep -q 'just-fits$' bob.log
	run ! grep -q 'x$' bob.log
	kill -0 "$SERVER"
}

@test "files are kept where the spool is on a file system of another kind, and a slow one" {
	SPOOL=/dev/shm MAX_CONTENT=16M
	[ "$(stat -f -c %T $SPOOL)" != "$(stat -f -c %T .)" ] || skip 'all is one kind here'
	cat >slow.c <<-'EOF'
		#include <dlfcn.h>
		#include <sys/sendfile.h>
		#include <sys/stat.h>
		#include <unistd.h>
		ssize_t sendfile(int to, int from, off_t *at, size_t n)
		{
			ssize_t (*real)(int, int, off_t *, size_t) = dlsym(RTLD_NEXT, "sendfile");
			struct stat st;
			if (fstat(to, &st) == 0 && S_ISREG(st.st_mode))
				usleep(200000);
			return real(to, from, at, n);
		}
	EOF
	gcc -D_GNU_SOURCE -shared -fPIC -o slow.so slow.c
	bridge env LD_PRELOAD="$PWD/slow.so"
	person eve
	head -c 16000000 /dev/urandom >big
	printf '/file big\nafter it\n' | msr-chat client -a "$ADDRESS" -u ann
	wait_for 10 compgen -G 'storage/chat/*-big'
	# Meanwhile the world outside is served.
	is_healthy "$HTTP"
	[ "$(stat -c %s storage/chat/*-big)" -lt 16000000 ]
	wait_for 20 grep -q '"text":"big"' eve.log
	cmp big storage/chat/*-big
	wait_for 10 grep -q '"text":"after it"' eve.log
	# The room goes away in the middle of another: it is told of that when it is there again.
	first=$(echo storage/chat/*-big)
	printf '/file big\n' | msr-chat client -a "$ADDRESS" -u ann
	wait_for 10 two_are_kept
	kill -9 "$WS_PID"
	wait_for 20 is_whole "$(compgen -G 'storage/chat/*-big' | grep -vxF "$first")"
	start ws msr-ws -p "$WS" -o /dev/null --storage storage
	wait_for 20 is_in_the_room 2
	curl -sf "http://127.0.0.1:$HTTP/metrics" | grep -q '^msr_chat_bridge_dropped_total 0$'
}

two_are_kept() {
	[ "$(compgen -G 'storage/chat/*-big' | wc -l)" -eq 2 ]
}
is_whole() {
	cmp -s big "$1"
}
is_in_the_room() {
	[ "$(grep -c 'info in the room' server.log)" -eq "$1" ]
}

# A large file, while the server has a descriptor for the spool and none for keeping it. Who gets the one
# that is freed is not certain: it may take another try.
too_few_descriptors() {
	"$PYTHON" - "$PORT" <<-'EOF'
		import os, select, socket, struct, sys
		def connect():
		    return socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10)
		def pack(kind, header, size):
		    return struct.pack(">HHIQ", kind, len(header), 0, size) + header
		ann, others = connect(), []
		ann.sendall(pack(1, b"ann%d" % os.getpid(), 0))
		assert ann.recv(16)
		# Until one is turned away: the server has no descriptor left.
		while not others or not select.select([others[-1]], [], [], 0.05)[0]:
		    others.append(connect())
		others.pop()
		others.pop().close()  # one, for the spool
		ann.sendall(pack(8, b"big", 300000) + b"x" * 300000 + pack(7, b"", 2) + b"hi")
		# An answer comes in order: all of that was seen.
		ann.sendall(pack(99, b"", 0))
		assert ann.recv(16)[1] == 10
	EOF
	wait_for 1 grep -q 'cannot keep a file.*: Too many open files' server.log
}

@test "without a descriptor for it a file is not kept, rather than something else" {
	bridge prlimit --nofile=64:64
	wait_for 30 too_few_descriptors
	[ -z "$(ls storage/chat)" ]
	kill -0 "$SERVER"
}

@test "few large contents wait for a room that is away" {
	bridge
	kill -9 "$WS_PID"
	wait_for 10 grep -q 'not in the room' server.log
	head -c 1600000 /dev/zero >big
	head -c 16400 /dev/zero >small
	printf '/file big
/file big
' | msr-chat client -a "$ADDRESS" -u ann
	[ "$(find "/proc/$SERVER/fd" -lname '*(deleted)' ! -lname '/dev/*' | wc -l)" -eq 1 ]
	yes /file small | head -n 80 | msr-chat client -a "$ADDRESS" -u ann
	[ "$(find "/proc/$SERVER/fd" -lname '*(deleted)' ! -lname '/dev/*' | wc -l)" -eq 64 ]
}

@test "the room may go and come back" {
	bridge
	kill -9 "$WS_PID"
	wait_for 10 grep -q 'not in the room' server.log
	start ws msr-ws -p "$WS" -o /dev/null
	wait_for 10 is_healthy "$WS"
	person eve
	wait_for 20 sh -c "grep -c 'in the room ws' server.log | grep -q 3" # in, not in, in
	msr-chat client -a "$ADDRESS" -u ann <<<'are you there'
	wait_for 10 grep -q 'are you there' eve.log
	kill "$SERVER"
	wait_gone "$SERVER" 10
	ended_well "$SERVER"
}
