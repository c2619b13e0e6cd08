# The CPU's kernels, compiled once for each instruction set; the best that the processor supports is chosen at run time
# (kernels/cpu/common/instruction_sets.cpp). Every kernels/cpu/*.cpp belongs to each set; what exists once (threads,
# memory, the choice) is in kernels/cpu/common.
#
# A set's objects are linked into one, in which only the function that hands out the set stays visible. Otherwise the
# linker would keep one copy of each inline function and template for all sets, those of std too, and a processor
# without AVX-512 could be given the one compiled for it.
#
# Sets handgrad_kernel_objects, the objects to link, and the target handgrad_kernel_sets, which makes them.
file(GLOB handgrad_common_kernels CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/common/*.cpp)
file(GLOB handgrad_set_kernels CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*.cpp)

if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64" AND CMAKE_EXECUTABLE_FORMAT STREQUAL "ELF" AND CMAKE_LINKER AND CMAKE_OBJCOPY)
  set(handgrad_sets_default baseline avx2 avx512)
  if(HANDGRAD_SANITIZE)
    set(handgrad_sets_default avx2)  # the sanitizers' own sections are not linked twice
  endif()
else()
  set(handgrad_sets_default baseline)
endif()
set(HANDGRAD_CPU_SETS "${handgrad_sets_default}" CACHE STRING
    "Instruction sets that the CPU's kernels are compiled for: some of baseline, avx2 (x86-64-v3), avx512 (x86-64-v4)")
set(handgrad_set_options_baseline "")
set(handgrad_set_options_avx2 -march=x86-64-v3)
set(handgrad_set_options_avx512 -march=x86-64-v4)
list(LENGTH HANDGRAD_CPU_SETS handgrad_sets_number)

# Never -ffast-math: a NaN must stay a NaN. Nobody reads errno after exp and log or traps floating-point exceptions, so
# a choice between two numbers needs no branch. Under sanitizers -O3 would take minutes for a file.
set(handgrad_kernel_options -fno-math-errno -fno-trapping-math -fno-lto
    $<$<CXX_COMPILER_ID:GNU>:-fno-gnu-unique>)  # objcopy leaves unique symbols visible
if(NOT HANDGRAD_SANITIZE)
  list(APPEND handgrad_kernel_options $<$<NOT:$<CONFIG:Debug>>:-O3>)
endif()

add_library(handgrad_kernels OBJECT ${handgrad_common_kernels})
target_link_libraries(handgrad_kernels PRIVATE xtensor-blas xtensor)
set(handgrad_kernel_objects $<TARGET_OBJECTS:handgrad_kernels>)
set(handgrad_set_files "")
set(handgrad_set_targets handgrad_kernels)
set(handgrad_set_list "")
foreach(set IN LISTS HANDGRAD_CPU_SETS)
  if(NOT DEFINED handgrad_set_options_${set})
    message(FATAL_ERROR "HANDGRAD_CPU_SETS: some of baseline, avx2, avx512 expected, '${set}' came")
  endif()
  set(target handgrad_kernels_${set})
  add_library(${target} OBJECT ${handgrad_set_kernels})
  list(APPEND handgrad_set_targets ${target})
  string(APPEND handgrad_set_list " X(${set})")
  target_compile_options(${target} PRIVATE ${handgrad_set_options_${set}})
  target_compile_definitions(${target} PRIVATE HANDGRAD_CPU_SET=${set})
  if(handgrad_sets_number EQUAL 1)
    list(APPEND handgrad_kernel_objects $<TARGET_OBJECTS:${target}>)
    continue()
  endif()
  set(object ${PROJECT_BINARY_DIR}/handgrad_cpu_${set}.o)
  add_custom_command(OUTPUT ${object}
    COMMAND ${CMAKE_LINKER} -r --force-group-allocation -o ${object} $<TARGET_OBJECTS:${target}>
    COMMAND ${CMAKE_OBJCOPY} --keep-global-symbol=handgrad_cpu_${set} ${object}
    DEPENDS ${target} $<TARGET_OBJECTS:${target}> COMMAND_EXPAND_LISTS VERBATIM)
  list(APPEND handgrad_set_files ${object})
endforeach()
list(APPEND handgrad_kernel_objects ${handgrad_set_files})
add_custom_target(handgrad_kernel_sets DEPENDS ${handgrad_set_files})
set_property(SOURCE ${CMAKE_CURRENT_LIST_DIR}/common/instruction_sets.cpp APPEND PROPERTY
  COMPILE_DEFINITIONS "HANDGRAD_CPU_SETS=${handgrad_set_list}")
foreach(target IN LISTS handgrad_set_targets)
  set_target_properties(${target} PROPERTIES
    POSITION_INDEPENDENT_CODE ON CXX_EXTENSIONS OFF INTERPROCEDURAL_OPTIMIZATION OFF)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PUBLIC ${PROJECT_SOURCE_DIR})
  target_link_libraries(${target} PRIVATE handgrad_own_flags)
  target_compile_options(${target} PRIVATE ${handgrad_kernel_options})
endforeach()
