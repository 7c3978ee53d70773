// Where ringd puts long items together: memory that services of this node map too, so that such an
// item is theirs to read as soon as it is whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "common/base/area_space.hpp"
#include "common/base/memory.hpp"
#include "common/os/shared_memory.hpp"

namespace stream {

// What finds no room in the area lies in the heap, as everything does while nobody wants the area.
class ItemMemory final : public base::Memory {
  public:
    // What a service has not acknowledged, when its snapshots come as often as they should, and
    // what its slow clients have not taken. Pages that are not needed are not there.
    static constexpr std::size_t kBytes = std::size_t{8} << 20u;
    // A shorter item costs more through the area than in its frame.
    static constexpr std::size_t kItemBytesMin = 4097;

    // In the area that is there, or in a new one when it is wanted and there is none.
    [[nodiscard]] base::MutableBuffer allocate(std::size_t bytes) override;

    void set_wanted(bool is_wanted) { is_wanted_ = is_wanted; }
    // What lies in the area stays there until nobody has it, and nothing is put there any more.
    void leave_area() { area_.reset(); }

    // Of the area that is there, among all that this process makes; 0: there is none.
    [[nodiscard]] std::uint64_t area_number() const { return area_ ? area_number_ : 0; }
    // Where in that area the bytes lie; nothing: not there.
    [[nodiscard]] std::optional<std::uint32_t> offset_of(const base::Buffer& bytes) const;
    // Of that area, for another process. Not open: there is no descriptor left.
    [[nodiscard]] os::UniqueFd descriptor() const;

    [[nodiscard]] std::size_t taken_bytes() const { return area_ ? area_->space.taken_bytes() : 0; }

  private:
    struct Area {
        os::SharedMemory memory;
        os::UniqueFd file;
        base::AreaSpace space = base::AreaSpace(kBytes);
    };
    // Of one item. The area lives as long as there is one.
    struct Place : base::Buffer::Block {
        std::shared_ptr<Area> area;
        std::size_t begin = 0;
        std::size_t bytes = 0;
    };
    static void give_back(base::Buffer::Block* block) noexcept;
    void make_area();

    bool is_wanted_ = false;
    std::shared_ptr<Area> area_;
    std::uint64_t area_number_ = 0;  // Of the last one.
};

}  // namespace stream
