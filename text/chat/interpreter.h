// Runs a Program over the variables of one rendering. One object a rendering, one thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <utility>
#include <vector>

#include "text/chat/ast.h"
#include "text/chat/chat_template.h"

namespace weft::text::jinja {

class Interpreter {
 public:
  Interpreter(const Program& program, const OrderedJson& variables, const RenderLimits& limits);
  Interpreter(const Interpreter&) = delete;
  Interpreter& operator=(const Interpreter&) = delete;
  ~Interpreter();

  std::string run();                                        // throws Fault
  std::uint32_t failed_at() const noexcept { return at_; }  // the byte of the source that a Fault is about
  // The message that a loop was at when a Fault was thrown, by its index in `messages`.
  std::optional<std::size_t> failed_message() const noexcept { return failed_message_; }

  // For builtins.
  Budget& budget() noexcept { return budget_; }
  const RenderLimits& limits() const noexcept { return limits_; }
  Value call(const Value& callee, Arguments& arguments);
  Value make_namespace(Arguments& arguments);
  const std::string& keep(const std::string& name);  // a copy that lives as long as the rendering

 private:
  // Variables that a block has set. Lives on the stack of its block, longer if a macro was defined within it.
  struct Scope : std::enable_shared_from_this<Scope> {
    explicit Scope(Scope* outer) : parent(outer) {}
    std::vector<std::pair<NameId, Value>> variables;
    Scope* parent;
    bool retained = false;
    const Value* find(NameId name) const noexcept;
    void set(NameId name, Value value);
  };
  class Entered;
  class Level;
  class Noted;
  enum class Flow { normal, break_loop, continue_loop };

  Value evaluate(const Expression& node);
  Value evaluate_node(const Expression& node);
  Value name(const Expression& node);
  Value compare(const Expression& node);
  Value concat(const Expression& node);
  Value slice(const Expression& node);
  Value dict(const Expression& node);
  Value call_node(const Expression& node, const Value* caller);
  Value filter(const Expression& node, const Value& subject);
  bool test(const Expression& node);
  std::vector<Value> evaluate_all(const std::vector<ExpressionPtr>& nodes);
  Arguments arguments(const CallArguments& given);

  Flow run(const Body& body, std::string& out);
  Flow run(const Statement& statement, std::string& out);
  Flow branch(const Statement& statement, std::string& out);
  void loop(const Statement& statement, const Value& over, int level, std::string& out);
  bool iterate_body(const Statement& statement, const std::shared_ptr<Loop>& state, std::string& out);
  std::vector<Value> loop_items(const Statement& statement, const Value& over);
  void set_block(const Statement& statement);
  void define_macro(const Statement& statement);
  void call_block(const Statement& statement, std::string& out);
  void with(const Statement& statement, std::string& out);
  std::string captured(const Body& body);
  std::string filtered(const Statement& statement);
  void append(std::string_view text, std::string& out);
  void assign(const Target& target, const Value& value);

  Value make_macro(const MacroDefinition& macro);
  Value call_macro(const MacroDefinition& macro, Scope* defined_in, Arguments& arguments);
  void bind_parameters(const MacroDefinition& macro, Arguments& arguments);
  const Value& global(NameId name);
  void retain(Scope* scope);
  void note_message(const Value& item) noexcept;

  const Program& program_;
  const OrderedJson& variables_;
  const RenderLimits& limits_;
  Budget budget_;
  std::uint32_t at_ = 0;
  std::optional<std::size_t> failed_message_;
  int level_ = 0;  // of evaluate() and run() within each other
  int macro_level_ = 0;
  std::shared_ptr<Scope> root_;
  Scope* scope_ = nullptr;
  std::vector<std::optional<Value>> globals_;  // by name, once asked for
  std::unordered_set<std::string> kept_names_;
  // What can refer to itself is emptied at the end, so that no cycle of shared pointers outlives the rendering.
  std::vector<std::shared_ptr<Scope>> retained_;
  std::vector<std::shared_ptr<Namespace>> namespaces_;
};

}  // namespace weft::text::jinja
