# What libhandgrad.so, libhandgrad_mpi.so and libhandgrad_onnx.so export: everything in namespace handgrad (functions, vtables, type information, statics of inline
# functions) except namespaces that no installed header declares. A version script lists the mangled names (Itanium C++
# ABI), where a template's result or arguments cannot be mistaken for its name:
#   _ZN8handgrad6randnIfEE…   handgrad::randn<float>(…)        _ZTVN8handgrad5LayerIfEE   vtable for handgrad::Layer<float>

# handgrad_version_script(FILE HIDDEN…): writes it to FILE, hiding the namespaces HIDDEN of handgrad.
function(handgrad_version_script file)
  # The linker prefers a pattern that exports over one that hides, so the hidden names are excluded from the exported
  # ones: without `kernels`, 7 characters long, what follows `_ZN8handgrad` is not 7, or 7 and not k, or 7k and not e, …
  set(suffixes "")
  set(firsts "")
  foreach(namespace IN LISTS ARGN)
    string(LENGTH ${namespace} length)
    set(name ${length}${namespace})
    string(SUBSTRING ${name} 0 1 first)
    if(first IN_LIST firsts)
      message(FATAL_ERROR "handgrad_version_script: the lengths of two hidden namespaces begin with ${first}")
    endif()
    list(APPEND firsts ${first})
    string(LENGTH ${name} length)
    math(EXPR last "${length} - 1")
    foreach(i RANGE 1 ${last})
      string(SUBSTRING ${name} 0 ${i} begin)
      string(SUBSTRING ${name} ${i} 1 next)
      list(APPEND suffixes "${begin}[!${next}]*")
    endforeach()
  endforeach()
  list(JOIN firsts "" firsts)
  list(APPEND suffixes "[!${firsts}]*")

  set(shown "")
  # Functions and variables, plain, const, and &- or &&-qualified; then what the compiler adds: type information,
  # vtables, their thunks, and statics of inline functions with their guards.
  foreach(prefix _ZN _ZNK _ZNR _ZNO _ZNKR _ZNKO _ZTIN _ZTSN _ZTVN _ZTTN _ZTCN _ZThn*_N _ZTv0_n*_N _ZGVN _ZZN _ZZNK _ZGVZN _ZGVZNK)
    foreach(suffix IN LISTS suffixes)
      string(APPEND shown "    ${prefix}8handgrad${suffix};\n")
    endforeach()
  endforeach()
  file(CONFIGURE OUTPUT ${file} CONTENT "{\n  global:\n@shown@  local:\n    *;\n};\n" @ONLY)
endfunction()

# handgrad_limit_symbols(TARGET): limits a shared library's exports; does nothing without an ELF linker.
include(CheckCXXSourceCompiles)
function(handgrad_limit_symbols target)
  set(script ${PROJECT_BINARY_DIR}/handgrad.map)
  handgrad_version_script(${script} kernels formulas view)
  set(CMAKE_REQUIRED_LINK_OPTIONS -Wl,--version-script=${script})
  check_cxx_source_compiles("int main() {}" HANDGRAD_VERSION_SCRIPT)
  if(HANDGRAD_VERSION_SCRIPT)
    target_link_options(${target} PRIVATE -Wl,--version-script=${script})
    set_property(TARGET ${target} APPEND PROPERTY LINK_DEPENDS ${script})
  endif()
endfunction()
