#!/usr/bin/env bats
# The manual says what the code does, where a machine can tell.

cd "$BATS_TEST_DIRNAME/../.." || exit 1

# The events that msr-events(5) lists for a program.
listed() {
	awk -v program="$1" '$1 == ".Ss" { on = $2 == program } on && $1 == ".It" {
		for (i = 3; i <= NF; i++) if ($i != ",") print $i }' man/msr-events.5
}

@test "every event in the code stands in msr-events(5), and the other way round" {
	for program in cmd/*/; do
		program=$(basename "$program")
		sent=$(grep -rhoE 'event_start\([^;"]*"[a-z-]+"' "cmd/$program" | sed 's/.*"\(.*\)"/\1/')
		for ev in $sent; do
			listed "$program" | grep -qx -- "$ev" || { echo "$program sends '$ev', which msr-events(5) does not list"; false; }
		done
		for ev in $(listed "$program"); do
			grep -rqE "\"$ev\"" "cmd/$program" || { echo "msr-events(5) lists '$ev' of $program, which never sends it"; false; }
		done
	done
}

@test "every program has a manual page, and the overview names it" {
	for program in $(basename -a cmd/*/) msr-supervise; do
		compgen -G "man/$program.[18]" >/dev/null || { echo "no manual page of $program"; false; }
		grep -q "^\.It Xr $program " man/msr.7 || { echo "msr(7) does not name $program"; false; }
		grep -q "\`$program\`" README.md || { echo "README.md does not name $program"; false; }
	done
}

@test "references between the manual pages lead somewhere" {
	grep -hoE '^\.Xr msr[a-z-]* [1-8]' man/*.[1-8] | sort -u | while read -r _ name section; do
		[ -e "man/$name.$section" ] || { echo "no man/$name.$section"; false; }
	done
}

@test "a dot between the words of a quotation does not stick to the word before it" {
	run grep -nE '^\.(Ql|Dq|Sq|Pq|Li) .* \. [^ ]' man/*.[1-8]
	echo "$output"
	[ "$status" -eq 1 ]
}

@test "the README names every library of lib/ and every dependency of scripts/deps" {
	for name in $(basename -a lib/*/); do
		grep -q "^| \`lib/$name\`" README.md || { echo "README.md does not name lib/$name"; false; }
	done
	for package in libwebsockets jansson OpenSSL libnice libsrtp2 libsndfile speexdsp libebur128 libutf8proc libedit ffmpeg curl; do
		grep -q "$package" README.md
	done
}
