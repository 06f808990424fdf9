# @{description}: needs @{packages} (packages of Debian and Ubuntu).
replay-@{board}: $(BUILD)/replay-@{board}.elf
	@@{emulator} $<

$(BUILD)/replay-@{board}.elf: $(REPLAY) $(wildcard board/*)
	@mkdir -p $(BUILD)
	@{compiler} @{flags} $(BOARD_FLAGS) @{linker_flags} @{prefix}.c replay.c replay_main.c @{sources} -lgcc -o $@

