#!/bin/sh
# Compares, in one run: the upstream asked directly, through the sidecar with nothing armed, and through nginx
# as a plain reverse proxy. Prints requests per second (and the ratio to direct), p50 and p99, and the CPU
# time that the proxy itself used per request.
#
# Needs wrk and nginx (Debian: apt-get install wrk nginx-light). Layout: upstream and load on CPU 0, the proxy
# alone on CPU 1. Usage: scripts/bench-sidecar.sh [seconds per round, 10] [rounds, 3]
set -eu
seconds=${1:-10}
rounds=${2:-3}
connections=32
root=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
pids=""
finish() {
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

for tool in wrk nginx taskset; do
    command -v $tool >/dev/null || { echo "bench-sidecar: $tool is not installed" >&2; exit 2; }
done
cargo build --quiet --profile dist --manifest-path "$root/Cargo.toml"
canard=${CARGO_TARGET_DIR:-$root/target}/dist/canard

# The upstream: nginx with a body of 90 bytes, in the shape of a prediction.
body='{"model_name":"iris","outputs":[{"name":"p","shape":[1],"datatype":"INT64","data":[2]}]} '
common="worker_processes 1; daemon off; pid $work/%s.pid; error_log /dev/null;
events { worker_connections 4096; }"
http="access_log off; keepalive_requests 10000000; client_body_temp_path $work/body; proxy_temp_path $work/proxy;
fastcgi_temp_path $work/fastcgi; uwsgi_temp_path $work/uwsgi; scgi_temp_path $work/scgi;"
# shellcheck disable=SC2059
{
    printf "$common\n" upstream
    printf '%s\n' "http { $http server { listen 127.0.0.1:18080; location / {
        default_type application/json; return 200 '$body'; } } }"
} >"$work/upstream.conf"
# shellcheck disable=SC2059
{
    printf "$common\n" proxy
    printf '%s\n' "http { $http upstream up { server 127.0.0.1:18080; keepalive 128; keepalive_requests 10000000; }
        server { listen 127.0.0.1:18082 reuseport; location / { proxy_pass http://up;
        proxy_http_version 1.1; proxy_set_header Connection ''; proxy_set_header Host \$http_host; } } }"
} >"$work/proxy.conf"

taskset -c 0 nginx -c "$work/upstream.conf" &
pids="$pids $!"
taskset -c 1 nginx -c "$work/proxy.conf" &
nginx_pid=$!
pids="$pids $nginx_pid"
taskset -c 1 "$canard" sidecar --upstream http://127.0.0.1:18080 --listen 127.0.0.1:18081 \
    --admin 127.0.0.1:18091 --workers 1 >/dev/null &
on_pid=$!
pids="$pids $on_pid"
taskset -c 1 "$canard" sidecar --upstream http://127.0.0.1:18080 --listen 127.0.0.1:18083 \
    --admin 127.0.0.1:18093 --workers 1 --observe off >/dev/null &
off_pid=$!
pids="$pids $off_pid"
sleep 1

# wrk asks for a prediction, as model traffic does.
cat >"$work/predict.lua" <<'LUA'
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = '{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP64","data":[5.1,3.5,1.4,0.2]}]}'
LUA

# CPU time (user and system, in clock ticks) of a process and of its children that live.
ticks() {
    for pid in $1 $(pgrep -P "$1" || true); do cat "/proc/$pid/stat"; done |
        sed 's/.*) //' | awk '{ sum += $12 + $13 } END { print sum + 0 }'
}

measure() { # name port pid
    before=0
    [ -z "$3" ] || before=$(ticks "$3")
    taskset -c 0 wrk -t 1 -c $connections -d "$seconds" --latency -s "$work/predict.lua" \
        "http://127.0.0.1:$2/v2/models/iris/infer" >"$work/out"
    after=0
    [ -z "$3" ] || after=$(ticks "$3")
    if grep -q 'Non-2xx\|Socket errors' "$work/out"; then
        echo "bench-sidecar: $1 had errors:" >&2
        cat "$work/out" >&2
        exit 1
    fi
    awk -v name="$1" -v ticks=$((after - before)) -v hz="$(getconf CLK_TCK)" '
        /50%/ { p50 = $2 } /99%/ { p99 = $2 }
        / requests in / { n = $1 } /Requests\/sec/ { rate = $2 }
        END { printf "%-22s %10.0f %10s %10s %10.1f\n", name, rate, p50, p99, 1e6 * ticks / hz / n }' "$work/out"
}

printf '%-22s %10s %10s %10s %10s\n' "" "req/s" p50 p99 "CPU us/req"
round=1
while [ "$round" -le "$rounds" ]; do
    measure direct 18080 "" | tee -a "$work/all"
    measure sidecar 18081 $on_pid | tee -a "$work/all"
    measure sidecar-observe-off 18083 $off_pid | tee -a "$work/all"
    measure nginx 18082 $nginx_pid | tee -a "$work/all"
    round=$((round + 1))
done
awk '{ n[$1]++; rate[$1] += $2; cpu[$1] += $5 }
    END { for (name in n) printf "%-22s %5.2f of direct, %5.1f us CPU per request (mean of %d rounds)\n",
        name, rate[name] / n[name] / (rate["direct"] / n["direct"]), cpu[name] / n[name], n[name] }' "$work/all" | sort
