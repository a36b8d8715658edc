# Trapline. Targets only; how a thing is made stands with the thing.
#   make            build/BOOTX64.EFI
#   make unit       build and run the unit tests (ASan, UBSan)
#   make fuzz-short / make fuzz
#   make check      everything (tools/check); make check-long: the whole matrix of system tests
#   make usb        an image for a USB stick; make sign KEY=... CERT=...: for Secure Boot
#   make explain    every case of the VM-entry checks against Bochs (tools/explain)
BUILD   := build
CC      := gcc
NASM    := nasm
OBJCOPY := objcopy
CLANG   := clang
DEBUG   ?= 0

GNUEFI_INC := /usr/include/efi
GNUEFI_LIB := /usr/lib

WARN   := -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wvla -Wundef
INC    := -Ivmm/include -Iarch/x86/include -I. -I$(BUILD)/gen
CFLAGS := -std=gnu17 -g $(WARN) $(INC) -ffreestanding -fno-builtin-printf -fshort-wchar -fpic \
          -mgeneral-regs-only -mno-red-zone -fno-stack-protector -fno-stack-check \
          -fno-strict-aliasing -fvisibility=hidden -fno-asynchronous-unwind-tables \
          -ffunction-sections -fdata-sections \
          -fcf-protection=none -fno-tree-loop-distribute-patterns -ffile-prefix-map=$(CURDIR)=. \
          -DHV_DEBUG=$(DEBUG)
# nasm 2.16.03 warns of each 32-bit relative address that the linker is to fill in: all of them are.
NASMFLAGS := -f elf64 -Ox -Wall -w-unknown-warning -w-reloc-rel-dword
BOOT_CFLAGS := -isystem $(GNUEFI_INC) -isystem $(GNUEFI_INC)/x86_64 -DGNU_EFI_USE_MS_ABI

C_SRCS   := $(sort $(wildcard boot/*.c vmm/*/*.c arch/x86/*/*.c drivers/*.c))
ASM_SRCS := $(sort $(wildcard boot/*.asm arch/x86/*/*.asm))
OBJS     := $(C_SRCS:%.c=$(BUILD)/obj/%.o) $(ASM_SRCS:%.asm=$(BUILD)/obj/%.asm.o) \
            $(BUILD)/obj/gen/font.o $(BUILD)/obj/gen/lab_table.o

all: $(BUILD)/BOOTX64.EFI

# Small, except what runs at an exit, which is to be quick.
$(BUILD)/obj/%.o: CFLAGS += -Os
QUICK := $(addprefix arch/x86/apic/,lapic lapic_irq lapic_timer) arch/x86/mm/guest_walk \
         $(addprefix arch/x86/emul/,address alu decode execute registers) \
         $(addprefix arch/x86/vmx/,apic apicv event exit_basic exit_cr exit_io exit_memory guest_% hot% msr \
                                   own_core% run stats switch thin_hot warm) \
         $(addprefix vmm/core/,bus core timer_queue vm_clock) vmm/lib/range_map vmm/lib/string \
         $(addprefix vmm/devices/,acpi_pm ioapic pci_host pic8259 uart16550)
$(QUICK:%=$(BUILD)/obj/%.o): CFLAGS += -O2

$(BUILD)/obj/boot/%.o: boot/%.c
	@mkdir -p $(@D)
	@echo '  CC    $<'
	@$(CC) $(CFLAGS) $(BOOT_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	@echo '  CC    $<'
	@$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

# Of the registers that a function may change, entry.asm saves only RAX, RBX, RCX, RDX and RDI around
# the hot way: the others are kept by it.
$(patsubst %,$(BUILD)/obj/arch/x86/vmx/%.o,hot hot_recorded thin_hot): \
    CFLAGS += -fcall-saved-rsi -fcall-saved-r8 -fcall-saved-r9 -fcall-saved-r10 -fcall-saved-r11

# The console's font comes out of a Debian font package.
$(BUILD)/gen/font.c: tools/gen-font
	@mkdir -p $(@D)
	@echo '  FONT  $@'
	@tools/gen-font > $@.part && mv $@.part $@

# Structure offsets for nasm come from the compiler, never by hand.
$(BUILD)/gen/offsets.inc: arch/x86/vmx/offsets.gen.h
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) -fvisibility=default -MMD -MP -MT $@ -MF $@.d -c -x c $< -o $(@:.inc=.o)
	@nm -S -t d $(@:.inc=.o) | awk '$$3 ~ /[BCD]/ { printf "%%define %s %d\n", $$4, $$2 - 1 }' > $@

# nasm names no included file among what an object depends on.
$(BUILD)/obj/%.asm.o: %.asm $(BUILD)/gen/offsets.inc $(wildcard arch/x86/*/*.inc)
	@mkdir -p $(@D)
	@echo '  NASM  $<'
	@$(NASM) $(NASMFLAGS) -I $(BUILD)/gen/ -MD $(@:.o=.d) $< -o $@

# -z text: a relocation in read-only memory is a mistake, and is refused here.
# --gc-sections: what nothing calls but a test stays outside.
# _entry: what the start code of gnu-efi 3.0.18 calls; older ones call efi_main themselves.
link = ld -nostdlib --gc-sections -znocombreloc -zpack-relative-relocs -ztext -zmax-page-size=4096 --hash-style=gnu -shared \
   -Bsymbolic --no-undefined -T boot/trapline.lds --build-id=none --defsym=_entry=efi_main \
   $(GNUEFI_LIB)/crt0-efi-x86_64.o $(1) -L$(GNUEFI_LIB) -lgnuefi -o $(2)
SECTIONS := $(addprefix -j ,.text .rodata .relr .relro .dynamic .reloc .data)

# Functions' names, for a panic: read from a first link without them. They lie behind the code, so that
# the second link leaves it where it is, which is checked. What never runs beside a VM has none.
UNNAMED := boot/% arch/x86/vmx/check% arch/x86/vmx/explain% arch/x86/vmx/lab%

$(BUILD)/gen/no_symbols.c: tools/gen-symbols
	@mkdir -p $(@D)
	@tools/gen-symbols --empty > $@

$(BUILD)/unnamed.so: $(OBJS) $(BUILD)/obj/gen/no_symbols.o boot/trapline.lds
	@echo '  LD    $@'
	@$(call link,$(OBJS) $(BUILD)/obj/gen/no_symbols.o,$@)

$(BUILD)/gen/symbols.c: $(BUILD)/unnamed.so tools/gen-symbols
	@tools/gen-symbols $< $(filter $(UNNAMED:%=$(BUILD)/obj/%),$(OBJS)) > $@

$(BUILD)/obj/gen/%.o: $(BUILD)/gen/%.c
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/trapline.so: $(OBJS) $(BUILD)/obj/gen/symbols.o boot/trapline.lds
	@echo '  LD    $@'
	@$(call link,$(OBJS) $(BUILD)/obj/gen/symbols.o,$@)
	@tools/gen-symbols --check $(BUILD)/unnamed.so $@

# The file carries the image packed, and unpacks it (boot/unpack).
$(BUILD)/trapline.gz: $(BUILD)/trapline.so tools/pack-image
	@echo '  PACK  $@'
	@$(OBJCOPY) -O binary $(SECTIONS) $< $(BUILD)/trapline.bin
	@tools/pack-image $(BUILD)/trapline.bin $$(($(call symbol,image_text_end) - 4096)) $@

UNPACK_OBJS := $(addprefix $(BUILD)/obj/,boot/unpack/main.o boot/unpack/inflate.o \
                 boot/unpack/branches.o boot/relocate.o boot/page_rights.o \
                 boot/unpack/string.o boot/unpack/payload.asm.o)
# What is compiled, and how, stands here.
$(OBJS) $(UNPACK_OBJS): Makefile
symbol = 0x$$(nm $(BUILD)/trapline.so | awk '$$3 == "$(1)" { print $$1 }')

$(BUILD)/obj/boot/unpack/payload.asm.o: boot/unpack/payload.asm $(BUILD)/trapline.gz
	@mkdir -p $(@D)
	@$(NASM) $(NASMFLAGS) -DPAYLOAD='"$(BUILD)/trapline.gz"' -DIMAGE_ENTRY=$(call symbol,_start) \
	   -DIMAGE_TEXT_END=$(call symbol,image_text_end) -DIMAGE_END=$(call symbol,image_data_end) \
	   -DIMAGE_BYTES=$$(stat -c %s $(BUILD)/trapline.bin) $< -o $@

# Here small is better than quick.
$(BUILD)/obj/boot/unpack/string.o: vmm/lib/string.c
	@mkdir -p $(@D)
	@echo '  CC    $<'
	@$(CC) $(CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/unpack.so: $(UNPACK_OBJS) boot/trapline.lds
	@$(call link,$(UNPACK_OBJS),$@)

# The time stamp of the image is that of the epoch, so that the same sources give the same bytes. Of .data
# there is nothing but a word of gnu-efi's start code, which nobody reads: it would be a block of the file.
$(BUILD)/BOOTX64.EFI: $(BUILD)/unpack.so
	@! nm $< | grep -i ' d ' | grep -v ' _DYNAMIC$$\| dummy$$'
	SOURCE_DATE_EPOCH=0 $(OBJCOPY) -S $(subst -j .data,,$(SECTIONS)) -j .bss --target=efi-app-x86_64 --subsystem=10 $< $@

# Runs in the operating system that runs in thin mode (docs/thin.md).
THIN_PROGRAMS := $(addprefix $(BUILD)/,trapctl thin-probe thin-cost)
$(THIN_PROGRAMS): $(BUILD)/%: guest/linux/%.c arch/x86/include/x86/thin.h arch/x86/include/x86/trace.h arch/x86/vmx/exits.def
	@mkdir -p $(@D)
	@echo '  CC    $@'
	@$(CC) -std=gnu17 -O2 -s -static $(WARN) -Ivmm/include -Iarch/x86/include -I. $< -o $@
trapctl: $(THIN_PROGRAMS) $(BUILD)/thin-call.efi $(BUILD)/entry.efi
.PHONY: trapctl

include guest/guest.mk
include guest/lab/lab.mk
include tests/uefi/uefi.mk

# --- host tests -----------------------------------------------------------------------------
HOST_CFLAGS := -std=gnu17 -O1 -g $(WARN) -Ivmm/include -Iarch/x86/include -Itests/fake -I. -DHV_DEBUG=1
UNIT  := $(patsubst tests/unit/%.c,$(BUILD)/unit/%,$(sort $(wildcard tests/unit/test_*.c)))
FUZZ  := $(patsubst tests/fuzz/%.c,$(BUILD)/fuzz/%,$(sort $(wildcard tests/fuzz/fuzz_*.c)))
# The first lines of a test say what it links: "// SRCS: a.c b.c" and "// LIBS: -lfoo". Tests of
# boot/ with a firmware of their own (tests/fake/uefi.h) say "// UEFI".
srcs_of = $(shell sed -n 's,^// SRCS: *,,p' $(1))
libs_of = $(shell sed -n 's,^// LIBS: *,,p' $(1))
uefi_of = $(if $(shell grep -x '// UEFI' $(1)),$(BOOT_CFLAGS) -fshort-wchar)

.SECONDEXPANSION:
$(BUILD)/unit/%: tests/unit/%.c $$(call srcs_of,tests/unit/$$*.c) $(wildcard vmm/include/hv/* arch/x86/include/x86/* arch/x86/vmx/*.def arch/x86/vmx/*.h tests/fake/*)
	@mkdir -p $(@D)
	@echo '  TEST  $@'
	@$(CC) $(HOST_CFLAGS) -fsanitize=address,undefined -fno-sanitize-recover=undefined $(call uefi_of,$<) $< $(call srcs_of,$<) -o $@ -lcmocka $(call libs_of,$<)

$(BUILD)/fuzz/%: tests/fuzz/%.c $$(call srcs_of,tests/fuzz/$$*.c) $(wildcard vmm/include/hv/* arch/x86/include/x86/* arch/x86/vmx/*.def arch/x86/vmx/*.h tests/fake/*)
	@mkdir -p $(@D)
	@echo '  FUZZ  $@'
	@$(CLANG) $(HOST_CFLAGS) -Wno-unused-command-line-argument -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined $< $(call srcs_of,$<) -o $@ $(call libs_of,$<)

unit: $(UNIT)
	@fail=0; for t in $(UNIT); do echo "== $$t"; timeout -k 5 300 $$t || fail=1; done; exit $$fail

unit-build: $(UNIT)
fuzz-build: $(FUZZ)

FUZZ_SECONDS ?= 600
fuzz: $(FUZZ)
	@for f in $(FUZZ); do echo "== $$f"; mkdir -p $(BUILD)/corpus/$$(basename $$f); \
	  $$f -max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 $(BUILD)/corpus/$$(basename $$f) || exit 1; done
fuzz-short:
	@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=8

check:
	tools/check
check-long:
	tools/check --long
run:
	tools/run
# Every case of the VM-entry checks, entered in Bochs.
explain: $(BUILD)/BOOTX64.EFI
	tools/explain $(EXPLAIN_ARGUMENTS)
usb: $(BUILD)/BOOTX64.EFI
	tools/usb $(if $(KEY)$(CERT),--key "$(KEY)" --cert "$(CERT)")
# For Secure Boot: build/signed/BOOTX64.EFI, and the certificate as firmware wants it.
sign: $(BUILD)/BOOTX64.EFI
	tools/sign --key "$(KEY)" --cert "$(CERT)"
clean:
	rm -rf $(BUILD)

.PHONY: all unit unit-build fuzz fuzz-build fuzz-short check check-long run explain usb sign clean
.DELETE_ON_ERROR:
-include $(OBJS:.o=.d) $(BUILD)/gen/offsets.inc.d
