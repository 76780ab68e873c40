#!/usr/bin/env bash
# Everything that needs an NVIDIA GPU, in one go of less than eight minutes, without a download:
#
#     tests/measure/gpu.sh [FOLDER]
#
# Runs the tests that are marked `gpu`, `bench` of nano and of Depth Anything V2 Small with random weights, and 1, 4 and
# 16 streams, decoded on the GPU and on the CPU. FOLDER (default: build/gpu) then has gpu.json with all figures, gpu.md
# with the table for a README, and the output of each step. A step that fails does not keep the others from running; the
# exit code is 1 then. `DEVICE=cpu` tries the script itself where there is no GPU, with a few frames.
set -uo pipefail
cd "$(dirname "$0")/../.."
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
device=${DEVICE:-cuda}
folder=${1:-build/gpu}
mkdir -p "$folder"
failed=()

step() { # NAME SECONDS COMMAND...
    local name=$1 seconds=$(($2 * patience)) began=$SECONDS
    shift 2
    if timeout --signal=INT --kill-after=10 "$seconds" "$@" >"$folder/$name.txt" 2>&1; then
        echo "ok      $name, $((SECONDS - began)) s"
    else
        echo "FAILED  $name, $((SECONDS - began)) s, see $folder/$name.txt"
        failed+=("$name")
    fi
}

if [ "$device" = cpu ]; then
    tests=(--collect-only) size=(--size 56) quick=(--quick) frames=4 counts=(1 2) patience=5
else
    export STREAMDEPTH_REQUIRE_GPU=1
    tests=() size=() quick=(--rounds 3) frames=240 counts=(1 4 16) patience=1
fi
mapfile -t files < <(grep -rl 'mark\.gpu' tests --include='test_*.py')

step doctor 30 python -m streamdepth doctor
step tests 130 python -m pytest -q -m gpu -p no:cacheprovider "${tests[@]}" "${files[@]}"
bench=(python -m streamdepth bench --device "$device" --alone --overwrite "${quick[@]}" "${size[@]}")
step bench_nano 80 "${bench[@]}" --json "$folder/bench_nano.json"
step bench_dav2s 90 "${bench[@]}" --model depth-anything-v2-small --random-weights --json "$folder/bench_dav2s.json"
step streams 130 python tests/measure/gpu_streams.py --device "$device" --frames "$frames" --streams "${counts[@]}" \
    --json "$folder/streams.json"
step table 10 python tests/measure/gpu_table.py "$folder"
[ ${#failed[@]} -eq 0 ]
