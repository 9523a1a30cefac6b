#!/usr/bin/env bash
# Installs the real servers that the tests run against: Prometheus, Alertmanager and nginx from Debian,
# MLServer with a fitted scikit-learn model from PyPI.
#
# Quick when everything is there already. The Debian packages (seen: prometheus 2.42, prometheus-alertmanager
# 0.25, nginx-light 1.22) are installed but neither started nor enabled. Everything else goes into
# target/test-stack, or where CANARD_TEST_STACK points, so that several clones can share it.
set -euo pipefail
cd "$(dirname "$0")/.."

stack="${CANARD_TEST_STACK:-$PWD/target/test-stack}"
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

install_python_environment() {
    local stamp wanted python
    stamp="$stack/installed"
    wanted="$(cat tests/stack/requirements.lock tests/stack/mlserver/fit.py scripts/fit_demo_model.py \
        tests/stack/mlserver/settings.json tests/stack/mlserver/iris/model-settings.json \
        scripts/iris.csv | sha256sum) $stack"
    if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && "$stack/venv/bin/python" -c '' 2>/dev/null; then
        return
    fi
    if ! python="$(find_python)"; then
        apt_install python3 python3-venv
        python="$(find_python)" || die "needs Python 3.11 or 3.12 with its venv module"
    fi
    echo "installing MLServer into $stack with $("$python" --version); the first time takes a few minutes"
    rm -rf "$stamp" "$stack/venv" "$stack/mlserver"
    "$python" -m venv "$stack/venv"
    "$stack/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --retries 5 \
        --requirement tests/stack/requirements.lock ||
        die "pip could not install tests/stack/requirements.lock"
    cp -r tests/stack/mlserver "$stack/mlserver"
    "$stack/venv/bin/python" tests/stack/mlserver/fit.py "$stack/mlserver/iris/model.joblib"
    echo "$wanted" >"$stamp"
}

mkdir -p "$stack"
exec 9>"$stack/lock"
flock 9
install_servers
install_python_environment
echo "test stack ready in $stack"
