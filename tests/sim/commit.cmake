# Writes OUT with the current commit, and only if it changed.
cmake_policy(VERSION 3.25)
execute_process(COMMAND git describe --always --dirty --abbrev=12 WORKING_DIRECTORY ${SOURCE}
                OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(NOT commit)
    set(commit unknown)
endif()
file(CONFIGURE OUTPUT ${OUT} CONTENT
"#include \"tests/sim/commit.hpp\"\nnamespace sim {\nconst char* const kCommit = \"${commit}\";\n}\n")
