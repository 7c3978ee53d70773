# Warnings, sanitizers and the three ways to add something: halo_core, halo_library, halo_unit_test.
# g++ 12 takes the alternatives of a std::variant that are not there for uninitialized, pages of it.
add_library(halo_flags INTERFACE)
target_compile_options(halo_flags INTERFACE
    -Wall -Wextra -Wpedantic -Wshadow -Wundef -Wimplicit-fallthrough -Werror
    $<$<COMPILE_LANGUAGE:CXX>:-Wconversion -Wsign-conversion -Wnon-virtual-dtor -Wold-style-cast>
    $<$<CXX_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>)
target_include_directories(halo_flags INTERFACE ${CMAKE_SOURCE_DIR})
# Daemons are optimized as a whole where they are linked: what a wake-up runs lies closer together.
# Tests link the same libraries as they are, so the objects of these have both kinds of code.
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_BUILD_TYPE STREQUAL RelWithDebInfo AND NOT HALO_SANITIZE)
    target_compile_options(halo_flags INTERFACE
        $<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,STATIC_LIBRARY>:-flto=auto;-ffat-lto-objects>)
    target_link_options(halo_flags INTERFACE
        $<IF:$<BOOL:$<TARGET_PROPERTY:HALO_AS_A_WHOLE>>,-flto=auto,-fno-lto>)
endif()
if(HALO_SANITIZE)
    target_compile_options(halo_flags INTERFACE -fsanitize=${HALO_SANITIZE} -fno-omit-frame-pointer
                           -fno-sanitize-recover=all)
    target_link_options(halo_flags INTERFACE -fsanitize=${HALO_SANITIZE})
endif()
if(HALO_FUZZ)
    target_compile_options(halo_flags INTERFACE -fsanitize=fuzzer-no-link,address,undefined
                           -fno-sanitize-recover=all)
    target_link_options(halo_flags INTERFACE -fsanitize=address,undefined)
endif()

# A static library of the .cpp files beside the caller's CMakeLists.txt.
function(halo_library name)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
    if(sources)
        add_library(${name} STATIC ${sources})
        target_link_libraries(${name} PUBLIC halo_flags ${ARGN})
    else()
        add_library(${name} INTERFACE)
        target_link_libraries(${name} INTERFACE halo_flags ${ARGN})
    endif()
endfunction()

# A pure protocol core: the same, and a throw or a dynamic_cast in it does not compile.
function(halo_core name)
    halo_library(${name} ${ARGN})
    get_target_property(type ${name} TYPE)
    if(NOT type STREQUAL INTERFACE_LIBRARY)
        target_compile_options(${name} PRIVATE -fno-exceptions -fno-rtti)
    endif()
endfunction()

# A doctest program of the *_test.cpp files beside the caller, run by ctest as unit.<name>.
function(halo_unit_test name)
    file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*_test.cpp)
    if(NOT sources)
        return()
    endif()
    add_executable(${name}_unit ${sources} ${CMAKE_SOURCE_DIR}/tests/unit/main.cpp)
    target_link_libraries(${name}_unit PRIVATE halo_flags ${ARGN})
    add_test(NAME unit.${name} COMMAND ${name}_unit)
    set_tests_properties(unit.${name} PROPERTIES LABELS unit TIMEOUT 300)
endfunction()
