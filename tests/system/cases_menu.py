"""The stick's menu: on the serial line, where its rows come with the cursor's movements between."""
from framework import Test

PREFLIGHT = b"mode = preflight\n"
SELFTEST = (b"console = serial\non-exit = firmware\n[vm a]\nmemory = 32M\nkernel = selftest.elf\n"
            b"cmdline = only=cpuid\n")
DOWN, UP, ESCAPE = "\x1b[B", "\x1b[A", "\x1b"
KEYS_LINE = r"Up, Down: mark   Enter: start"
REFUSED = 126
NO_RESULT = 125
EVEN_MISSING = ["--allow-missing"]


def menu(seconds, *titles_and_files):
    lines = [f"menu = {seconds}"]
    for title, name in titles_and_files:
        lines += [f"[menu {title}]", f"config = {name}"]
    return "\n".join(lines + [""])


TWO = menu(0, ("The guest", "guest.cfg"), ("The page", "page.cfg"))
FILES = {"guest.cfg": SELFTEST, "page.cfg": PREFLIGHT}

TESTS = [
    # The page, the menu again, out to the firmware's shell, and the choice is marked next time.
    Test("menu-keys", TWO, files=FILES, host="tcg", status=NO_RESULT, limit_s=40,
         dialogue=[(r"> 1  The guest(?s:.*)" + KEYS_LINE, DOWN),
                   (r"> 2  The page", "\r"),
                   (r"configuration +this page alone(?s:.*)Press a key to go on, to the menu", " "),
                   (r"> 2  The page(?s:.*)" + KEYS_LINE, ESCAPE),
                   (r"Trapline was left; nothing was started", ""),
                   (r"Shell> ", "FS0:\\EFI\\BOOT\\BOOTX64.EFI\r"),
                   (r"> 2  The page(?s:.*)" + KEYS_LINE, ESCAPE),
                   (r"Shell> ", "reset -s\r")]),
    Test("menu-clock", menu(2, ("The page", "page.cfg")), files=FILES, host="tcg", limit_s=40,
         until=r"Press a key to go on, to the menu",
         expect=[r"The marked entry starts in 2 seconds; any key stops the clock",
                 r"starts in 1 second;", r"configuration +this page alone"]),
    # A guest, by the clock, on a processor that has VT-x; when it has ended the menu comes again.
    Test("menu-guest", menu(1, ("The guest", "guest.cfg"), ("The page", "page.cfg")), files=FILES,
         limit_s=90, until=r"Press a key to go on, to the menu",
         expect=[KEYS_LINE, r"RESULT vm=a status=0 reason=debug-exit", r"Press a key to go on"]),
    # The machine's own firmware goes on, as the guest.
    Test("menu-thin", menu(1, ("Thin", "thin.cfg")), limit_s=90, long=True, until=r"Shell> ",
         files={"thin.cfg": b"console = serial\nmode = thin\n"}, reject=[r"TRAPLINE: refused"],
         expect=[KEYS_LINE, r"thin mode: the machine itself is the guest", r"Shell> "]),
    Test("menu-entry-with-a-mistake", menu(1, ("Wrong", "wrong.cfg")), host="tcg", limit_s=40,
         files={"wrong.cfg": b"[vm a]\nmemori = 1M\n"}, status=REFUSED,
         expect=[r"TRAPLINE: refused: wrong\.cfg, line 2: found the unknown key 'memori'; "
                 r"expected 'memory' perhaps"]),
    Test("menu-in-a-menu", menu(1, ("Again", "again.cfg")), host="tcg", limit_s=40,
         files={"again.cfg": b"\n[menu x]\nconfig = y\n"}, arguments=EVEN_MISSING, status=REFUSED,
         expect=[r"TRAPLINE: refused: again\.cfg, line 2: found \[menu x\]; expected no menu"]),
    Test("menu-entry-missing", menu(1, ("Gone", "gone.cfg")), host="tcg", limit_s=40,
         arguments=EVEN_MISSING, status=REFUSED,
         expect=[r"TRAPLINE: refused: the configuration 'gone\.cfg' is not on the boot volume"]),
    Test("menu-with-a-mistake", "menu = 3\n[menu A]\n[menu B]\nconfig = b.cfg\n", host="tcg",
         arguments=EVEN_MISSING, status=REFUSED, limit_s=40,
         expect=[r"TRAPLINE: refused: trapline\.cfg, line 2: found \[menu A\] without the key "
                 r"'config'; expected config = FILE"]),
]
