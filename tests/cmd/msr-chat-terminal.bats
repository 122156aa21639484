#!/usr/bin/env bats
# The client in a real terminal: tmux types and looks at the screen.

bats_require_minimum_version 1.5.0
load ../support/common

setup() {
	PORT=$(free_port)
	ADDRESS=127.0.0.1:$PORT
	export TMPDIR=$BATS_TEST_TMPDIR HOME=$BATS_TEST_TMPDIR
	SOCKET=$BATS_TEST_TMPDIR/tmux
	cd "$BATS_TEST_TMPDIR" || return
	start server msr-chat server --address="$ADDRESS"
	SERVER=$PID
	wait_for 10 grep -q listening server.log
	screen "msr-chat client -a $ADDRESS -u ann -d got --bell"
	wait_for 10 shows 'login: ann'
}

teardown() {
	tmux -S "$SOCKET" kill-server 2>/dev/null || true
	stop_all
}

# A server that a test has just ended may still be going: try until a new one takes its place.
screen() {
	wait_for 5 tmux -S "$SOCKET" -f /dev/null new-session -d -x 80 -y 24 "$1; echo 'status '\$?; sleep 60" 3>&-
}

type_keys() {
	tmux -S "$SOCKET" send-keys "$@"
}

capture() {
	tmux -S "$SOCKET" capture-pane -p
}

# What the screen shows: a basic regular expression, matched line by line.
shows() {
	capture | grep -q -- "$1"
}

say() {
	msr-chat client -a "$ADDRESS" "$@"
}

@test "messages scroll above the line that is being typed" {
	type_keys 'half a li'
	wait_for 5 shows '^ann> half a li'
	printf 'first\n/msg ann psst\n' | say -u bob
	wait_for 5 shows '^..:.. \[bob > ann\] psst$'
	wait_for 5 shows '^ann> half a li'
	capture | grep -q '^..:.. <bob> first$'
	type_keys 'ne' Enter
	wait_for 5 shows '^..:.. <ann> half a line$'
	wait_for 5 shows '^ann> *$'
	[ "$(capture | grep -c '^ann>')" -eq 1 ]
}

@test "a long line over several rows is redrawn whole" {
	type_keys "$(printf 'x%.0s' $(seq 100))"
	wait_for 5 shows '^x\{20,\}'
	say -u bob <<<'meanwhile'
	wait_for 5 shows '<bob> meanwhile$'
	wait_for 5 shows '^x\{20,\}'
	[ "$(capture | grep -c '^ann> x')" -eq 1 ]
	type_keys Enter
	wait_for 5 shows '^..:.. <ann> xxx'
	run ! shows '^ann> x'
}

@test "escape sequences and line feeds of others cannot forge lines" {
	printf '\0\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0evil\0\7\0\0\0\0\0\0\0\0\0\0\0\0\0\50a\n12:00 <bob> forged\033[2J\033]0;t\007 \302\233 x more' \
		>/dev/tcp/127.0.0.1/"$PORT"
	wait_for 5 shows '| 12:00 <bob> forged'
	run ! shows '^12:00 <bob> forged'
	shows '\^\[\[2J^\[\]0;t^G'
	shows 'login: ann' # nothing cleared the screen
}

@test "Tab completes commands, names and paths; history comes back" {
	start bob sh -c "exec msr-chat client -a $ADDRESS -u bobby --wait 60s </dev/null"
	wait_for 5 shows 'bobby joined'
	type_keys '/ms' Tab
	wait_for 5 shows '^ann> /msg'
	type_keys 'bo' Tab 'hello' Enter
	wait_for 5 shows '\[ann > bobby\] hello'
	wait_for 5 grep -q '\[ann > bobby\] hello' bob.log
	echo content >some-file.txt
	type_keys '/file some' Tab Enter
	wait_for 5 shows 'sent some-file.txt, 8 B'
	type_keys Up
	wait_for 5 shows '^ann> /file some-file.txt'
	type_keys C-c
	wait_for 5 shows '^ann> *$'
	type_keys '/users' Enter
	wait_for 5 shows '2 here: ann bobby'
}

@test "Tab puts names with blanks in quotes, and goes on with paths that have some" {
	start bob sh -c "exec msr-chat client -a $ADDRESS -u 'bobby blue' --wait 60s </dev/null"
	start rob sh -c "exec msr-chat client -a $ADDRESS -u bobby --wait 60s </dev/null"
	wait_for 5 shows 'bobby blue joined'
	wait_for 5 shows 'bobby joined'
	type_keys '/msg bo' Tab
	wait_for 5 shows '^ann> /msg bobby *$'
	type_keys C-u '/msg "bobby b' Tab 'secret' Enter
	wait_for 5 grep -q '\[ann > bobby blue\] secret' bob.log
	start zoe sh -c "exec msr-chat client -a $ADDRESS -u 'zoe blue' --wait 60s </dev/null"
	wait_for 5 shows 'zoe blue joined'
	mkdir 'a folder'
	echo content >'a folder/[1] file.txt'
	type_keys '/file @zo' Tab 'a fo' Tab '[1' Tab
	wait_for 5 shows '^ann> /file @"zoe blue" a folder/\[1\] file.txt'
	type_keys Enter
	wait_for 5 shows 'sent \[1\] file.txt, 8 B'
	echo content >home.txt
	type_keys '/file ~/ho' Tab
	wait_for 5 shows '^ann> /file ~/home.txt'
	type_keys C-u 'so bo' Tab
	wait_for 5 shows '^ann> so bobby *$'
	run ! grep -q secret rob.log
}

@test "files show their kind, size and place; pictures their dimensions" {
	printf '\211PNG\r\n\032\n\0\0\0\rIHDR\0\0\1\100\0\0\0\310' >p.png
	printf '/image p.png\n' | say -u bob
	wait_for 5 shows '<bob> \* png picture 320x200, 24 B: got/p.png'
	cmp p.png got/p.png
	type_keys '/save' Enter
	wait_for 5 shows 'received files go to got$'
	type_keys '/save elsewhere' Enter
	wait_for 5 shows 'received files go to elsewhere$'
	printf '/image p.png\n' | say -u bob
	wait_for 5 cmp p.png elsewhere/p.png
}

@test "what is being sent has a bar, which goes when it is through" {
	truncate -s 32M big
	kill -STOP "$SERVER"
	type_keys '/file big' Enter
	wait_for 5 shows '^sending big \[#*\.*\] [0-9]*% ann>'
	run ! shows 'sent big'
	kill -CONT "$SERVER"
	wait_for 10 shows 'sent big, 32'
	wait_for 5 shows '^ann> *$'
	run ! shows '^sending big \['
}

@test "help lists the commands" {
	type_keys '/help' Enter
	for command in msg file image voice users save help quit; do
		wait_for 5 shows "/$command .*[a-z]"
	done
}

@test "pictures are drawn where the terminal says that it can, by its answers amid the typing" {
	ffmpeg -v error -f lavfi -i testsrc=size=320x200:rate=1 -frames:v 1 p.png
	for kind in sixel kitty none unasked; do
		timeout 60 "$PYTHON" "$SUPPORT/chat_pty.py" "$ADDRESS" $kind p.png
	done
}

@test "a picture made to be drawn for ever holds nobody up" {
	# 400 million points in 50 kB: too much memory for the one who draws.
	"$PYTHON" - >p.png <<-'EOF'
		import struct, sys, zlib
		def chunk(kind, data):
		    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
		rows = zlib.compress((b"\0" + b"\0" * 2500) * 20000)
		sys.stdout.buffer.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 20000, 20000, 1, 0, 0, 0, 0)) +
		                        chunk(b"IDAT", rows) + chunk(b"IEND", b""))
	EOF
	timeout 60 "$PYTHON" "$SUPPORT/chat_pty.py" "$ADDRESS" bomb p.png
}

@test "private messages ring where that is wanted, names have colours where they are" {
	timeout 60 "$PYTHON" "$SUPPORT/chat_pty.py" "$ADDRESS" bell
	timeout 60 "$PYTHON" "$SUPPORT/chat_pty.py" "$ADDRESS" colours
}

@test "voice is recorded by the user's command until the next /voice" {
	record "msr-chat client --voice-command 'sh -c \"cat tone.wav; exec sleep 60\"'"
}

@test "voice is recorded by a pipeline too, named in the environment" {
	record "MSR_CHAT_VOICE_COMMAND='sleep 60 | cat tone.wav -' msr-chat client"
}

# record CLIENT: its command for voice writes tone.wav until it is ended.
record() {
	type_keys '/quit' Enter
	wait_for 5 shows '^status 0'
	tmux -S "$SOCKET" kill-server
	sox -n -r 8000 tone.wav synth 0.5 sine 440
	screen "$1 -a $ADDRESS -u eve"
	wait_for 5 shows 'login: eve'
	start bob sh -c "exec msr-chat client -a $ADDRESS -u bob --wait 60s -d got </dev/null"
	wait_for 5 shows 'bob joined'
	type_keys '/voice' Enter
	wait_for 5 shows 'recording; /voice ends it'
	type_keys '/voice' Enter
	wait_for 5 shows 'recorded 0.5 s'
	wait_for 5 grep -q 'wav voice 0.5 s' bob.log
}

@test "a lost server is found again, with what was typed meanwhile" {
	kill -9 "$PID"
	wait_for 5 shows 'disconnect: '
	type_keys 'are you there' Enter
	start again msr-chat server --address="$ADDRESS" --history 10
	wait_for 15 sh -c "tmux -S $SOCKET capture-pane -p | grep -c 'login: ann' | grep -q 2"
	run say -u bob --wait 1s <<<''
	[[ $output == *'<ann> are you there'* ]]
}

@test "the end: /quit and Ctrl-D leave the terminal as it was" {
	type_keys '/quit' Enter
	wait_for 5 shows '^status 0'
	tmux -S "$SOCKET" kill-server
	screen "msr-chat client -a $ADDRESS -u ann; stty -a | grep -o ' echo '"
	wait_for 5 shows 'login: ann'
	type_keys C-d
	wait_for 5 shows '^ echo'
}
