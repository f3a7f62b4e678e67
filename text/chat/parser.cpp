#include "text/chat/parser.h"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <utility>

#include "text/chat/expression_parser.h"
#include "text/utf8.h"

namespace weft::text::jinja {
namespace {

// Of blocks within blocks.
constexpr int deepest_blocks = 100;
constexpr std::size_t longest_source = 4u << 20;

class Parser {
 public:
  Parser(TokenStream& tokens, Names& names) : tokens_(tokens), expressions_(tokens, names), names_(names) {}

  Body run() {
    Body body = statements({});
    if (!tokens_.is(TokenKind::end)) throw fault("{}", tokens_.describe());
    return body;
  }

 private:
  // Until one of `ends` stands behind a "{%"; that name is left to the caller.
  Body statements(std::initializer_list<std::string_view> ends) {
    if (++nesting_ > deepest_blocks) throw fault("blocks nested deeper than {}", deepest_blocks);
    Body body;
    while (!tokens_.is(TokenKind::end)) {
      if (tokens_.is(TokenKind::data)) {
        Statement text = make(StatementKind::text);
        text.text = tokens_.next().text;
        body.push_back(std::move(text));
      } else if (tokens_.is(TokenKind::expression_begin)) {
        Statement output = make(StatementKind::output);
        tokens_.next();
        output.expression = expressions_.tuple();
        tokens_.expect(TokenKind::expression_end, "'}}'");
        body.push_back(std::move(output));
      } else {
        const std::uint32_t begin = tokens_.offset();
        tokens_.next();
        if (tokens_.is(TokenKind::name) && std::find(ends.begin(), ends.end(), tokens_.current().text) != ends.end()) {
          --nesting_;
          return body;
        }
        body.push_back(statement());
        body.back().offset = begin;
        tokens_.expect(TokenKind::block_end, "'%}'");
      }
    }
    if (ends.size() > 0) throw fault("the template ends within a block, expected '{}'", *(ends.end() - 1));
    --nesting_;
    return body;
  }

  // The body of a block, its end tag's name included.
  Body block_body(std::string_view end) {
    tokens_.expect(TokenKind::block_end, "'%}'");
    Body body = statements({end});
    tokens_.next();
    return body;
  }

  Statement make(StatementKind kind) {
    Statement made;
    made.kind = kind;
    made.offset = tokens_.offset();
    return made;
  }

  Statement statement() {
    if (!tokens_.is(TokenKind::name)) throw fault("{}, expected the name of a block", tokens_.describe());
    const std::string name = tokens_.current().text;
    if (name == "if") return branch();
    if (name == "for") return loop();
    if (name == "set") return set();
    if (name == "macro") return macro();
    if (name == "call") return call_block();
    if (name == "filter") return filter_block();
    if (name == "with") return with();
    if (name == "generation") {  // marks what the model wrote, for training; here it is only a scope
      Statement made = make(StatementKind::scope);
      tokens_.next();
      made.body = block_body("endgeneration");
      return made;
    }
    if (name == "break" || name == "continue") {
      if (loops_ == 0) throw fault("'{}' outside of a loop", name);
      Statement made = make(name == "break" ? StatementKind::break_loop : StatementKind::continue_loop);
      tokens_.next();
      return made;
    }
    throw fault("unknown block '{}'", name.substr(0, 60));
  }

  Statement branch() {
    Statement made = make(StatementKind::branch);
    while (true) {
      tokens_.next();  // if, elif
      auto condition = expressions_.tuple(false);
      tokens_.expect(TokenKind::block_end, "'%}'");
      made.branches.emplace_back(std::move(condition), statements({"elif", "else", "endif"}));
      if (!tokens_.is_name("elif")) break;
    }
    if (tokens_.skip_name("else")) {
      made.body = block_body("endif");
      return made;
    }
    tokens_.next();
    return made;
  }

  Statement loop() {
    Statement made = make(StatementKind::loop);
    tokens_.next();
    made.target = expressions_.target(true, false);
    if (!tokens_.skip_name("in")) throw fault("{}, expected 'in'", tokens_.describe());
    made.expression = expressions_.tuple(false);
    if (tokens_.skip_name("if")) made.condition = expressions_.expression();
    made.recursive = tokens_.skip_name("recursive");
    tokens_.expect(TokenKind::block_end, "'%}'");
    ++loops_;
    made.body = statements({"else", "endfor"});
    --loops_;
    if (tokens_.skip_name("else")) {
      made.otherwise = block_body("endfor");
      return made;
    }
    tokens_.next();
    return made;
  }

  Statement set() {
    Statement made = make(StatementKind::set);
    tokens_.next();
    made.target = expressions_.target(true, true);
    if (tokens_.skip_symbol("=")) {
      made.expression = expressions_.tuple();
      return made;
    }
    if (!made.target.parts.empty()) throw fault("{}, expected '='", tokens_.describe());
    made.kind = StatementKind::set_block;
    made.filters = expressions_.filter_chain();
    made.body = block_body("endset");
    return made;
  }

  // "(a, b=1)" of a macro or a call.
  void parameters(MacroDefinition& macro) {
    tokens_.expect_symbol("(");
    while (!tokens_.is_symbol(")")) {
      if (!macro.parameters.empty()) tokens_.expect_symbol(",");
      if (tokens_.is_symbol(")")) break;
      const std::string name = tokens_.expect_name();
      macro.parameters.emplace_back(names_.intern(name), name);
      if (tokens_.skip_symbol("="))
        macro.defaults.push_back(expressions_.expression());
      else if (!macro.defaults.empty())
        throw fault("parameter '{}' without a default behind one with a default", name);
    }
    tokens_.expect_symbol(")");
  }

  void macro_body(MacroDefinition& macro, std::string_view end) {
    const bool outer[] = {expressions_.saw_varargs, expressions_.saw_kwargs, expressions_.saw_caller};
    const int outer_loops = std::exchange(loops_, 0);
    expressions_.saw_varargs = expressions_.saw_kwargs = expressions_.saw_caller = false;
    macro.body = block_body(end);
    macro.uses_varargs = std::exchange(expressions_.saw_varargs, outer[0]);
    macro.uses_kwargs = std::exchange(expressions_.saw_kwargs, outer[1]);
    macro.uses_caller = std::exchange(expressions_.saw_caller, outer[2]);
    loops_ = outer_loops;
  }

  Statement macro() {
    Statement made = make(StatementKind::macro);
    tokens_.next();
    made.macro = std::make_unique<MacroDefinition>();
    made.macro->name = tokens_.expect_name();
    made.macro->name_id = names_.intern(made.macro->name);
    parameters(*made.macro);
    macro_body(*made.macro, "endmacro");
    return made;
  }

  Statement call_block() {
    Statement made = make(StatementKind::call_block);
    tokens_.next();
    made.macro = std::make_unique<MacroDefinition>();
    made.macro->name = "caller";
    if (tokens_.is_symbol("(")) parameters(*made.macro);
    made.expression = expressions_.expression();
    if (made.expression->kind != ExpressionKind::call) throw fault("expected a call behind 'call'");
    macro_body(*made.macro, "endcall");
    return made;
  }

  Statement filter_block() {
    Statement made = make(StatementKind::filter_block);
    made.filters = expressions_.filter_chain(true);
    made.body = block_body("endfilter");
    return made;
  }

  Statement with() {
    Statement made = make(StatementKind::with);
    tokens_.next();
    while (!tokens_.is(TokenKind::block_end)) {
      if (!made.assignments.empty()) tokens_.expect_symbol(",");
      Target target = expressions_.target(false, false);
      tokens_.expect_symbol("=");
      made.assignments.emplace_back(std::move(target), expressions_.expression());
    }
    made.body = block_body("endwith");
    return made;
  }

  TokenStream& tokens_;
  ExpressionParser expressions_;
  Names& names_;
  int nesting_ = 0;
  int loops_ = 0;
};

}  // namespace

std::string position(const Program& program, std::uint32_t offset) {
  const std::string_view before = std::string_view(program.source).substr(0, offset);
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t start = before.rfind('\n');
  const std::string_view same_line = before.substr(start == std::string_view::npos ? 0 : start + 1);
  return fmt::format("{}:{}", line, count_characters(same_line) + 1);
}

Result<std::shared_ptr<const Program>> parse(std::string_view source) {
  if (source.size() > longest_source)
    return fail(ErrorCode::invalid_argument,
                fmt::format("a template of {} bytes, expected at most {}", source.size(), longest_source));
  if (const auto bad = first_invalid_utf8(source))
    return fail(ErrorCode::invalid_argument, fmt::format("the template is not UTF-8 at byte {}", *bad));
  auto program = std::make_shared<Program>();
  program->source = normalize_source(source);
  std::uint32_t failed_at = 0;
  std::optional<TokenStream> tokens;
  Names names;
  for (const char* name : {"loop", "caller", "varargs", "kwargs"})
    names.intern(name);
  try {
    tokens.emplace(tokenize(program->source, failed_at));
    Parser parser(*tokens, names);
    program->body = parser.run();
  } catch (const Fault& error) {
    const std::uint32_t offset = tokens ? tokens->offset() : failed_at;
    return fail(error.code, fmt::format("{}: {}", position(*program, offset), error.message));
  }
  program->names = names.take();
  return program;
}

}  // namespace weft::text::jinja
