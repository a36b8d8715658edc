"""System tests of interrupts = guest: the vCPU owns its core, with the core's local APIC and timer.
docs/interrupts.md says what it may do to the core; here is what it must not."""
from framework import Test

POWERED_OFF = r"RESULT vm=debian status=0 reason=power-off"
# What this mode is there to avoid.
NO_EXITS_FOR_TIME = [r"EXITS vm=debian .* (HLT|EXTERNAL_INTERRUPT|PREEMPTION_TIMER)="]


def vm(name, kernel, cmdline, vcpus=1, memory="32M", owns=True, extra=""):
    """One [vm] section."""
    return (f"[vm {name}]\nvcpus = {vcpus}\nmemory = {memory}\nkernel = {kernel}\n"
            f"interrupts = {'guest' if owns else 'vmm'}\n{extra}cmdline = {cmdline}\n")


def config(*sections):
    return "console = serial\n" + "".join(sections)


def debian(run, vcpus=1):
    return config(vm("debian", "vmlinuz", "console=ttyS0 quiet cryptomgr.notests "
                     f'trapline.run="{run}"', vcpus, "256M", extra="initrd = initrd.img\n"))


def owncore(name="own", cmdline="seconds=1", **others):
    return vm(name, "owncore.elf", cmdline, **others)


# Two VMCALLs that follow each other in the trace: nothing has exited between them.
NOTHING_BETWEEN = (r"TRACE own 0 \d+ [0-9a-f]+ \d+ 18 .*\n"
                   r".*TRACE own 0 \d+ [0-9a-f]+ \d+ 18 .*")
# The neighbour's sections tell of time that does not pass and of interrupts that do not come.
# Emulated cores take turns, and a crash report is printed at the speed of the serial line: a length of
# time may come out longer, as on a shared core, but never shorter.
def neighbour(sections):
    return vm("good", "selftest.elf", f"shared=1 only={sections}", owns=False, memory="64M")


NEIGHBOUR = neighbour("cpuid,msr,insn,time,lapic,x2apic")
# With four cores in turn Bochs is late by more than the checks of lengths of time allow.
NEIGHBOUR_OF_MANY = neighbour("cpuid,msr,insn,x2apic")
# Its status is its failures; its other lines may be torn by those of the VM beside it.
NEIGHBOUR_ENDS = r"RESULT vm=good status=0 reason=debug-exit"


def selftest(vcpus, cpus, **others):
    return Test(f"own-core-selftest-{vcpus}-vcpus-on-{cpus}",
                config(vm("selftest", "selftest.elf", "own-core=1", vcpus, "64M")), cpus=cpus,
                expect=[r"^(\[\w+\] )?\d+ passed, 0 failed, \d+ skipped$",
                        r"RESULT vm=selftest status=0 reason=debug-exit"], **others)


def no_exits(seconds, **others):
    return Test(f"own-core-no-exits-in-{seconds}-s",
                config(owncore(cmdline=f"seconds={seconds}", extra="trace = dump\n")), cpus=2,
                expect=[rf"^idle: {seconds}00 deadlines in {seconds} s",
                        r"^self-IPIs: 1000 held back, 1000 taken", r"^owncore: 0 failures",
                        NOTHING_BETWEEN, NOTHING_BETWEEN, NOTHING_BETWEEN,
                        r"RESULT vm=own status=0"], **others)


TESTS = [
    Test("own-core-debian", debian("sleep 3; uname -a"), cpus=2, limit_s=300,
         expect=[r"x2apic: enabled by BIOS|guest is up", r"^Linux debian ", POWERED_OFF],
         reject=NO_EXITS_FOR_TIME),
    Test("own-core-debian-smp", debian("sleep 1; nproc", vcpus=2), cpus=4, limit_s=600, long=True,
         expect=[r"guest is up \(Linux \S+, 2 CPUs", r"^2$", POWERED_OFF],
         # A kick that meets the hypervisor itself ends the next entry by the timer.
         reject=[r"EXITS vm=debian .* (HLT|EXTERNAL_INTERRUPT)=",
                 r"EXITS vm=debian .* PREEMPTION_TIMER=\d\d"]),
    # Without a core of its own for the rest, the hypervisor takes one back for it now and then.
    Test("own-core-debian-one-core", debian("sleep 1; uname -a"), cpus=1, limit_s=300,
         expect=[r"^Linux debian ", r"EXITS vm=debian .* PREEMPTION_TIMER=\d\d ", POWERED_OFF]),

    no_exits(2, limit_s=200), no_exits(10, limit_s=400, long=True),
    # Kicks get lost nowhere; cores whose guests do not let go are taken back.
    Test("own-core-taken-back", config(owncore(vcpus=2)), cpus=2, limit_s=300,
         expect=[r"^ok - no kick is lost among exits", r"^ok - no kick is lost in HLT",
                 r"^ok - no start-up message is lost",
                 r"^ok - others spin with interrupts off", r"RESULT vm=own status=0",
                 r"all VMs have ended"]),
    Test("own-core-spins-beside-another", config(owncore(cmdline="seconds=1 then=spin"), NEIGHBOUR),
         cpus=2, limit_s=300, until=NEIGHBOUR_ENDS, expect=[NEIGHBOUR_ENDS]),
    Test("own-core-crashes-beside-another",
         config(owncore(cmdline="seconds=1 then=crash"), NEIGHBOUR),
         cpus=2, limit_s=300, status=254,
         expect=[r"vm own: stopped: triple fault", NEIGHBOUR_ENDS, r"all VMs have ended"]),
    Test("own-core-misbehaves-beside-another",
         config(vm("a", "badguest.elf", "do=apic rounds=2000"),
                vm("b", "badguest.elf", "do=msrs rounds=2000"), NEIGHBOUR_OF_MANY),
         cpus=4, limit_s=400, long=True,
         expect=[NEIGHBOUR_ENDS], reject=[r"RESULT vm=\S+ status=(?!0 )"]),
    Test("own-core-storms-beside-another",
         config(vm("a", "badguest.elf", "do=nmi-storm rounds=2000"),
                vm("b", "badguest.elf", "do=irq-storm rounds=2000"), NEIGHBOUR_OF_MANY),
         cpus=4, limit_s=400, long=True,
         expect=[NEIGHBOUR_ENDS], reject=[r"RESULT vm=\S+ status=(?!0 )"]),
    Test("own-core-resets-beside-another", config(vm("a", "badguest.elf", "do=reset"), NEIGHBOUR),
         cpus=2, limit_s=400, long=True, until=NEIGHBOUR_ENDS,
         expect=[r"vm a: reset", r"vm a: reset", NEIGHBOUR_ENDS]),

    selftest(1, 2, limit_s=600, long=True),
    selftest(2, 2, limit_s=700, long=True),

    Test("own-core-too-few", config(owncore(vcpus=2)), cpus=1, status=253, limit_s=120,
         expect=[r"\[vm own\], line 2: interrupts = guest needs a core for each of its 2 vCPUs",
                 r"RESULT vm=own status=253 reason=not-started"]),
    # The one core is kept for those who share.
    Test("own-core-none-left", config(owncore(), NEIGHBOUR), cpus=1, status=253, limit_s=300,
         expect=[r"\[vm own\], line 2: interrupts = guest needs a core", NEIGHBOUR_ENDS]),
]
