"""What tools/cost thin makes of the output of guest/linux/thin-cost.c, which has run natively and in
thin mode: tables, and what is above the aim.
"""
import re

# The kernel is told the speed of the time stamp counter (pylib.emulator.FIXED_IPS): CPUID leaf 15H of
# the emulated processor tells of a 35 times faster one, and each wait would last as much longer. It
# stays at its place, so that both find the same work.
TSC_KHZ = 100_000
OPTIONS = (r"\vmlinuz initrd=\initrd.img initrd=\thin.img console=ttyS0 quiet cryptomgr.notests "
           f"nokaslr tsc_early_khz={TSC_KHZ} rdinit=/sbin/thin-cost trapline.run=thin-cost")
AIM = 0.002  # of the native ticks
CLOCK_TICK = TSC_KHZ * 4  # of a kernel with 250 a second, for which it waits here and there

# name: what it does, and whether the aim holds for it
PROGRAMS = {
    "copy": ("copying 32 MB, by words", True),
    "walk": ("524,288 loads, each from another page of 32 MB", True),
    "getppid": ("100,000 system calls (`getppid`)", True),
    "process": ("20 programs: fork, exec, exit, wait", False),
    "cpuid": ("10,000 CPUID", False),
}


class Figures:
    """One run's. ValueError: something is missing in its output."""

    def __init__(self, text):
        self.entry, self.init, kernel_us, self.exits_init = self._find(
            text, r"^COST entry=(\d+) init=(\d+) kernel_us=(\d+) exits=(\d+)")
        if not 0 < self.entry < self.init or not kernel_us:
            raise ValueError("the kernel knows not when it was entered, or when it ran init")
        self.kernel = kernel_us * TSC_KHZ // 1000
        self.reasons = {}
        for name, exits in re.findall(r"^\d+ +(\S+) +(\d+) +\d+ +\d+$", text, re.MULTILINE):
            self.reasons[name] = self.reasons.get(name, 0) + int(exits)
        rate = re.search(r"^RATE exits=(\d+) seconds=(\d+)", text, re.MULTILINE)
        self.idle_exits, self.idle_seconds = map(int, rate.groups()) if rate else (0, 0)
        self.programs = {}
        for name in PROGRAMS:
            self.programs[name] = self._find(
                text, rf"^COST program={name} runs=\d+ least=(\d+) most=(\d+) exits=(\d+)")

    @staticmethod
    def _find(text, pattern):
        match = re.search(pattern, text, re.MULTILINE)
        if not match:
            raise ValueError(f"no line '{pattern}' in the output")
        return [int(number) for number in match.groups()]

    @property
    def is_thin(self):
        return bool(self.reasons)

    @property
    def boot(self):
        return self.init - self.entry


def aligned(rows):
    """A table in Markdown whose columns line up: the first to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]

    def line(row):
        cells = [row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width
                                             in zip(row[1:], widths[1:])]
        return "| " + " | ".join(cells) + " |"

    rule = "|" + "|".join("-" * (width + 1) + ("-" if i == 0 else ":")
                          for i, width in enumerate(widths)) + "|"
    return [line(rows[0]), rule] + [line(row) for row in rows[1:]]


def difference(native, thin):
    return f"{(thin - native) / native:+.3%}"


def cpuid_ticks(native, thin):
    """What one CPUID takes longer in thin mode."""
    calls = thin.programs["cpuid"][2]
    return (thin.programs["cpuid"][0] - native.programs["cpuid"][0]) / calls if calls else 0


def exits_table(thin):
    rows = [("exits in thin mode", "")]
    rows += [(name, f"{exits:,}") for name, exits in sorted(thin.reasons.items(),
                                                           key=lambda item: (-item[1], item[0]))]
    rows += [("**from the start to the shell**", f"**{sum(thin.reasons.values()):,}**"),
             ("of these, until the first process runs", f"{thin.exits_init:,}"),
             (f"**in {thin.idle_seconds} idle seconds**", f"**{thin.idle_exits:,}**")]
    return aligned(rows)


def ticks_table(native, thin):
    handled = round(thin.exits_init * cpuid_ticks(native, thin))
    rows = [("ticks", "native", "thin mode", "difference", "spread", "exits"),
            ("from the kernel's entry to init", f"{native.boot:,}", f"{thin.boot:,}",
             difference(native.boot, thin.boot), "", f"{thin.exits_init:,}"),
            ("… of these, since the kernel has a clock", f"{native.kernel:,}", f"{thin.kernel:,}",
             difference(native.kernel, thin.kernel), "", ""),
            ("… reckoned: its exits, each as long as a CPUID", "", f"{native.boot + handled:,}",
             difference(native.boot, native.boot + handled), "", f"{thin.exits_init:,}")]
    for name, (title, _) in PROGRAMS.items():
        (one, one_most, _), (other, other_most, exits) = native.programs[name], thin.programs[name]
        spread = max(one_most / one, other_most / other) - 1
        rows.append((title, f"{one:,}", f"{other:,}", difference(one, other), f"{spread:.3%}",
                     f"{exits:,}"))
    rows[-1] = rows[-1][:3] + (f"+{cpuid_ticks(native, thin):.1f} each",) + rows[-1][4:]
    return aligned(rows)


def tables(native, thin):
    return exits_table(thin) + [""] + ticks_table(native, thin)


def above_aim(native, thin):
    """What is not as it should be, in words."""
    found = []
    if thin.idle_exits or not thin.idle_seconds:
        found.append(f"{thin.idle_exits} exits in {thin.idle_seconds} idle seconds")
    handled = thin.exits_init * cpuid_ticks(native, thin)
    pairs = [("from the kernel's entry to init", native.boot, thin.boot - CLOCK_TICK),
             ("the exits until then", native.boot, native.boot + handled),
             ("since the kernel has a clock", native.kernel, thin.kernel - CLOCK_TICK)]
    pairs += [(title, native.programs[name][0], thin.programs[name][0])
              for name, (title, aimed) in PROGRAMS.items() if aimed]
    for title, one, other in pairs:
        if other > one * (1 + AIM):
            found.append(f"{title}: {difference(one, other)} ticks, above {AIM:+.1%}")
    return found
