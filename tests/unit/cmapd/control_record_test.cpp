#include "cmapd/core/control_record.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <vector>

namespace {

using base::Buffer;
using base::NodeId;
using cmapd::ControlRecord;
using protocol::FrameError;

constexpr cmapd::ReloadId kId{.node = NodeId{2}, .life = 77, .number = 3};

std::vector<ControlRecord> records() {
    return {cmapd::Greeting{.config_version = 4, .digest = 0x1234567890abcdefu},
            cmapd::KillNode{.node = NodeId{3}, .reason = "fenced"},
            cmapd::ReloadBegin{.id = kId, .agreed = {}},
            cmapd::ReloadBegin{.id = kId, .agreed = {"totem.token 3000", ""}},
            cmapd::ReloadReady{.id = kId},
            cmapd::ReloadRefused{.id = kId, .why = "halo.conf:3: no"},
            cmapd::ReloadGiveUp{.id = kId}};
}

Buffer changed(const Buffer& frame, std::size_t at, std::uint8_t value) {
    std::vector<std::byte> bytes(frame.bytes().begin(), frame.bytes().end());
    bytes.at(at) = std::byte{value};
    return Buffer::copy_of(bytes);
}

}  // namespace

TEST_CASE("every record comes back as it was said, and none that is cut short or too long does") {
    for (const ControlRecord& record : records()) {
        const Buffer bytes = cmapd::encode_control(record);
        CHECK(cmapd::is_control_record(bytes));
        const auto back = cmapd::decode_control(bytes);
        REQUIRE(back.has_value());
        CHECK(back->index() == record.index());
        CHECK(std::ranges::equal(cmapd::encode_control(*back).bytes(), bytes.bytes()));
        for (std::size_t size = 0; size < bytes.size(); ++size)
            CHECK_FALSE(cmapd::decode_control(bytes.slice(0, size)).has_value());
        std::vector<std::byte> longer(bytes.bytes().begin(), bytes.bytes().end());
        longer.push_back(std::byte{0});
        CHECK(cmapd::decode_control(Buffer::copy_of(longer)).error() == FrameError::TrailingBytes);
        CHECK(cmapd::decode_control(changed(bytes, 1, 9)).error() == FrameError::WrongVersion);
    }
}

TEST_CASE("what others say is no control record, and an unknown one is refused") {
    CHECK_FALSE(cmapd::is_control_record({}));
    const Buffer ready = cmapd::encode_control(cmapd::ReloadReady{.id = kId});
    CHECK_FALSE(cmapd::is_control_record(changed(ready, 0, 0x01)));
    CHECK(cmapd::decode_control(changed(ready, 0, 0xc7)).error() == FrameError::UnknownType);
}

TEST_CASE("a list that claims more lines than there are bytes reserves nothing") {
    const Buffer begin = cmapd::encode_control(cmapd::ReloadBegin{.id = kId, .agreed = {"a 1"}});
    CHECK(cmapd::decode_control(changed(begin, 25, 0xff)).error() == FrameError::Truncated);
}

TEST_CASE("texts are cut to what a record may carry") {
    const auto record = cmapd::decode_control(
        cmapd::encode_control(cmapd::ReloadRefused{.id = kId, .why = std::string(20'000, 'x')}));
    REQUIRE(record.has_value());
    CHECK(std::get<cmapd::ReloadRefused>(*record).why.size() == cmapd::kWhyBytesMax);
}

TEST_CASE("other lines have another digest, wherever they are split") {
    CHECK(cmapd::digest_of({"a", "b"}) == cmapd::digest_of({"a", "b"}));
    CHECK(cmapd::digest_of({"ab"}) != cmapd::digest_of({"a", "b"}));
    CHECK(cmapd::digest_of({}) != cmapd::digest_of({""}));
}
