# Small libraries are linked from their archives where those are there and link: mapping a shared library, relocating
# it and finding its functions takes longer than many a command (libcrypto most of all, of which SHA-256 alone is
# used). Elsewhere, and under sanitizers, which want to see into all of a process, the shared ones do.

include(CheckCSourceCompiles)

# aicfg_library(PREFIX HEADER STATEMENT): the target aicfg::PREFIX, a library that pkg_check_modules(PREFIX ...) found.
# STATEMENT is what must link. aicfg_PREFIX_library is what is linked, for checks, which know no targets of ours.
function(aicfg_library prefix header statement)
  set(target aicfg_library_${prefix})
  add_library(${target} INTERFACE)
  add_library(aicfg::${prefix} ALIAS ${target})
  target_include_directories(${target} SYSTEM INTERFACE ${${prefix}_INCLUDE_DIRS})
  set(library PkgConfig::${prefix})
  if(AICFG_STATIC_LIBRARIES AND NOT AICFG_SANITIZE_ADDRESS AND NOT AICFG_SANITIZE_THREAD AND NOT AICFG_FUZZ)
    list(GET ${prefix}_LIBRARIES 0 name)
    find_library(${prefix}_ARCHIVE NAMES lib${name}.a HINTS ${${prefix}_LIBDIR} ${${prefix}_LIBRARY_DIRS})
    mark_as_advanced(${prefix}_ARCHIVE)
    if(${prefix}_ARCHIVE)
      set(CMAKE_REQUIRED_INCLUDES ${${prefix}_INCLUDE_DIRS})
      set(CMAKE_REQUIRED_LIBRARIES ${${prefix}_ARCHIVE})
      check_c_source_compiles("#include <stddef.h>
        #include <${header}>
        int main(void) { return (${statement}) == 0; }" ${prefix}_ARCHIVE_LINKS)
      if(${prefix}_ARCHIVE_LINKS)
        set(library ${${prefix}_ARCHIVE})
      endif()
    endif()
  endif()
  target_link_libraries(${target} INTERFACE ${library})
  set(aicfg_${prefix}_library ${library} PARENT_SCOPE)
endfunction()
