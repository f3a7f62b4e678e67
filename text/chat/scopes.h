// How the interpreter enters and leaves: scopes of variables, and levels of nesting that are bounded. Only for its own
// two files.
#pragma once

#include <exception>
#include <memory>

#include "text/chat/interpreter.h"

namespace weft::text::jinja {

// Within it, a fresh scope is current.
class Interpreter::Entered {
 public:
  explicit Entered(Interpreter& interpreter) : Entered(interpreter, interpreter.scope_) {}
  Entered(Interpreter& interpreter, Scope* parent)
      : interpreter_(interpreter), outer_(interpreter.scope_), scope_(std::make_shared<Scope>(parent)) {
    interpreter_.scope_ = scope_.get();
  }
  Entered(const Entered&) = delete;
  Entered& operator=(const Entered&) = delete;
  ~Entered() { interpreter_.scope_ = outer_; }

 private:
  Interpreter& interpreter_;
  Scope* outer_;
  std::shared_ptr<Scope> scope_;  // shared with retained_, where a macro was defined in it
};

// One item of a loop: where a Fault leaves the loop, the item is noted.
class Interpreter::Noted {
 public:
  Noted(Interpreter& interpreter, const Value& item)
      : interpreter_(interpreter), item_(item), faults_(std::uncaught_exceptions()) {}
  Noted(const Noted&) = delete;
  Noted& operator=(const Noted&) = delete;
  ~Noted() {
    if (std::uncaught_exceptions() > faults_) interpreter_.note_message(item_);
  }

 private:
  Interpreter& interpreter_;
  const Value& item_;
  int faults_;
};

// One level of a count that may not pass its limit.
class Interpreter::Level {
 public:
  // The default bounds the C++ stack: a level takes a few hundred bytes, some thousand with sanitizers.
  static constexpr int deepest = 1200;

  explicit Level(int& level, int limit = deepest) : level_(level) {
    if (level_ >= limit)
      throw Fault{ErrorCode::resource_exhausted, fmt::format("RecursionError: deeper than {} levels", limit)};
    ++level_;
  }
  Level(const Level&) = delete;
  Level& operator=(const Level&) = delete;
  ~Level() { --level_; }

 private:
  int& level_;
};

}  // namespace weft::text::jinja
