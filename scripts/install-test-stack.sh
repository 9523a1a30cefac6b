#!/usr/bin/env bash
# Installs the real servers and clients that the tests run with: Prometheus, Alertmanager and nginx from Debian;
# from PyPI each inference server in a virtual environment of its own, and one environment with all clients.
#
# Quick when everything is there already. The Debian packages (seen: prometheus 2.42, prometheus-alertmanager
# 0.25, nginx-light 1.22) are installed but neither started nor enabled. Everything else goes into
# target/test-stack, or where CANARD_TEST_STACK points, so that several clones can share it.
#
# tests/stack/locks/NAME.lock lists what venvs/NAME holds; its first line says what was asked for. To renew one:
#     head -1 NAME.lock | tr -d '#' | tr ' ' '\n' | uv pip compile --python 3.11 --no-header --no-annotate -
#
# CANARD_TEST_LLAMA=1 also builds llama.cpp's server from source, which takes half an hour on two cores; without
# it the tests that need it are left out.
set -euo pipefail
cd "$(dirname "$0")/.."

stack="${CANARD_TEST_STACK:-$PWD/target/test-stack}"
uv_version=0.13.9
export PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

die() {
    printf 'install-test-stack: %s\n' "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo --non-interactive "$@" || die "cannot run \`$*\` as root; run it yourself, then try again"
    else
        die "needs root for \`$*\`, and there is no sudo; run it as root, then try again"
    fi
}

# Package scripts ask policy-rc.d whether they may start a service: not the test stack's.
forbid_service_start() {
    [ -e /usr/sbin/policy-rc.d ] && return
    printf '#!/bin/sh\nexit 101\n' | as_root tee /usr/sbin/policy-rc.d >/dev/null
    as_root chmod +x /usr/sbin/policy-rc.d
    trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
}

apt_install() {
    command -v apt-get >/dev/null || die "needs $* and knows only apt-get to install them; install them yourself"
    echo "installing $*"
    forbid_service_start
    as_root apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=600 update
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=600 \
        install --yes --no-install-recommends "$@" </dev/null
}

install_servers() {
    local missing=() units=()
    command -v prometheus >/dev/null || { missing+=(prometheus); units+=(prometheus); }
    command -v prometheus-alertmanager >/dev/null ||
        { missing+=(prometheus-alertmanager); units+=(prometheus-alertmanager); }
    command -v nginx >/dev/null || { missing+=(nginx-light); units+=(nginx); }
    [ "${#missing[@]}" -eq 0 ] && return
    apt_install "${missing[@]}"
    if [ -d /run/systemd/system ]; then
        as_root systemctl --quiet disable "${units[@]}" || true
    fi
}

usable_python() {
    "$1" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' \
        >/dev/null 2>&1
}

find_python() {
    local candidate
    for candidate in python3 python3.11 python3.12 /usr/bin/python3; do
        if usable_python "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    return 1
}

# The Python that environments are made with; its version is part of every stamp.
need_python() {
    if ! python="$(find_python)"; then
        apt_install python3 python3-venv
        python="$(find_python)" || die "needs Python 3.11 or 3.12 with its venv module"
    fi
}

# uv installs many times faster than pip, and in parallel.
install_uv() {
    uv="$stack/uv/bin/uv"
    [ "$("$uv" --version 2>/dev/null | cut -d' ' -f2)" = "$uv_version" ] && return
    rm -rf "$stack/uv"
    "$python" -m venv "$stack/uv"
    "$stack/uv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --retries 5 \
        "uv==$uv_version" || die "pip could not install uv"
}

# Makes venvs/NAME from its lock unless that is what it holds already.
install_environment() {
    local name="$1" lock="tests/stack/locks/$1.lock" venv="$stack/venvs/$1" wanted try
    shift
    wanted="$(cat "$lock" | sha256sum) $("$python" --version) $stack"
    [ "$(cat "$venv/stamp" 2>/dev/null)" = "$wanted" ] && "$venv/bin/python" -c '' 2>/dev/null && return
    echo "installing $name"
    for try in 1 2 3; do
        rm -rf "$venv"
        "$uv" venv --quiet --python "$python" "$venv"
        if "$uv" pip install --quiet --python "$venv/bin/python" --requirement "$lock" "$@"; then
            echo "$wanted" >"$venv/stamp"
            return
        fi
        echo "installing $name: try $try failed" >&2
    done
    return 1
}

install_environments() {
    local names=(mlserver mlflow kserve triton bentoml litserve fakellm evidently clients) name
    need_python
    install_uv
    export UV_HTTP_TIMEOUT=120 UV_CACHE_DIR="${UV_CACHE_DIR:-$stack/cache}"
    for name in "${names[@]}"; do
        install_environment "$name" --only-binary :all: || die "could not install tests/stack/locks/$name.lock"
    done
    if [ "${CANARD_TEST_LLAMA:-0}" = 1 ]; then
        LLAMA_CPP_BUILD_JOBS="$(nproc)" CMAKE_ARGS="-DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF" \
            install_environment llama || die "could not build llama.cpp"
    fi
}

# Fits and writes the models that MLServer and MLflow load from disk.
make_models() {
    local stamp="$stack/models/stamp" wanted
    # There is no stamp of llama where it was not built.
    wanted="$({ cat "$stack"/venvs/{mlserver,mlflow,llama}/stamp tests/stack/mlserver/*.* \
        tests/stack/mlserver/iris/* tests/stack/servers/{mlflow_model,iris,random_model}.py \
        scripts/fit_demo_model.py scripts/iris.csv src/demo/coefficients.json 2>/dev/null || true; } | sha256sum)"
    [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && return
    echo "making models"
    rm -rf "$stack/models"
    mkdir -p "$stack/models"
    cp -r tests/stack/mlserver "$stack/models/mlserver"
    "$stack/venvs/mlserver/bin/python" tests/stack/mlserver/fit.py "$stack/models/mlserver/iris/model.joblib"
    "$stack/venvs/mlflow/bin/python" tests/stack/servers/mlflow_model.py "$stack/models/mlflow" 2>"$stack/models/log" ||
        die "could not save MLflow's model: $(cat "$stack/models/log")"
    if [ -e "$stack/venvs/llama/stamp" ]; then
        "$stack/venvs/llama/bin/python" tests/stack/servers/random_model.py "$stack/models/random.gguf"
    fi
    echo "$wanted" >"$stamp"
}

mkdir -p "$stack"
rm -rf "$stack/venv" "$stack/installed" "$stack/mlserver"
exec 9>"$stack/lock"
flock 9
install_servers
install_environments
make_models
echo "test stack ready in $stack"
