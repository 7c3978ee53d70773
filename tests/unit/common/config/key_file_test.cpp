#include "common/config/key_file.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include "tests/unit/common/config/temporary_folder.hpp"

TEST_CASE("a generated key is read back, and only its owner may read the file") {
    const TemporaryFolder folder;
    const std::string path = folder.name + "/authkey";
    const auto made = config::generate_key(path, os::Existing::Keep);
    REQUIRE(made);
    CHECK(made->bytes().size() == config::kKeyBytesGenerated);
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 07777u) == 0400);
    const auto read = config::read_key(path);
    REQUIRE(read);
    CHECK(read->fingerprint() == made->fingerprint());
    CHECK(read->fingerprint().size() == 16);
}

TEST_CASE("an existing key is kept unless replacing was asked for") {
    const TemporaryFolder folder;
    const std::string path = folder.name + "/authkey";
    const auto first = config::generate_key(path, os::Existing::Keep);
    REQUIRE(first);
    const auto second = config::generate_key(path, os::Existing::Keep);
    REQUIRE_FALSE(second);
    CHECK(second.error().code == EEXIST);
    CHECK(config::read_key(path)->fingerprint() == first->fingerprint());
    const auto third = config::generate_key(path, os::Existing::Replace);
    REQUIRE(third);
    CHECK(third->fingerprint() != first->fingerprint());
    CHECK(config::read_key(path)->fingerprint() == third->fingerprint());
    int files = 0;
    for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder.name)) {
        ++files;
    }
    CHECK(files == 1);  // No rest of the three attempts.
}

TEST_CASE("the fingerprint is the same on every node") {
    const config::Key key(std::vector<std::byte>(config::kKeyBytesMin, std::byte{'k'}));
    // SHA-256 of "halo key" and 128 times 'k', as any other tool computes it.
    CHECK(key.fingerprint() == "8bc31e814a6739d3");
}

TEST_CASE("a key that others may access is refused with its mode") {
    const TemporaryFolder folder;
    const std::string content(256, 'k');
    for (const mode_t mode : {mode_t{0440}, mode_t{0404}, mode_t{0620}, mode_t{0644}}) {
        const std::string path = folder.write("authkey", content, mode);
        const auto key = config::read_key(path);
        REQUIRE_FALSE(key);
        CAPTURE(key.error().text());
        CHECK(key.error().text().find(path + " may be accessed by others") != std::string::npos);
    }
    CHECK(config::read_key(folder.write("authkey", content, 0400)));
}

TEST_CASE("only the sizes of a key are taken") {
    const TemporaryFolder folder;
    for (const std::size_t size : {std::size_t{0}, std::size_t{127}, std::size_t{4097}}) {
        CAPTURE(size);
        const auto key = config::read_key(folder.write("authkey", std::string(size, 'k')));
        REQUIRE_FALSE(key);
        CHECK(key.error().text().ends_with("a key has 128 to 4096"));
    }
    for (const std::size_t size : {std::size_t{128}, std::size_t{4096}}) {
        CHECK(config::read_key(folder.write("authkey", std::string(size, 'k')))->bytes().size() ==
              size);
    }
}

TEST_CASE("what is no file, or not there, is told by name") {
    const TemporaryFolder folder;
    CHECK(config::read_key(folder.name + "/none").error().text() ==
          "open key file " + folder.name + "/none: No such file or directory");
    CHECK(config::read_key(folder.name).error().text() ==
          "key file " + folder.name + " is no regular file");
    REQUIRE(::mkfifo((folder.name + "/pipe").c_str(), 0600) == 0);
    CHECK(config::read_key(folder.name + "/pipe").error().text().ends_with("is no regular file"));
}

TEST_CASE("the service manager's copy of a key stands for a file that we may not read") {
    CHECK(config::credential_name("/etc/halo/authkey") == "etc-halo-authkey");
    const TemporaryFolder folder;
    const std::string path = "/nonexistent/authkey";
    const std::string credential = folder.name + "/" + config::credential_name(path);
    REQUIRE(config::generate_key(credential, os::Existing::Keep));
    CHECK_FALSE(config::read_key(path));
    REQUIRE(::setenv("CREDENTIALS_DIRECTORY", folder.name.c_str(), 1) == 0);
    CHECK(config::read_key(path));
    // A unit's stand-in for a missing file.
    std::filesystem::remove(credential);
    std::ofstream(credential) << '-';
    const auto missing = config::read_key(path);
    REQUIRE_FALSE(missing);
    CHECK(missing.error().text().find(path) != std::string::npos);
    REQUIRE(::unsetenv("CREDENTIALS_DIRECTORY") == 0);
}
