// A StoreClient in memory that forked children share, so that ranks can be processes that are killed and stopped.
#pragma once

#include <pthread.h>
#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string>
#include <vector>

#include "weft/store_client.h"

namespace weft::test {

// Made before fork(). A process that dies while it holds the lock leaves it to the next (a robust mutex); every change
// is one that a reader may see half done without harm, since a key is made visible last.
class SharedStore final : public StoreClient {
 public:
  SharedStore() {
    void* memory = ::mmap(nullptr, sizeof(State), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    state_ = new (memory) State;
    pthread_mutexattr_t mutex;
    pthread_mutexattr_init(&mutex);
    pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&state_->mutex, &mutex);
    pthread_condattr_t changed;
    pthread_condattr_init(&changed);
    pthread_condattr_setpshared(&changed, PTHREAD_PROCESS_SHARED);
    pthread_condattr_setclock(&changed, CLOCK_MONOTONIC);
    pthread_cond_init(&state_->changed, &changed);
  }
  ~SharedStore() override { ::munmap(state_, sizeof(State)); }
  SharedStore(const SharedStore&) = delete;
  SharedStore& operator=(const SharedStore&) = delete;

  Status set(std::string_view key, std::string_view value, Deadline) override {
    const Lock lock(*state_);
    put(key, value);
    return {};
  }
  Result<std::string> get(std::string_view key, Deadline) override {
    const Lock lock(*state_);
    if (const Entry* entry = find(key)) return std::string(entry->value.data(), entry->length);
    return fail(ErrorCode::not_found, "no such key");
  }
  Result<std::vector<std::string>> wait(const std::vector<std::string>& keys, Deadline deadline) override {
    const Lock lock(*state_);
    const auto at = std::chrono::time_point_cast<std::chrono::nanoseconds>(deadline.at()).time_since_epoch().count();
    const timespec until{.tv_sec = at / 1'000'000'000, .tv_nsec = at % 1'000'000'000};
    for (;;) {
      std::vector<std::string> values;
      for (const std::string& key : keys)
        if (const Entry* entry = find(key)) values.emplace_back(entry->value.data(), entry->length);
      if (values.size() == keys.size()) return values;
      if (deadline.passed()) return fail(ErrorCode::deadline_exceeded, "keys are missing");
      pthread_cond_timedwait(&state_->changed, &state_->mutex, &until);
    }
  }
  Result<std::int64_t> add(std::string_view key, std::int64_t delta, Deadline) override {
    const Lock lock(*state_);
    std::int64_t value = 0;
    if (const Entry* entry = find(key))
      std::from_chars(entry->value.data(), entry->value.data() + entry->length, value);
    put(key, std::to_string(value + delta));
    return value + delta;
  }
  Result<std::string> compare_and_set(std::string_view key, std::optional<std::string_view> expected,
                                      std::string_view desired, Deadline) override {
    const Lock lock(*state_);
    const Entry* entry = find(key);
    std::optional<std::string> held;
    if (entry != nullptr) held = std::string(entry->value.data(), entry->length);
    if (held != expected) return held.value_or("");
    put(key, desired);
    return std::string(desired);
  }
  Result<bool> remove(std::string_view key, Deadline) override {
    const Lock lock(*state_);
    Entry* entry = find(key);
    if (entry != nullptr) entry->used = false;
    return entry != nullptr;
  }
  Result<std::int64_t> remove_prefix(std::string_view prefix, Deadline) override {
    const Lock lock(*state_);
    std::int64_t removed = 0;
    for (Entry& entry : state_->entries)
      if (entry.used && entry.name().starts_with(prefix)) {
        entry.used = false;
        ++removed;
      }
    return removed;
  }
  Result<std::vector<std::string>> list(std::string_view prefix, Deadline) override {
    const Lock lock(*state_);
    std::vector<std::string> keys;
    for (const Entry& entry : state_->entries)
      if (entry.used && entry.name().starts_with(prefix)) keys.emplace_back(entry.name());
    std::sort(keys.begin(), keys.end());
    return keys;
  }

 private:
  struct Entry {
    bool used = false;
    std::array<char, 128> key{};
    std::array<char, 2048> value{};
    std::size_t length = 0;
    std::string_view name() const { return key.data(); }
  };
  struct State {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    std::array<Entry, 256> entries;
  };
  struct Lock {
    explicit Lock(State& locked) : state(locked) {
      if (pthread_mutex_lock(&state.mutex) == EOWNERDEAD) pthread_mutex_consistent(&state.mutex);
    }
    ~Lock() { pthread_mutex_unlock(&state.mutex); }
    State& state;
  };

  Entry* find(std::string_view key) {
    for (Entry& entry : state_->entries)
      if (entry.used && entry.name() == key) return &entry;
    return nullptr;
  }
  void put(std::string_view key, std::string_view value) {
    Entry* entry = find(key);
    for (Entry& free : state_->entries)
      if (entry == nullptr && !free.used) entry = &free;
    if (entry == nullptr || key.size() >= entry->key.size() || value.size() > entry->value.size()) std::abort();
    entry->key = {};
    std::memcpy(entry->key.data(), key.data(), key.size());
    std::memcpy(entry->value.data(), value.data(), value.size());
    entry->length = value.size();
    entry->used = true;
    pthread_cond_broadcast(&state_->changed);
  }

  State* state_;
};

}  // namespace weft::test
