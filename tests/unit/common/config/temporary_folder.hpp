// A folder of one test that goes away with its files.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

struct TemporaryFolder {
    TemporaryFolder() { REQUIRE(::mkdtemp(name.data()) != nullptr); }
    ~TemporaryFolder() { std::filesystem::remove_all(name); }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    // Writes a file and gives its path.
    [[nodiscard]] std::string write(const std::string& file, const std::string& content,
                                    mode_t mode = 0600) const {
        const std::string path = name + "/" + file;
        std::ofstream(path, std::ios::binary) << content;
        REQUIRE(::chmod(path.c_str(), mode) == 0);
        return path;
    }

    std::string name = "/tmp/halo-config-XXXXXX";
};
