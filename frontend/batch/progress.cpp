#include "frontend/batch/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace weft::frontend {
namespace {

constexpr Duration bar_period = std::chrono::milliseconds(200);
constexpr Duration line_period = std::chrono::seconds(10);
constexpr int min_bar_cells = 8;
constexpr int max_bar_cells = 24;
constexpr int default_width = 80;

int terminal_width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : default_width;
}

double tokens_per_second(const ProgressView& view) {
  return view.seconds > 0 ? static_cast<double>(view.tokens) / view.seconds : 0;
}

// 0:04, 12:30, 3:00:05
std::string clock_text(double seconds) {
  constexpr double most = 1000.0 * 3600;
  const auto whole = static_cast<std::int64_t>(std::clamp(seconds, 0.0, most) + 0.5);
  const std::int64_t hours = whole / 3600;
  const std::int64_t minutes = whole / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60)
                   : fmt::format("{}:{:02}", minutes, whole % 60);
}

std::string eta_text(const ProgressView& view) {
  const std::optional<double> left = seconds_left(view);
  return fmt::format("ETA {}", left ? clock_text(*left) : "-");
}

std::string replica_text(ReplicaId id, const ProgressView::Replica& replica) {
  return fmt::format("{}: {} running {} done", id, replica.in_flight, replica.done);
}

}  // namespace

std::optional<double> seconds_left(const ProgressView& view) {
  const std::int64_t now_done = view.done - view.resumed;
  if (now_done <= 0 || view.seconds <= 0) return view.done >= view.total ? std::optional(0.0) : std::nullopt;
  return static_cast<double>(view.total - view.done) * view.seconds / static_cast<double>(now_done);
}

std::string progress_bar(const ProgressView& view, int width) {
  const auto limit = static_cast<std::size_t>(std::max(width, 1));
  const std::string counts = fmt::format("{}/{}", view.done, view.total);
  std::string text = fmt::format("  {}  {:.0f} tok/s", counts, tokens_per_second(view));
  const std::string end = "  " + eta_text(view);
  const std::size_t taken = std::size_t{min_bar_cells} + 2 + end.size();
  std::string_view before = "  running/done ";
  for (const auto& [id, replica] : view.replicas) {
    const std::string more = fmt::format("{}{}: {}/{}", before, id, replica.in_flight, replica.done);
    if (taken + text.size() + more.size() > limit) break;
    text += more;
    before = "  ";
  }
  if (taken + text.size() > limit) return counts.substr(0, limit);
  const auto cells =
      static_cast<int>(std::min<std::size_t>(limit - taken - text.size() + min_bar_cells, max_bar_cells));
  const auto full = view.total > 0 ? static_cast<int>(cells * view.done / view.total) : cells;
  return fmt::format("[{:#<{}}{:-<{}}]{}{}", "", full, "", cells - full, text, end);
}

std::string progress_line(const ProgressView& view) {
  std::string text = fmt::format("{} of {} requests done, {:.0f} tok/s, {}", view.done, view.total,
                                 tokens_per_second(view), eta_text(view));
  const char* before = "; replica ";
  for (const auto& [id, replica] : view.replicas) {
    text += before + replica_text(id, replica);
    before = ", ";
  }
  return text;
}

Progress::Progress(bool bar, Time start) : bar_(bar), next_(bar ? start : start + line_period) {}

void Progress::show(const ProgressView& view, Time now) {
  if (now < next_) return;
  next_ = now + (bar_ ? bar_period : line_period);
  if (bar_)
    // Carriage return and "erase to the end of the line" (ECMA-48 EL): the last column stays free, lest it wraps.
    fmt::print(stderr, "\r{}\x1b[K", progress_bar(view, terminal_width() - 1));
  else
    fmt::print(stderr, "{}\n", progress_line(view));
  (void)std::fflush(stderr);
  shown_ = true;
}

void Progress::end(const ProgressView& view) {
  if (!bar_) {
    if (shown_) fmt::print(stderr, "{}\n", progress_line(view));
    return;
  }
  fmt::print(stderr, "\r{}\x1b[K\n", progress_bar(view, terminal_width() - 1));
  (void)std::fflush(stderr);
}

}  // namespace weft::frontend
