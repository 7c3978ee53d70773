// The daemon of one node as a program: names its run folder, and serves until its input ends.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "tests/unit/libclient/one_node_cpgd.hpp"

int main() {
    const OneNodeCpgd cpgd;
    std::puts(::getenv("HALO_RUN_DIR"));
    std::fflush(stdout);
    char byte = 0;
    while (::read(STDIN_FILENO, &byte, 1) > 0) {
    }
    return 0;
}
