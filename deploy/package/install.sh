#!/bin/sh
# Makes a slot of Kerbstone from the wheels beside this script, without any network. As root: ./install.sh
# PYTHON=... chooses the interpreter, BASE=... another folder than /opt/kerbstone.
set -eu
cd "$(dirname "$0")"
version=@VERSION@ machine=@MACHINE@
base=${BASE:-/opt/kerbstone}
python=${PYTHON:-/usr/bin/python3}
slot=$base/slots/$version

fail() {
    echo "error: $*" >&2
    exit 1
}

# points units and people at the slot, at one moment
switch() {
    if [ -d "$base/venv" ] && [ ! -L "$base/venv" ]; then
        [ ! -e "$base/venv.by-hand" ] || fail "$base/venv.by-hand is in the way; move it"
        echo "$base/venv was made by hand; it is kept as $base/venv.by-hand"
        mv "$base/venv" "$base/venv.by-hand"
    fi
    ln -sfn "slots/$version" "$base/venv.new"
    mv -T "$base/venv.new" "$base/venv"
    echo "$base/venv is kerbstone $version now; a daemon that runs takes it with:"
    echo "  systemctl restart kerbstone"
}

[ "$(uname -m)" = "$machine" ] || fail "this is for $machine, and the machine is $(uname -m)"
minor=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') ||
    fail "$python does not run. On Debian and Raspberry Pi OS: apt install python3"
lock=locks/$minor.txt
[ -f "$lock" ] || fail "$python is Python $minor; here are wheels for @PYTHONS@. PYTHON=... chooses"
echo "checking the files"
sha256sum --check --strict --quiet SHA256SUMS || fail "the bundle is damaged; copy it again"
if [ -e "$slot" ] && [ ! -e "$slot/unfinished" ]; then
    echo "$slot is there already, and is never changed"
    switch
    exit 0
fi

rm -rf "$slot"
mkdir -p "$slot" || fail "$slot cannot be made. Is this root?"
: >"$slot/unfinished" # a power cut from here on, and the next run starts again
trap 'rm -rf "$slot"' EXIT
trap 'exit 1' HUP INT TERM
"$python" -m venv --without-pip "$slot" || fail "$python -m venv failed. apt install python3-venv"
echo "installing into $slot"
set -- wheels/pip-*.whl
"$slot/bin/python" "$1/pip" --isolated --disable-pip-version-check --no-cache-dir --no-input \
    install --no-index --find-links wheels --require-hashes --only-binary :all: --no-deps \
    --no-compile --quiet --requirement "$lock" || fail "pip failed; its words are above"
# a box has a root that cannot be written to: bytecode is made now, and is not compared with sources
"$slot/bin/python" -m compileall -q -f --invalidation-mode unchecked-hash "$slot/lib" ||
    fail "a module cannot be compiled; see above"
"$slot/bin/kerbstone" --version
sync
rm "$slot/unfinished"
trap - EXIT
switch
