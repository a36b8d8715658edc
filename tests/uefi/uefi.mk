# UEFI applications: consoles.efi tests drivers on machines without VT-x, entry.efi tells a kernel when
# it was started, thin-call.efi makes thin mode's hypercalls.
UEFI_TEST_OBJS := $(addprefix $(BUILD)/obj/,tests/uefi/consoles.o boot/relocate.o vmm/lib/string.o \
    vmm/lib/format.o arch/x86/cpu/acpi_host.o arch/x86/cpu/acpi_s5.o arch/x86/cpu/acpi_spcr.o \
    $(patsubst %,drivers/%.o,machine_serial machine_keyboard uart16550_host pci_scan \
    ps2_decode usb_keyboard usb_descriptors xhci_start xhci_ring xhci_port xhci_device xhci_hub))

$(BUILD)/obj/tests/uefi/%.o: tests/uefi/%.c
	@mkdir -p $(@D)
	@echo '  CC    $<'
	@$(CC) $(CFLAGS) $(BOOT_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/consoles.so: $(UEFI_TEST_OBJS) boot/trapline.lds
	@$(call link,$(UEFI_TEST_OBJS),$@)

UEFI_ENTRY_OBJS := $(addprefix $(BUILD)/obj/,tests/uefi/entry.o boot/relocate.o vmm/lib/string.o \
    vmm/lib/format.o)
$(BUILD)/entry.so: $(UEFI_ENTRY_OBJS) boot/trapline.lds
	@$(call link,$(UEFI_ENTRY_OBJS),$@)

THIN_CALL_OBJS := $(addprefix $(BUILD)/obj/,tests/uefi/thin_call.o boot/relocate.o \
    vmm/lib/string.o vmm/lib/format.o)
$(BUILD)/thin-call.so: $(THIN_CALL_OBJS) boot/trapline.lds
	@$(call link,$(THIN_CALL_OBJS),$@)

$(BUILD)/consoles.efi $(BUILD)/entry.efi $(BUILD)/thin-call.efi: $(BUILD)/%.efi: $(BUILD)/%.so
	@SOURCE_DATE_EPOCH=0 $(OBJCOPY) -S $(SECTIONS) -j .bss --target=efi-app-x86_64 --subsystem=10 $< $@

-include $(UEFI_TEST_OBJS:.o=.d) $(UEFI_ENTRY_OBJS:.o=.d) $(THIN_CALL_OBJS:.o=.d)
