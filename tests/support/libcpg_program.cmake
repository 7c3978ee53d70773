# halo_libcpg_program(name source): a program built against Debian's own libcpg where that is installed,
# because it must run on our library unchanged; else against ours. It has no rpath: who starts it
# says by LD_LIBRARY_PATH which library it gets.
include_guard()
find_path(DEBIAN_CPG_INCLUDE corosync/cpg.h PATHS /usr/include NO_DEFAULT_PATH)
find_library(DEBIAN_CPG_LIBRARY cpg PATHS /usr/lib PATH_SUFFIXES ${CMAKE_LIBRARY_ARCHITECTURE} NO_DEFAULT_PATH)

function(halo_libcpg_program name source)
    add_executable(${name} ${source})
    if(DEBIAN_CPG_INCLUDE AND DEBIAN_CPG_LIBRARY)
        target_link_libraries(${name} PRIVATE halo_flags ${DEBIAN_CPG_LIBRARY})
    else()
        target_link_libraries(${name} PRIVATE halo_flags cpg)
    endif()
    set_target_properties(${name} PROPERTIES SKIP_BUILD_RPATH ON)
endfunction()
