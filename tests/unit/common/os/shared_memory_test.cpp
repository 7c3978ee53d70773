#include "common/os/shared_memory.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>

using os::ForeignMemory;
using os::SharedMemory;

namespace {

constexpr std::size_t kBytes = std::size_t{512} << 10u;

}  // namespace

TEST_CASE("what one writes the other reads, also when the first has let go of it") {
    std::optional<SharedMemory> made = *SharedMemory::create("test", kBytes);
    REQUIRE(made->bytes().size() == kBytes);
    made->prepare(300'000);
    std::memcpy(made->bytes().data() + 299'995, "hello", 5);
    std::optional<ForeignMemory> mapped = ForeignMemory::map(made->take_descriptor());
    REQUIRE(mapped);
    const ForeignMemory moved = *std::move(mapped);
    mapped.reset();
    made.reset();
    CHECK(std::memcmp(moved.bytes(299'995, 5)->data(), "hello", 5) == 0);
}

TEST_CASE("there is nothing outside of it") {
    auto made = *SharedMemory::create("test", kBytes);
    const auto mapped = ForeignMemory::map(made.take_descriptor());
    REQUIRE(mapped);
    CHECK(mapped->bytes(0, kBytes));
    CHECK(mapped->bytes(kBytes, 0));
    CHECK_FALSE(mapped->bytes(0, kBytes + 1));
    CHECK_FALSE(mapped->bytes(1, kBytes));
    CHECK_FALSE(mapped->bytes(kBytes + 1, 0));
    CHECK_FALSE(mapped->bytes(2, SIZE_MAX - 1));
}

TEST_CASE("who has the descriptor can read, and nothing else") {
    auto made = *SharedMemory::create("test", kBytes);
    const os::UniqueFd file = made.take_descriptor();
    const int fd = file.get();
    REQUIRE(fd >= 0);
    CHECK(::ftruncate(fd, 0) != 0);
    CHECK(::ftruncate(fd, 2 * static_cast<off_t>(kBytes)) != 0);
    CHECK(::pwrite(fd, "x", 1, 0) != 1);
    CHECK(::mmap(nullptr, 4'096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED);
    CHECK(::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 65'536) != 0);
    CHECK(::fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) != 0);
    // Opened anew it is the same file.
    const std::string again = "/proc/self/fd/" + std::to_string(fd);
    const os::UniqueFd writable(::open(again.c_str(), O_RDWR | O_CLOEXEC));
    CHECK((!writable.is_open() || ::pwrite(writable.get(), "x", 1, 0) != 1));
    made.bytes()[0] = std::byte{1};  // Its maker goes on.
}

TEST_CASE("what may be cut off while it is read is not mapped") {
    CHECK_FALSE(ForeignMemory::map(os::UniqueFd()));
    const os::UniqueFd pipe(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    CHECK_FALSE(ForeignMemory::map(pipe));
    const os::UniqueFd file(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    REQUIRE(file.is_open());
    REQUIRE(::ftruncate(file.get(), 4'096) == 0);
    CHECK_FALSE(ForeignMemory::map(file));
    REQUIRE(::fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    CHECK(ForeignMemory::map(file));
    const os::UniqueFd empty(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
    REQUIRE(::fcntl(empty.get(), F_ADD_SEALS, F_SEAL_SHRINK) == 0);
    CHECK_FALSE(ForeignMemory::map(empty));
}
