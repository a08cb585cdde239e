#!/bin/sh
# Writes requirements/*.txt: exact versions with hashes, for Python 3.11 to 3.13 on x86-64 and
# aarch64 Linux, without the names of hosts. Needs uv (`pip install uv`); UV=... says which.
# Versions stay as they are where they still fit; UPGRADE=1 takes the newest.
set -eu
cd "$(dirname "$0")/.."
UV="${UV:-uv}"
if ! command -v "$UV" >/dev/null; then
    echo "uv is needed: pip install uv, or UV=/path/to/uv $0" >&2
    exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# --python-version: what the lowest Python must be able to install; --universal adds the markers
PROJECT=pyproject.toml  # empty: a group alone, without what the product needs
lock() {
    out=$1
    shift
    # shellcheck disable=SC2086  # a file or none
    "$UV" pip compile --no-config --quiet --universal --python-version 3.11 --generate-hashes \
        --no-emit-index-url --no-annotate --no-header --only-binary :all: \
        --override requirements/overrides \
        $PROJECT -o "$out" "$@"
}

# dlms-cosem is under the Business Source License: it is in "dlms", which nobody is given and whoever
# has such a meter installs by hand, and in "dev" and "fuzz", for the tests of the driver. Not in "box".

# the widest set first; the others take their versions from it, so a package has one version
if [ -z "${UPGRADE:-}" ]; then
    cat requirements/dev.txt requirements/train.txt requirements/site.txt requirements/browser.txt >"$work/widest.txt" 2>/dev/null || true
fi
everything="--extra ml --extra web --extra demo --extra dlms --extra sign --extra link --extra label --extra live --extra city"
# shellcheck disable=SC2086  # several options
lock "$work/widest.txt" $everything --group dev --group train --group fuzz --group site --group browser
for set in \
    "runtime" \
    "ml --extra ml --extra sign" \
    "box --extra ml --extra sign --extra link --extra live --extra web" \
    "web --extra web" \
    "demo --extra ml --extra demo" \
    "dlms --extra dlms" \
    "city --extra city" \
    "dev $everything --group dev" \
    "browser $everything --group dev --group browser" \
    "fuzz $everything --group dev --group fuzz" \
    "train --extra ml --group train"; do
    # shellcheck disable=SC2086  # a name and its options
    set -- $set
    name=$1
    shift
    lock "$work/$name.txt" -c "$work/widest.txt" "$@"
    mv "$work/$name.txt" "requirements/$name.txt"
    echo "requirements/$name.txt: $(grep -c == "requirements/$name.txt") packages"
done

# a tool of the desk, which never imports the product
PROJECT=
lock requirements/site.txt -c "$work/widest.txt" --group site
echo "requirements/site.txt: $(grep -c == requirements/site.txt) packages"

# the gas index algorithm has no wheel: it is compiled where it is installed (.ci/venv)
sed -n 's/^air = \["\([^"]*\)"\].*/\1/p' pyproject.toml | "$UV" pip compile --no-config --quiet \
    --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate \
    --no-header - -o requirements/air.txt

# what the offline bundle brings along to install itself with
echo pip | "$UV" pip compile --no-config --quiet --universal --python-version 3.11 \
    --generate-hashes --no-emit-index-url --no-annotate --no-header --only-binary :all: \
    - -o deploy/package/pip.txt
