# Compiler settings that every target of ours shares. `weft_options` is private to the build: an SDK user never sees it.
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

# -O3 makes the whole build slower and only kernels faster: they ask for it themselves.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG" CACHE STRING "" FORCE)
# Test code is run once: what it costs is compiling it. (A sanitizer's checks that nothing removes would cost more.)
set(WEFT_TEST_COMPILE_OPTIONS $<IF:$<CONFIG:Release>,-O0,$<$<NOT:$<CONFIG:Debug>>:-O1>>)

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # The sloppiness is what ccache asks for with precompiled headers; without it no file that uses one is ever a hit. Paths
  # below the checkout count as relative to it, so that one checkout's objects serve another: a worktree, a fresh clone.
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros
      "CCACHE_BASEDIR=${CMAKE_SOURCE_DIR}" CCACHE_NOHASHDIR=1 "${CCACHE_PROGRAM}")
endif()

# A library found outside the system's own folders is found again by what is installed.
set(CMAKE_INSTALL_RPATH_USE_LINK_PATH ON)

add_library(weft_options INTERFACE)
target_link_libraries(weft_options INTERFACE Threads::Threads)
# Designated initialisers leave out what has a default: that is their point, so missing-field-initializers is off.
target_compile_options(weft_options INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wimplicit-fallthrough
  -Wformat=2 -Wundef -Wcast-align -Wno-missing-field-initializers -Werror -fvisibility=hidden -fvisibility-inlines-hidden)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # -Wconversion of g++ 12 sees sign changes too; the STL's inlining makes these cry wolf.
  target_compile_options(weft_options INTERFACE -Wno-maybe-uninitialized -Wno-restrict
    -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread -fpch-preprocess
    --param=ggc-min-heapsize=524288)  # the compiler collects its garbage later: a tenth faster, 50 MB more a process
else()
  # A precompiled header that holds the time of its making is another each time, and ccache never has a hit.
  target_compile_options(weft_options INTERFACE "SHELL:-Xclang -fno-pch-timestamp")
endif()

# Coverage for libFuzzer in every room; the programs of tests/fuzz link its main.
option(WEFT_FUZZ "Build the fuzzers of tests/fuzz; needs clang" OFF)
if(WEFT_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

if(WEFT_SANITIZE)
  add_compile_options(-fsanitize=${WEFT_SANITIZE} -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${WEFT_SANITIZE})
  if(WEFT_SANITIZE MATCHES "undefined")
    add_compile_options(-fno-sanitize-recover=undefined)
    if(NOT WEFT_FUZZ)
      # Not what the address sanitizer finds by itself, when the access goes wrong: a quarter of the time to compile.
      add_compile_options(-fno-sanitize=null,vptr,object-size,nonnull-attribute,returns-nonnull-attribute)
    endif()
  endif()
endif()
