#include "common/os/snapshot_file.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "common/base/prng.hpp"
#include "tests/unit/common/zmtp/support.hpp"

using os::SnapshotFile;
using zmtp::test::pattern;
using zmtp::test::same;
using zmtp::test::TemporaryFolder;

namespace {

// Where things are in the file (common/os/snapshot_file.cpp).
constexpr std::size_t kCurrentAt = 12;
constexpr std::size_t kSlotsAt = 16;  // offset, capacity, length; twice.

SnapshotFile open(const std::string& path) {
    auto opened = os::SnapshotFile::open(path);
    REQUIRE(opened);
    return std::move(*opened);
}

// A file in which a life has stored twice and lived, so that both slots are used.
std::string stored(const TemporaryFolder& folder) {
    os::SnapshotFile file = open(folder.file("snapshot"));
    REQUIRE(file.store(std::array{pattern(1000, 1)}));
    REQUIRE(file.store(std::array{pattern(2000, 2)}));
    file.lived();
    return folder.file("snapshot");
}

void overwrite(const std::string& path, std::size_t at, const void* bytes, std::size_t size) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at));
    file.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(size));
    REQUIRE(file.good());
}
template <class T>
void overwrite(const std::string& path, std::size_t at, T value) {
    overwrite(path, at, &value, sizeof(value));
}

}  // namespace

TEST_CASE("the next life finds what was stored last") {
    const TemporaryFolder folder;
    const std::string path = stored(folder);
    const os::SnapshotFile file = open(path);
    const auto loaded = file.load();
    REQUIRE(loaded);
    CHECK(same(*loaded, pattern(2000, 2)));
    CHECK(file.refusal() == nullptr);
}

TEST_CASE("without a former life there is nothing, and nothing to say about it") {
    const TemporaryFolder folder;
    const os::SnapshotFile file = open(folder.file("snapshot"));
    CHECK_FALSE(file.load());
    CHECK(file.refusal() == nullptr);
    std::error_code failure;
    const auto mode = std::filesystem::status(folder.file("snapshot"), failure).permissions();
    CHECK(mode == (std::filesystem::perms::owner_read | std::filesystem::perms::owner_write));
}

TEST_CASE("snapshots grow, shrink and stay whole") {
    const TemporaryFolder folder;
    os::SnapshotFile file = open(folder.file("snapshot"));
    std::size_t seed = 0;
    for (const std::size_t size : {1u, 300'000u, 10u, 2'000'000u, 0u, 5'000'000u, 100u}) {
        CAPTURE(size);
        const base::Buffer snapshot = pattern(size, ++seed);
        REQUIRE(file.store(std::array{snapshot}));
        const auto loaded = file.load();
        REQUIRE(loaded);
        CHECK(same(*loaded, snapshot));
    }
}

TEST_CASE("only one process has it") {
    const TemporaryFolder folder;
    const os::SnapshotFile file = open(folder.file("snapshot"));
    const auto second = os::SnapshotFile::open(folder.file("snapshot"));
    REQUIRE_FALSE(second);
    CHECK(second.error().code == EWOULDBLOCK);
}

TEST_CASE("a name that leads elsewhere is not followed") {
    const TemporaryFolder folder;
    std::filesystem::create_symlink(folder.file("elsewhere"), folder.file("snapshot"));
    const auto opened = os::SnapshotFile::open(folder.file("snapshot"));
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == ELOOP);
    CHECK_FALSE(std::filesystem::exists(folder.file("elsewhere")));
}

TEST_CASE("what is torn, truncated, foreign or of another layout is refused, and does no harm") {
    const TemporaryFolder folder;
    const std::string path = stored(folder);
    const std::uint64_t size = std::filesystem::file_size(path);
    SUBCASE("cut within the header") {
        std::filesystem::resize_file(path, 100);
    }
    SUBCASE("cut after the header") {
        std::filesystem::resize_file(path, 4096);
    }
    SUBCASE("cut in the last slot") {
        std::filesystem::resize_file(path, size - 1);
    }
    SUBCASE("of another layout") {
        overwrite(path, 0, char{'X'});
    }
    SUBCASE("no file of ours") {
        const std::string text(10'000, '#');
        overwrite(path, 0, text.data(), text.size());
    }
    SUBCASE("a slot that there is not") {
        overwrite(path, kCurrentAt, std::uint32_t{3});
    }
    SUBCASE("a slot that begins beyond the end") {
        overwrite(path, kSlotsAt, std::uint64_t{size + 1});
    }
    SUBCASE("a slot that ends beyond the end") {
        overwrite(path, kSlotsAt + 8, std::uint64_t{UINT64_MAX});
    }
    SUBCASE("more in a slot than it takes") {
        overwrite(path, kSlotsAt + 24 + 16, std::uint64_t{size});
    }
    {
        os::SnapshotFile file = open(path);
        CHECK_FALSE(file.load());
        REQUIRE(file.refusal() != nullptr);
        CHECK(std::string(file.refusal()) == "the file is damaged or of another version");
        REQUIRE(file.store(std::array{pattern(3000, 3)}));
        file.lived();
    }
    const os::SnapshotFile next = open(path);
    REQUIRE(next.load());
    CHECK(same(*next.load(), pattern(3000, 3)));
    CHECK(next.refusal() == nullptr);
}

TEST_CASE("what a life wrote and did not finish does not count") {
    const TemporaryFolder folder;
    const std::string path = stored(folder);
    // The second store() has made slot 1 the one that counts; the third was under way in slot 0.
    std::uint64_t offset = 0;
    std::ifstream(path, std::ios::binary).seekg(kSlotsAt).read(reinterpret_cast<char*>(&offset), 8);
    overwrite(path, offset, pattern(500, 9).data(), 500);
    overwrite(path, kSlotsAt + 16, std::uint64_t{500});
    const auto loaded = open(path).load();
    REQUIRE(loaded);
    CHECK(same(*loaded, pattern(2000, 2)));
}

TEST_CASE("a process that is killed at any moment leaves a whole snapshot") {
    const TemporaryFolder folder;
    const std::string path = folder.file("snapshot");
    base::Prng random(1);
    // Its first word says which pattern a snapshot is.
    const auto snapshot = [](std::size_t seed) {
        const std::size_t size = sizeof(seed) + seed * 7919 % 400'000;
        base::MutableBuffer bytes(size);
        std::ranges::copy(pattern(size, seed).bytes(), bytes.data());
        std::memcpy(bytes.data(), &seed, sizeof(seed));
        return std::move(bytes).freeze();
    };
    for (int life = 0; life < 30; ++life) {
        std::array<int, 2> pipe{};
        REQUIRE(::pipe(pipe.data()) == 0);
        const os::UniqueFd from(pipe[0]);
        os::UniqueFd to(pipe[1]);
        const pid_t child = ::fork();
        REQUIRE(child >= 0);
        if (child == 0) {
            auto file = os::SnapshotFile::open(path);
            if (!file) ::_exit(1);
            for (std::size_t seed = 1;; ++seed) {
                if (!file->store(std::array{snapshot(seed)})) ::_exit(2);
                file->lived();
                if (::write(to.get(), "+", 1) != 1) ::_exit(3);
            }
        }
        to.reset();
        // Somewhere in the store that comes after these.
        std::array<char, 1> byte{};
        for (std::uint64_t stores = 1 + random.below(5); stores > 0; --stores) {
            REQUIRE(::read(from.get(), byte.data(), 1) == 1);
        }
        REQUIRE(::kill(child, SIGKILL) == 0);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(WIFSIGNALED(status));

        const os::SnapshotFile file = open(path);
        const auto loaded = file.load();
        REQUIRE(loaded);
        std::size_t seed = 0;
        REQUIRE(loaded->size() >= sizeof(seed));
        std::memcpy(&seed, loaded->data(), sizeof(seed));
        CHECK(same(*loaded, snapshot(seed)));
    }
}

TEST_CASE("a state with which no life gets on is not tried for ever") {
    const TemporaryFolder folder;
    const std::string path = stored(folder);
    for (std::uint32_t life = 0; life < os::SnapshotFile::kStartsMax; ++life) {
        const os::SnapshotFile file = open(path);
        CHECK(file.load());
        CHECK(file.refusal() == nullptr);
    }
    {
        os::SnapshotFile file = open(path);
        CHECK_FALSE(file.load());
        REQUIRE(file.refusal() != nullptr);
        CHECK(std::string(file.refusal()) ==
              "too many lives ended with it before they served anybody");
        REQUIRE(file.store(std::array{pattern(10)}));
        file.lived();
    }
    CHECK(open(path).load());
}
