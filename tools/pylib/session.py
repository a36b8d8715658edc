"""Runs a machine and carries its serial line: to a terminal, a file, and to whoever looks for a
pattern in it. Knows what Trapline says to tools: a first line that begins with "Trapline", for each
virtual machine a last "RESULT vm=<name> status=<n> reason=<word>", "TRAPLINE: refused: <why>" where
it does not start, and "PANIC: halted" where it stops for a fault of its own.
"""
import ctypes
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import termios
import time
import tty

STATUS_TIMEOUT = 124    # as timeout(1)
STATUS_NO_RESULT = 125  # the machine ended without a RESULT line
STATUS_REFUSED = 126    # Trapline refused to start on the machine
MARKER = b"Trapline"
RESULT = re.compile(rb"RESULT vm=(\S+) status=(-?\d+) reason=([^\s]+)")
REFUSED = re.compile(rb"TRAPLINE: refused: ([^\r\n]*)[\r\n]")
PANIC = re.compile(rb"PANIC: halted")
CONTROL_A = 1
# After the last machine's RESULT Trapline powers off; this is how long that may take.
GRACE_S = 15
# After a refusal or a panic: for what is still on its way.
LAST_WORDS_S = 1.5
# For the emulator to connect to its serial line; on a busy machine it starts slowly.
CONNECT_S = 120
GATHER_S = 0.004
LOG_LOOK_S = 1.0
UNTIL_BYTES = 1 << 16
ESCAPES = re.compile(rb"\x1b\[[0-9;=?]*[A-Za-z]|\0")


def plain(data):
    """Serial output as readable text: without escape sequences and carriage returns."""
    text = ESCAPES.sub(b"", data).decode("utf-8", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


class Result:
    """The end of one virtual machine, as Trapline told it."""

    def __init__(self, vm, status, reason):
        self.vm, self.status, self.reason = vm, status, reason


class Transcript:
    """Everything that came over the serial line, and what is to be known from it."""

    def __init__(self):
        self.data = bytearray()
        self.results = []
        self.refusal = None     # why Trapline did not start
        self.panicked = False
        self.marker_at = None   # where Trapline's first line begins
        self._scanned = 0       # before this no unread RESULT line begins

    def add(self, chunk):
        self.data += chunk
        if self.marker_at is None:
            found = self.data.find(MARKER, max(0, len(self.data) - len(chunk) - len(MARKER)))
            self.marker_at = found if found >= 0 else None
        end = self.data.rfind(b"\n") + 1
        fresh = bytes(self.data[self._scanned:end])
        refusal = REFUSED.search(fresh)
        if refusal:
            self.refusal = refusal.group(1).decode("utf-8", "replace")
        self.panicked = self.panicked or PANIC.search(fresh) is not None
        for match in RESULT.finditer(fresh):
            self.results.append(Result(match.group(1).decode("utf-8", "replace"),
                                       int(match.group(2)),
                                       match.group(3).decode("utf-8", "replace")))
        self._scanned = max(self._scanned, end)

    def status(self):
        """The exit status that the results mean; None without a result."""
        if not self.results:
            return None
        for result in self.results:
            if result.status:
                return result.status & 0xff or 1
        return 0


class Keyboard:
    """The terminal's keys on their way to the guest: all but Ctrl-A X, which leaves.

    Ctrl-A and the key after it are held until both are known, then go on unchanged: Ctrl-A is
    Trapline's own key too, and what follows it is Trapline's business.
    """

    def __init__(self):
        self._held = False
        self.leave = False

    def feed(self, data):
        """What of `data` goes to the guest. Sets .leave when Ctrl-A X was among it."""
        output = bytearray()
        for byte in data:
            if self._held:
                self._held = False
                if byte in b"xX":
                    self.leave = True
                    break
                output += bytes((CONTROL_A, byte))
            elif byte == CONTROL_A:
                self._held = True
            else:
                output.append(byte)
        return bytes(output)


class Progress:
    """One line on stderr while nothing is heard; gone as soon as something is."""

    QUIET_S = 0.7

    def __init__(self, what):
        self.enabled = sys.stderr.isatty()
        self.what = what
        self.start = time.monotonic()
        self.heard = self.start - self.QUIET_S
        self.column_zero = True
        self.shown = False

    def tick(self):
        now = time.monotonic()
        if self.enabled and self.column_zero and now - self.heard >= self.QUIET_S:
            sys.stderr.write(f"\r\x1b[K{self.what} ... {now - self.start:.0f} s "
                             "(Ctrl-A X leaves)")
            sys.stderr.flush()
            self.shown = True

    def wipe(self):
        if self.shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self.shown = False

    def speak(self, chunk):
        """Something is about to be written to the terminal."""
        self.wipe()
        self.heard = time.monotonic()
        self.column_zero = chunk.endswith(b"\n")

    def trapline_is_up(self):
        self.what = "the guest is starting"

    def guest_is_up(self):
        self.enabled = False


class Terminal:
    """Standard input as a raw terminal, for as long as the machine runs."""

    def __init__(self):
        self.descriptor = sys.stdin.fileno()
        self._saved = None

    def enter(self):
        self._saved = termios.tcgetattr(self.descriptor)
        tty.setraw(self.descriptor)

    def leave(self):
        if self._saved is not None:
            termios.tcsetattr(self.descriptor, termios.TCSADRAIN, self._saved)
            self._saved = None


def die_with_parent():
    """In the child: an emulator never outlives the tool that started it."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGKILL)


class Session:
    """One run of one machine."""

    def __init__(self, emulator, settings, image, work):
        self.emulator, self.settings, self.image, self.work = emulator, settings, image, work
        self.transcript = Transcript()
        # "ended", "timeout", "left", "until", "stuck", "refused", "panic", "triple fault"
        self.outcome = None
        self.process = None
        self._stream = None
        self._log_read = 0
        self._log_look_at = 0.0

    # --- starting and ending ----------------------------------------------------------------
    def start(self):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind(("127.0.0.1", 0))
        listener.listen(1)
        plan = self.emulator.plan(self.settings, self.image, self.work,
                                  listener.getsockname()[1])
        for name, text in plan.files.items():
            with open(os.path.join(self.work, name), "w", encoding="utf-8") as file:
                file.write(text)
        if plan.prepare:
            plan.prepare()
        self.log_path = plan.log
        output = open(os.path.join(self.work, "emulator.out"), "wb")
        self.process = subprocess.Popen(
            plan.argv, env=dict(os.environ, **plan.environment), cwd=self.work,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True, preexec_fn=die_with_parent)
        output.close()
        self._accept(listener)

    def _accept(self, listener):
        listener.settimeout(0.2)
        deadline = time.monotonic() + CONNECT_S
        while self._stream is None and time.monotonic() < deadline:
            try:
                self._stream, _ = listener.accept()
            except socket.timeout:
                if self.process.poll() is not None:
                    break
        listener.close()
        if self._stream is not None:
            self._stream.setblocking(False)

    def kill(self):
        # Bochs 2.7 ignores SIGTERM, and nothing in these machines is worth saving.
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self._stream is not None:
            self._stream.close()

    # --- running ----------------------------------------------------------------------------
    def run(self, timeout_s=None, write=None, keys=None, progress=None, until=None, vm_names=(),
            serial_file=None, stay=False, cpu_limit_s=None):
        """Runs to the end, at most `timeout_s` by the clock and `cpu_limit_s` of the emulator's own
        processor time, which says the same on a busy machine. `write(bytes)` gets the output from Trapline's first line on; `keys` is
        a descriptor to read keys from; `until` a compiled pattern that ends the run; `stay` goes
        on with the firmware after a refusal."""
        deadline = time.monotonic() + timeout_s if timeout_s else None
        keyboard, pending = Keyboard(), bytearray()
        written, finish_by, finish_as = 0, None, None
        selector = selectors.DefaultSelector()
        if self._stream is None:
            self.outcome = "ended"
            return
        selector.register(self._stream, selectors.EVENT_READ, "serial")
        if keys is not None:
            selector.register(keys, selectors.EVENT_READ, "keys")
        try:
            while True:
                now = time.monotonic()
                if (deadline and now >= deadline) or (cpu_limit_s and
                                                      self._cpu_s() >= cpu_limit_s):
                    self.outcome = "timeout"
                    return
                if finish_by and now >= finish_by:
                    self.outcome = finish_as
                    return
                if self._triple_fault():
                    self.outcome = "triple fault"
                    return
                wait = min([0.25 if progress and progress.enabled else 1.0] +
                           [limit - now for limit in (deadline, finish_by) if limit])
                events = [(key.data, mask) for key, mask in selector.select(max(wait, 0))]
                for name, mask in events:
                    if name == "keys":
                        data = os.read(keys, 4096)
                        if not data:
                            selector.unregister(keys)
                            keys = None
                        # Until Trapline speaks a key would go to the firmware, which takes some
                        # as a wish to enter its menu.
                        accepted = keyboard.feed(data)
                        if self.transcript.marker_at is not None:
                            pending += accepted
                            if progress and accepted:
                                progress.wipe()
                                progress.guest_is_up()
                        if keyboard.leave:
                            self.outcome = "left"
                            return
                    elif mask & selectors.EVENT_READ:
                        # Output comes a byte at a time; a moment's patience saves a thousand
                        # rounds of this loop a second.
                        time.sleep(GATHER_S)
                        chunk = self._receive()
                        if chunk == b"":
                            self.outcome = "ended"
                            return
                        self.transcript.add(chunk)
                        if serial_file:
                            serial_file.write(chunk)
                            serial_file.flush()
                pending = self._send(selector, pending)
                written = self._show(write, progress, written)
                if until and until.search(plain(bytes(self.transcript.data[-UNTIL_BYTES:]))):
                    self.outcome = "until"
                    return
                if finish_by is None:
                    finish_as, grace_s = self._coming_end(vm_names, stay)
                    finish_by = time.monotonic() + grace_s if finish_as else None
                if progress:
                    progress.tick()
        finally:
            selector.close()

    def _coming_end(self, vm_names, stay):
        """How the run is about to end, by what was heard, and how long to wait for it."""
        heard = self.transcript
        if heard.panicked:
            return "panic", LAST_WORDS_S
        if heard.refusal is not None and not stay:
            return "refused", LAST_WORDS_S
        if vm_names and not stay and {result.vm for result in heard.results} >= set(vm_names):
            return "stuck", GRACE_S
        return None, 0

    def _cpu_s(self):
        """Processor time that the emulator has used; Linux's proc(5), /proc/PID/stat."""
        try:
            with open(f"/proc/{self.process.pid}/stat", encoding="ascii", errors="replace") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            return 0
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _receive(self):
        try:
            return self._stream.recv(65536)
        except BlockingIOError:
            return None
        except ConnectionError:
            return b""

    def _send(self, selector, pending):
        if pending:
            try:
                del pending[:self._stream.send(pending)]
            except BlockingIOError:
                pass
            except ConnectionError:
                pending.clear()
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if pending else 0)
        selector.modify(self._stream, events, "serial")
        return pending

    def _show(self, write, progress, written):
        """Writes what is new; the firmware's own output, with its escapes, is kept back."""
        begin = self.transcript.marker_at
        if begin is None or write is None:
            return written
        chunk = bytes(self.transcript.data[max(begin, written):])
        if chunk:
            if progress:
                progress.speak(chunk)
                progress.trapline_is_up()
                if b"guest is up" in self.transcript.data[-400:]:
                    progress.guest_is_up()
            write(chunk)
        return len(self.transcript.data)

    def _triple_fault(self):
        """Bochs 3 only warns of a triple fault of the machine itself, and spins."""
        now = time.monotonic()
        if self.emulator.kind != "bochs" or now < self._log_look_at or \
                not os.path.exists(self.log_path):
            return False
        self._log_look_at = now + LOG_LOOK_S
        with open(self.log_path, "rb") as file:
            file.seek(self._log_read)
            new = file.read()
        cut = new.rfind(b"\n") + 1
        self._log_read += cut
        return re.search(rb"3rd \(\d+\) exception", new[:cut]) is not None

    def log_tail(self, lines=8):
        """The end of what the emulator itself had to say."""
        for path in (self.log_path, os.path.join(self.work, "emulator.out")):
            if path and os.path.exists(path) and os.path.getsize(path):
                with open(path, "rb") as file:
                    text = plain(file.read()[-20000:])
                wanted = [line.rstrip() for line in text.splitlines()
                          if line.strip() and "VMEXIT: EPT violation" not in line]
                if wanted:
                    return wanted[-lines:]
        return []
