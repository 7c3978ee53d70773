// The durable ring id: what was stored is loaded, and nothing else is taken for it.
#include "ringd/ring_id_file.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

namespace {

using base::NodeId;
using base::RingId;

class Folder {
  public:
    Folder() {
        std::string name = std::filesystem::temp_directory_path() / "ring_id_XXXXXX";
        REQUIRE(::mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { std::filesystem::remove_all(path_); }

    [[nodiscard]] std::filesystem::path file() const { return path_ / "ringid_1"; }

  private:
    std::filesystem::path path_;
};

std::string contents_of(const std::filesystem::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

const RingId kRing{.seq = 0x123456789abcdef0, .representative = NodeId{7}};

}  // namespace

TEST_CASE("what was stored is loaded") {
    const Folder folder;
    CHECK_FALSE(ringd::load_ring_id(folder.file()).value().has_value());
    REQUIRE(ringd::store_ring_id(folder.file(), kRing));
    CHECK(ringd::load_ring_id(folder.file()).value() == kRing);
    const RingId next{.seq = kRing.seq + 4, .representative = NodeId{1}};
    REQUIRE(ringd::store_ring_id(folder.file(), next));
    CHECK(ringd::load_ring_id(folder.file()).value() == next);
}

TEST_CASE("a cut or changed file is refused and named") {
    const Folder folder;
    REQUIRE(ringd::store_ring_id(folder.file(), kRing));
    const std::string good = contents_of(folder.file());
    for (std::size_t at = 0; at < good.size(); ++at) {
        CAPTURE(at);
        std::string changed = good;
        changed[at] = changed[at] == '3' ? '4' : '3';
        std::ofstream(folder.file()) << changed;
        const auto loaded = ringd::load_ring_id(folder.file());
        REQUIRE_FALSE(loaded.has_value());
        CHECK(loaded.error().text().find("ringid_1") != std::string::npos);
        std::ofstream(folder.file()) << good.substr(0, at);
        CHECK_FALSE(ringd::load_ring_id(folder.file()).has_value());
    }
}

TEST_CASE("a folder that is not there is an error that names it") {
    const auto stored = ringd::store_ring_id("/nonexistent-folder/ringid_1", kRing);
    REQUIRE_FALSE(stored.has_value());
    CHECK(stored.error().text().find("/nonexistent-folder/ringid_1") != std::string::npos);
}

TEST_CASE("the writer stores in its own thread and tells") {
    const Folder folder;
    ringd::RingIdWriter writer(folder.file());
    writer.store(kRing);
    pollfd ready{.fd = writer.fd(), .events = POLLIN, .revents = 0};
    REQUIRE(::poll(&ready, 1, 10'000) == 1);
    const auto outcome = writer.take();
    REQUIRE(outcome.has_value());
    CHECK(outcome->ring == kRing);
    CHECK(outcome->result.has_value());
    CHECK_FALSE(writer.take().has_value());
    CHECK(ringd::load_ring_id(folder.file()).value() == kRing);
}
