"""The client in a terminal that can show pictures: what it writes to one.

    chat_pty.py ADDRESS:PORT sixel|kitty|none|bomb PICTURE

Plays the terminal: answers the questions as it would, in the middle of what a user types, then a
second client sends PICTURE and a text, and this looks at the bytes that come. A bomb is a picture
that cannot be drawn, on a terminal that could.
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

    def __init__(self, command):
        self.seen = b""
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.environ["TERM"] = "xterm-256color"
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


def main(address, kind, picture):
    t = Terminal(["msr-chat", "client", "-a", address, "-u", "eve", "-d", "got"])
    t.read_until(lambda s: b"\033[c" in s)
    t.type(b"half" + ANSWERS[kind] + b" a line")
    t.read_until(lambda s: b"login: eve" in s and b"line" in s)
    before = len(t.seen)
    send = subprocess.run(["msr-chat", "client", "-a", address, "-u", "bob"], check=True,
                          input=b"/image %s\nafter it\n" % picture.encode())
    assert send.returncode == 0
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
    t.type(b"/quit\r")
    assert os.waitpid(t.pid, 0)[1] == 0


if __name__ == "__main__":
    main(*sys.argv[1:])
