#!/usr/bin/env bash
# Offline data-parallel inference: 200 questions to copies of the bundled model, answers compared with the right ones.
#
#   ./run.sh [--data N] [--tensor N] [--pipeline N] [--dtype X] [options of `weft run`, such as --set log.level=debug]
#
# $WEFT names the program; without it the release build's is taken. $OUT: where answers go (default: below build/).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)

fail() {
  echo "run.sh: $*" >&2
  exit 2
}

options=()
while (($#)); do
  case $1 in
    --data | --tensor | --pipeline) options+=(--set "parallel.${1#--}=${2:?$1 needs a number}"); shift 2 ;;
    --dtype) options+=(--set "model.dtype=\"${2:?--dtype needs f32, bf16, f16 or auto}\""); shift 2 ;;
    -h | --help) sed -n '2,/^set /{/^set /d; s/^# \{0,1\}//; p}' "$here/run.sh"; exit 0 ;;
    *) options+=("$1"); shift ;;
  esac
done

weft=${WEFT:-$root/build/release/bin/weft}
[[ -x $weft ]] || fail "$weft is not there: build it with ./dev build, or set WEFT"
command -v python3 >/dev/null || fail "python3 is needed to make the prompts and compare the answers"

if [[ -n ${OUT:-} ]]; then
  out=$OUT
  mkdir -p "$out"
else
  mkdir -p "$root/build/examples"
  out=$(mktemp -d "$root/build/examples/offline_batch-$(date +%Y%m%d-%H%M%S)-XXXX")
fi

python3 "$here/answers.py" prompts "$here/questions.jsonl" >"$out/prompts.jsonl"
"$weft" run -c "$here/weft.toml" -i "$out/prompts.jsonl" -o "$out/results.jsonl" --summary "$out/summary.json" \
  ${options[@]+"${options[@]}"}
python3 "$here/answers.py" compare "$here/questions.jsonl" "$out/results.jsonl"
