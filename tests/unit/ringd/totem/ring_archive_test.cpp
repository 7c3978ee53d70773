// That a restored member behaves as the one before shows the simulator (sim.archived); here, that
// nothing else is taken for a state.
#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <set>
#include <span>

#include "common/base/archive_shape.hpp"
#include "ringd/totem/ring.hpp"

namespace {

using totem::Ring;

totem::RingConfig config_of(std::uint32_t self) {
    totem::RingConfig config;
    config.self = base::NodeId{self};
    return config;
}

base::Instant at(int ms) {
    return base::Instant(std::chrono::milliseconds(ms));
}

// A ring of one at work, with an item that waits and one that was delivered.
Ring operational_ring() {
    Ring ring(config_of(1), {}, 7, at(1));
    std::vector<totem::Action> actions;
    int ms = 1;
    for (; ms < 5000 && !ring.can_be_archived(); ++ms) {
        actions.clear();
        ring.step(at(ms), totem::DeadlinePassed{}, actions);
        for (const totem::Action& action : std::vector(actions)) {
            if (const auto* store = std::get_if<totem::StoreRing>(&action))
                ring.step(at(ms), totem::RingStored{store->ring}, actions);
        }
    }
    for (std::uint64_t number = 1; number <= 2; ++number) {
        ring.step(
            at(ms),
            totem::Submitted{.number = number,
                             .guarantee = totem::Guarantee::Agreed,
                             .urgent = false,
                             .payload = base::Buffer::copy_of(std::vector(300, std::byte{1}))},
            actions);
    }
    return ring;
}

std::vector<std::byte> archived(const Ring& ring) {
    base::ArchiveWriter writer;
    ring.archive_to(writer);
    return std::move(writer).take();
}

}  // namespace

TEST_CASE("the bytes of a large item are written once, whoever holds it") {
    const auto large = base::Buffer::copy_of(std::vector(base::kSharedBytesMin, std::byte{7}));
    const auto other = base::Buffer::copy_of(std::vector(base::kSharedBytesMin, std::byte{8}));
    const auto small = base::Buffer::copy_of(std::vector(100, std::byte{9}));
    const auto half = large.slice(0, large.size() / 2);
    base::ArchiveWriter writer;
    writer(large, other, small, base::Buffer(large), base::Buffer(other), base::Buffer(small),
           half);
    CHECK(writer.size() < 3 * base::kSharedBytesMin);
    const std::vector<std::byte> bytes = std::move(writer).take();

    base::ArchiveReader reader(bytes);
    std::array<base::Buffer, 7> read;
    for (base::Buffer& buffer : read)
        reader(buffer);
    REQUIRE(reader.ok());
    CHECK(reader.remaining() == 0);
    CHECK(std::ranges::equal(read[0].bytes(), large.bytes()));
    CHECK(std::ranges::equal(read[1].bytes(), other.bytes()));
    CHECK(std::ranges::equal(read[2].bytes(), small.bytes()));
    CHECK(read[3].data() == read[0].data());
    CHECK(read[4].data() == read[1].data());
    CHECK(std::ranges::equal(read[5].bytes(), small.bytes()));
    CHECK(std::ranges::equal(read[6].bytes(), half.bytes()));

    SUBCASE("a place that was never written ends the reading") {
        base::ArchiveReader from_the_middle(std::span<const std::byte>(bytes).subspan(
            2 * (sizeof(std::uint64_t) + base::kSharedBytesMin) + sizeof(std::uint64_t) +
            small.size()));
        base::Buffer buffer;
        from_the_middle(buffer);
        CHECK(!from_the_middle.ok());
        CHECK(buffer.empty());
    }
}

TEST_CASE("a member that is put into bytes and restored is the same again") {
    const Ring ring = operational_ring();
    REQUIRE(ring.can_be_archived());
    const std::vector<std::byte> bytes = archived(ring);
    base::ArchiveReader reader(bytes);
    const auto restored = Ring::restore(config_of(1), reader);
    REQUIRE(restored.has_value());
    CHECK(reader.remaining() == 0);
    CHECK(archived(*restored) == bytes);
    CHECK(restored->next_deadline() == ring.next_deadline());
    CHECK(restored->status().ring == ring.status().ring);
}

TEST_CASE("a driver is told again to whom packets go, and with whom lifelines are kept") {
    std::vector<totem::Action> told;
    operational_ring().tell_paths(told);
    const auto is_audience = [](const totem::Action& action) {
        return std::holds_alternative<totem::SetAudience>(action);
    };
    const auto is_lifelines = [](const totem::Action& action) {
        return std::holds_alternative<totem::KeepLifelines>(action);
    };
    CHECK(std::ranges::count_if(told, is_audience) == 1);
    CHECK(std::ranges::count_if(told, is_lifelines) == 1);
}

TEST_CASE("no beginning of a state is one") {
    const std::vector<std::byte> bytes = archived(operational_ring());
    for (std::size_t length = 0; length < bytes.size(); ++length) {
        base::ArchiveReader reader(std::span<const std::byte>(bytes).first(length));
        CHECK_FALSE(Ring::restore(config_of(1), reader).has_value());
    }
}

TEST_CASE("a state of another node is refused") {
    const std::vector<std::byte> bytes = archived(operational_ring());
    base::ArchiveReader reader(bytes);
    CHECK_FALSE(Ring::restore(config_of(2), reader).has_value());
}

TEST_CASE("who gathers has no state to go on from") {
    const Ring ring(config_of(1), {}, 7, at(1));
    CHECK_FALSE(ring.can_be_archived());
}

namespace {

struct Point {
    std::uint32_t x = 0;
    std::uint32_t y = 0;
    template <class A>
    void archive(A& a) {
        a(x, y);
    }
};
struct Longer {
    std::uint32_t x = 0;
    std::uint64_t y = 0;
    template <class A>
    void archive(A& a) {
        a(x, y);
    }
};

template <class T>
std::uint64_t shape_of() {
    base::ArchiveShape shape;
    shape(T{});
    return shape.hash();
}

}  // namespace

TEST_CASE("a field of another size, kind or place is another layout, however deep") {
    const std::set<std::uint64_t> shapes{shape_of<Point>(),
                                         shape_of<Longer>(),
                                         shape_of<std::vector<Point>>(),
                                         shape_of<std::vector<Longer>>(),
                                         shape_of<std::map<std::uint32_t, std::optional<Point>>>(),
                                         shape_of<std::map<std::uint32_t, std::optional<Longer>>>(),
                                         shape_of<std::variant<Point, Longer>>(),
                                         shape_of<std::variant<Longer, Point>>(),
                                         shape_of<std::array<Point, 2>>(),
                                         shape_of<std::array<Point, 3>>(),
                                         shape_of<std::int64_t>(),
                                         shape_of<std::uint64_t>(),
                                         shape_of<double>(),
                                         shape_of<std::chrono::milliseconds>(),
                                         shape_of<std::chrono::nanoseconds>()};
    CHECK(shapes.size() == 15);
    CHECK(shape_of<std::vector<Point>>() == shape_of<std::deque<Point>>());
    CHECK(Ring::layout() == Ring::layout());
}
