#include <utility>

#include "text/tokenizer/decoder.h"
#include "text/utf8.h"

namespace weft::text {

void DecodeStream::push(TokenId id, std::string& out) {
  const auto index = static_cast<std::size_t>(id);
  const bool first = std::exchange(first_, false);
  if (!decoder_->byte_of_.empty() && decoder_->byte_of_[index] >= 0) {
    bytes_.push_back(static_cast<char>(decoder_->byte_of_[index]));
    if (decoder_->bytes_ == ByteText::each_of_run) release_bytes(false, out);
    return;
  }
  const std::string& text =
      first && !decoder_->first_text_of_.empty() ? decoder_->first_text_of_[index] : decoder_->text_of_[index];
  if (decoder_->bytes_ == ByteText::all) {
    bytes_.append(text);
    return release_bytes(false, out);
  }
  release_run(out);
  if (decoder_->suffix_) {
    if (!first) release_suffixed(false, out);
    suffixed_ = text;
    return;
  }
  if (!first) emit(decoder_->separator_, out);
  emit(text, out);
}

void DecodeStream::finish(std::string& out) {
  release_run(out);
  if (decoder_->suffix_) release_suffixed(true, out);
  const std::size_t kept = trailing_ > decoder_->strip_right_ ? trailing_ - decoder_->strip_right_ : 0;
  for (std::size_t i = 0; i < kept; ++i)
    out.append(decoder_->strip_character_);
  *this = DecodeStream(*decoder_);
}

// What is whole, and what can never become whole, goes out; the start of a character stays.
void DecodeStream::release_bytes(bool at_end, std::string& out) {
  std::size_t done = 0;
  while (done < bytes_.size()) {
    const Utf8Prefix prefix = utf8_prefix(bytes_, done);
    if (prefix.complete) {
      std::size_t end = done + prefix.length;
      while (end < bytes_.size() && static_cast<unsigned char>(bytes_[end]) < 0x80)
        ++end;
      emit(std::string_view(bytes_).substr(done, end - done), out);
      done = end;
      continue;
    }
    if (prefix.could_continue && !at_end) break;
    const std::size_t bad = decoder_->bytes_ == ByteText::all ? prefix.length : 1;
    emit(replacement_character, out);
    done += bad;
  }
  bytes_.erase(0, done);
}

void DecodeStream::release_run(std::string& out) {
  if (bytes_.empty()) return;
  if (decoder_->bytes_ != ByteText::whole_run) return release_bytes(true, out);
  if (first_invalid_utf8(bytes_)) {
    for (std::size_t i = 0; i < bytes_.size(); ++i)
      emit(replacement_character, out);
  } else {
    emit(bytes_, out);
  }
  bytes_.clear();
}

void DecodeStream::release_suffixed(bool at_end, std::string& out) {
  const std::string& suffix = *decoder_->suffix_;
  std::string_view rest = suffixed_;
  for (std::size_t found = rest.find(suffix); found != std::string_view::npos; found = rest.find(suffix)) {
    emit(rest.substr(0, found), out);
    if (!at_end) emit(" ", out);
    rest.remove_prefix(found + suffix.size());
  }
  emit(rest, out);
  suffixed_.clear();
}

// The ends of the whole text are stripped here: on the left at once, on the right by holding back.
void DecodeStream::emit(std::string_view text, std::string& out) {
  const std::string_view strip = decoder_->strip_character_;
  if (strip.empty()) {
    out.append(text);
    return;
  }
  while (!left_done_ && !text.empty()) {
    if (stripped_ < decoder_->strip_left_ && text.starts_with(strip)) {
      text.remove_prefix(strip.size());
      ++stripped_;
    } else {
      left_done_ = true;
    }
  }
  if (decoder_->strip_right_ == 0) {
    out.append(text);
    return;
  }
  std::size_t trailing = 0;
  while (text.ends_with(strip)) {
    text.remove_suffix(strip.size());
    ++trailing;
  }
  if (!text.empty()) {
    for (; trailing_ > 0; --trailing_)
      out.append(strip);
    out.append(text);
  }
  trailing_ += trailing;
}

}  // namespace weft::text
