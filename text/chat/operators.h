// Python's operators on values. All throw Fault with Python's words where an operand has the wrong type.
#pragma once

#include <string>

#include "text/chat/ast.h"

namespace weft::text::jinja {

Value binary(Budget& budget, Operation operation, const Value& left, const Value& right);
Value unary(Operation operation, const Value& operand);
bool compare(Budget& budget, Operation operation, const Value& left, const Value& right);
bool contains(Budget& budget, const Value& container, const Value& item);
Value slice_of(Budget& budget, const Value& subject, const Value& start, const Value& stop, const Value& step);

// "%s has %d" % (a, b)
std::string percent_format(Budget& budget, const std::string& format, const Value& arguments);
// "{} has {n:>4}".format(...)
std::string brace_format(Budget& budget, const std::string& format, const Arguments& arguments);

// len(); throws TypeError for what has none.
std::int64_t length_of(Budget& budget, const Value& value);

}  // namespace weft::text::jinja
