#!/usr/bin/env bash
# The examples, from an installed Weft alone: both tutorial pages command by command (which builds the plugins with g++ and
# takes them through weft-conformance), both projects with clang++, and the executor's tests on two nodes.
#
#   ci.sh PREFIX [EMPTY_DIRECTORY]     default: a temporary directory, removed at the end
#
# What this machine has not (network namespaces, sshd, clang++) is left out, with the reason; the last line says what ran.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() {
  echo "ci.sh: $*" >&2
  exit 2
}

[[ -x ${1:-}/bin/weft ]] || fail "no bin/weft in '${1:-}'; expected the prefix that Weft is installed in"
export PREFIX PYTHONDONTWRITEBYTECODE=1
PREFIX=$(cd "$1" && pwd)
if [[ -n ${2:-} ]]; then
  mkdir -p "$2"
  [[ -z $(ls -A "$2") ]] || fail "$2 is not empty"
  work=$(cd "$2" && pwd)
else
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
fi
cd "$work"
export XDG_STATE_HOME=$work/state  # run directories
ran=(g++)
without=()
lacks() { without+=(--without "$1=$2"); }

# What is here, and what is not.
alone=()
if reason=$("$here/custom_executor/tests/alone" --check 2>&1); then
  alone=("$here/custom_executor/tests/alone")
  ran+=(namespaces)
else
  lacks netns "no network namespaces here: $reason"
fi
if reason=$("$here/custom_executor/loopback_ssh" "$work/ssh" 2>&1 &&
  timeout 60 ssh -F "$work/ssh/config" left true 2>&1); then
  ran+=(ssh)
else
  lacks ssh "no ssh to this machine: $reason"
fi

# With another compiler, beside everything else: compiling is half of the time.
strict="-Werror -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wno-missing-field-initializers"
build_with_clang() {
  local example
  for example in custom_executor custom_balancer; do
    cmake -S "$here/$example" -B "$work/clang/$example" -DCMAKE_PREFIX_PATH="$PREFIX" -DCMAKE_CXX_COMPILER="$clang" \
      -DCMAKE_BUILD_TYPE=Debug -DCMAKE_CXX_FLAGS="$strict"
    cmake --build "$work/clang/$example"
  done
  "$PREFIX/bin/weft-conformance" --plugin "$work/clang/custom_executor/libweft-executor-remote.so" --filter 'PL-*'
  "$PREFIX/bin/weft-conformance" --plugin "$work/clang/custom_balancer/libweft-load_balancer-weighted.so"
  "$work/clang/custom_balancer/shares_test"
}
jobs=()  # "PID LOG" each
in_background() {
  "${@:2}" >"$1" 2>&1 &
  jobs+=("$! $1")
}
wait_for_all() {
  local job bad=0
  for job in ${jobs[@]+"${jobs[@]}"}; do
    wait "${job%% *}" || { bad=1; cat "${job#* }"; }
  done
  jobs=()
  ((bad == 0)) || { echo "ci.sh: failed"; exit 1; }
}

if clang=$(command -v clang++ || command -v clang++-14); then
  in_background "$work/clang.log" build_with_clang
  ran+=("clang++")
else
  echo "no clang++ here"
fi
# CMake takes these where a page's commands name none.
export CXX=g++ CXXFLAGS="$strict" CMAKE_BUILD_TYPE=Release
run_page() {
  echo "== $1/README.md"
  ${alone[@]+"${alone[@]}"} "$here/run_page" "$here/$1/README.md" ${without[@]+"${without[@]}"}
}
bad_page() {  # what runs beside it ends first
  wait_for_all
  echo "ci.sh: failed"
  exit 1
}
run_page custom_executor || bad_page
# Mostly waits, so the rest goes on beside it; and the places do not meet.
for place in OverNamespaces OverSsh; do
  in_background "$work/$place.log" "$work/custom_executor/tests/nodes_test.py" --prefix "$PREFIX" \
    --plugin-dir "$work/custom_executor/build" --verbose "$place"
done
run_page custom_balancer || bad_page
wait_for_all
cat "$work/OverNamespaces.log" "$work/OverSsh.log"
echo "examples: both pages and both plugins' suites hold; ran with: $(printf '%s\n' "${ran[@]}" | paste -sd, | sed 's/,/, /g')"
