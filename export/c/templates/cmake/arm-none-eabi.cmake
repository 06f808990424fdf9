# CMake toolchain for Arm Cortex-M with arm-none-eabi-gcc:
#
#   cmake -B build-m4 -DCMAKE_TOOLCHAIN_FILE=arm-none-eabi.cmake -DLNN_BOARD=m4
#   cmake --build build-m4 && ctest --test-dir build-m4
#
# LNN_BOARD is one of @{board_names}; ctest runs the replay on that board under QEMU.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_C_COMPILER arm-none-eabi-gcc)
# There is no program to run before the linker script is known.
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(CMAKE_TRY_COMPILE_PLATFORM_VARIABLES LNN_BOARD)

set(LNN_BOARD m4 CACHE STRING "@{board_names}")
@{board_settings}
else()
  message(FATAL_ERROR "LNN_BOARD is ${LNN_BOARD}; allowed: @{board_names}.")
endif()
# Headers for compilers that come without a C library, behind those of the compiler.
string(APPEND CMAKE_C_FLAGS_INIT
  " -ffunction-sections -fdata-sections -idirafter ${CMAKE_CURRENT_LIST_DIR}/board/include")
