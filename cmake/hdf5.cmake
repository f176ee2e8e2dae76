# The target hdf5: its archive where one links, else what find_package(HDF5) found.
#
# Debian's shared library can read from S3 and for that maps libcurl and thirty libraries behind it: a third of the
# time of a one-point `estimate`. Nothing of the archive that is linked here refers to them. Sanitizers are told by
# the library's name what is HDF5's own doing (its leaks on damaged files), so their builds keep to the shared one.

add_library(hdf5 INTERFACE)
target_include_directories(hdf5 INTERFACE ${HDF5_C_INCLUDE_DIRS})

set(hdf5_libraries ${HDF5_C_LIBRARIES})
if(AICFG_STATIC_HDF5 AND NOT AICFG_SANITIZE_ADDRESS AND NOT AICFG_SANITIZE_THREAD AND NOT AICFG_FUZZ)
  include(CheckCSourceCompiles)
  list(GET HDF5_C_LIBRARIES 0 hdf5_shared)
  get_filename_component(hdf5_folder "${hdf5_shared}" DIRECTORY)
  find_library(HDF5_ARCHIVE NAMES libhdf5.a libhdf5_serial.a HINTS "${hdf5_folder}")
  find_library(SZIP_ARCHIVE NAMES libsz.a)
  find_library(AEC_ARCHIVE NAMES libaec.a)
  mark_as_advanced(HDF5_ARCHIVE SZIP_ARCHIVE AEC_ARCHIVE)
  if(HDF5_ARCHIVE)
    set(hdf5_archives ${HDF5_ARCHIVE})
    foreach(archive ${SZIP_ARCHIVE} ${AEC_ARCHIVE})
      if(archive) # not found where HDF5 was built without szip
        list(APPEND hdf5_archives ${archive})
      endif()
    endforeach()
    list(APPEND hdf5_archives ${aicfg_ZLIB_library} Threads::Threads ${CMAKE_DL_LIBS} m)
    set(CMAKE_REQUIRED_INCLUDES ${HDF5_C_INCLUDE_DIRS})
    set(CMAKE_REQUIRED_LIBRARIES ${hdf5_archives})
    check_c_source_compiles("#include <hdf5.h>
      int main(void) { return H5open() < 0 || H5Fopen(\"\", 0, H5P_DEFAULT) < 0; }" HDF5_ARCHIVE_LINKS)
    unset(CMAKE_REQUIRED_INCLUDES)
    unset(CMAKE_REQUIRED_LIBRARIES)
    if(HDF5_ARCHIVE_LINKS) # as a target, so that what it needs comes behind it
      add_library(hdf5_archive STATIC IMPORTED)
      list(REMOVE_AT hdf5_archives 0)
      set_target_properties(hdf5_archive PROPERTIES IMPORTED_LOCATION "${HDF5_ARCHIVE}"
                            INTERFACE_LINK_LIBRARIES "${hdf5_archives}")
      set(hdf5_libraries hdf5_archive)
    endif()
  endif()
endif()
target_link_libraries(hdf5 INTERFACE ${hdf5_libraries})
