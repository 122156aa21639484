"""The client in a terminal: what it writes to one.

    chat_pty.py ADDRESS:PORT sixel|kitty|none|bomb|unasked PICTURE
    chat_pty.py ADDRESS:PORT bell|colours

With a picture this plays the terminal: answers the questions as it would, in the middle of what a
user types, then a second client sends PICTURE and a text, and this looks at the bytes that come. A
bomb is a picture that cannot be drawn, on a terminal that could; unasked is a user who wants none.
"""
import os
import pty
import re
import select
import subprocess
import sys
import time

ANSWERS = {
    "sixel": b"\033[?62;4;22c",
    "kitty": b"\033_Gi=31;OK\033\\\033[?62;4c",  # it says both: kitty's protocol is better
    "bomb": b"\033[?62;4c",
    "none": b"\033[?1;2c",
}
SIXEL = re.compile(rb"\033P[0-9;]*q.*?\033\\", re.S)
KITTY = re.compile(rb"\033_Ga=T[^\033]*\033\\.*?\033_Gm=0[^\033]*\033\\", re.S)


class Terminal:
    """Runs a command in a terminal; `seen` is what it has written there."""

    def __init__(self, command, **environment):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.environ.pop("NO_COLOR", None)
            os.environ.update(TERM="xterm-256color", **environment)
            os.execvp(command[0], command)

    def read_until(self, done, seconds=10):
        end = time.monotonic() + seconds
        while not done(self.seen):
            left = end - time.monotonic()
            assert left > 0, ("waited in vain", self.seen[-600:])
            if select.select([self.fd], [], [], left)[0]:
                self.seen += os.read(self.fd, 65536)

    def type(self, keys):
        os.write(self.fd, keys)


def client(address, *options, **environment):
    return Terminal(["msr-chat", "client", "-a", address, "-u", "eve", "-d", "got", *options], **environment)


def say(address, name, text):
    subprocess.run(["msr-chat", "client", "-a", address, "-u", name], check=True, input=text)


def leave(t):
    t.type(b"/quit\r")
    assert os.waitpid(t.pid, 0)[1] == 0


def pictures(address, kind, picture):
    t = client(address)
    t.read_until(lambda s: b"\033[c" in s)
    t.type(b"half" + ANSWERS[kind] + b" a line")
    t.read_until(lambda s: b"login: eve" in s and b"line" in s)
    before = len(t.seen)
    say(address, "bob", b"/image %s\nafter it\n" % picture.encode())
    t.read_until(lambda s: b"png picture " in s and b"after it" in s)
    shown = {"sixel": SIXEL, "kitty": KITTY}.get(kind)
    if shown:
        t.read_until(lambda s: shown.search(s, before))
    # The line that was being typed is whole, without any of the answers, and is still edited.
    t.type(b" more\r")
    t.read_until(lambda s: b"> half a line more\r" in s.replace(b"\033[0m", b""))
    after = t.seen[before:]
    assert bool(SIXEL.search(after)) == (kind == "sixel")
    assert (b"\033_G" in after) == (kind == "kitty")
    leave(t)


def unasked(address, picture):
    """With --no-images the terminal is not even asked."""
    t = client(address, "--no-images")
    t.read_until(lambda s: b"login: eve" in s)
    say(address, "bob", b"/image %s\nafter it\n" % picture.encode())
    t.read_until(lambda s: b"png picture " in s and b"after it" in s)
    leave(t)
    assert b"\033[c" not in t.seen and b"\033_G" not in t.seen


def bell(address):
    """Private messages ring where that is asked for; public ones never do."""
    for options in (["--bell"], []):
        t = client(address, *options)
        t.read_until(lambda s: b"login: eve" in s)
        say(address, "bob", b"for all\n")
        t.read_until(lambda s: b"for all" in s)
        assert b"\a" not in t.seen
        say(address, "bob", b"/msg eve psst\nafter it\n")
        t.read_until(lambda s: b"psst" in s and b"after it" in s)
        assert t.seen.count(b"\a") == len(options)
        leave(t)


def colours(address):
    """A name has the same colour each time, and another one another; none where they are not wanted."""
    for options, environment, wanted in (([], {}, True), (["--no-color"], {}, False),
                                         ([], {"NO_COLOR": "1"}, False), ([], {"NO_COLOR": ""}, True),
                                         (["--color"], {"NO_COLOR": "1"}, True)):
        t = client(address, *options, **environment)
        t.read_until(lambda s: b"login: eve" in s)
        for name in ("bob", "cy", "bob"):
            say(address, name, b"hello\n/msg eve last\n")
        t.read_until(lambda s: s.count(b"last") == 3)
        leave(t)
        codes = {name: set(re.findall(rb"<\033\[(\d+)m" + name + rb"\033\[0m> ", t.seen)) for name in (b"bob", b"cy")}
        if wanted:
            assert len(codes[b"bob"]) == len(codes[b"cy"]) == 1 and codes[b"bob"] != codes[b"cy"], codes
        else:
            assert t.seen.count(b"<bob> hello") == 2 and t.seen.count(b"<cy> hello") == 1, t.seen


def main(address, kind, *picture):
    if kind in ANSWERS:
        pictures(address, kind, *picture)
    else:
        {"unasked": unasked, "bell": bell, "colours": colours}[kind](address, *picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
