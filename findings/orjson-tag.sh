#!/usr/bin/env bash
# A wheel's platform tag can promise less than the wheel keeps.
#
# orjson 3.13.0 for CPython 3.15 on Linux is tagged manylinux_2_39, for 3.14 manylinux_2_17. So pip finds no wheel for
# 3.15 where glibc is older than 2.39: Amazon Linux 2023 (2.34), Debian 12 (2.36), RHEL 9 (2.34). Yet the newest symbol
# version that its shared object asks glibc for is 2.14, as in the wheel for 3.14.
#
# Seen on 2026-11-27 with pip 26.3:
#   3.14, glibc 2.34: a wheel, which needs glibc 2.14
#   3.15, glibc 2.34: no wheel
#   3.15, glibc 2.39: a wheel, which needs glibc 2.14
#
# Exits with 0 while that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

fetch() {  # minor version of Python, minor version of glibc
  local platforms=() minor
  for ((minor = $2; minor >= 17; minor--)); do platforms+=(--platform "manylinux_2_${minor}_x86_64"); done
  python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --implementation cp \
    --python-version "3.$1" --abi "cp3$1" "${platforms[@]}" --dest "$folder/$1-$2" "orjson==3.13.0" 2>/dev/null
}

needed() {  # a folder with a wheel
  python3 - "$1" <<'EOF'
import re, sys, zipfile
from pathlib import Path

(wheel,) = Path(sys.argv[1]).glob("*.whl")
with zipfile.ZipFile(wheel) as archive:
    bodies = [archive.read(name) for name in archive.namelist() if name.endswith(".so")]
print(max(int(minor) for body in bodies for minor in re.findall(rb"\0GLIBC_2\.(\d+)", body)))
EOF
}

fetch 14 34
echo "3.14, glibc 2.34: a wheel, which needs glibc 2.$(needed "$folder/14-34")"
if fetch 15 34; then echo "3.15, glibc 2.34: a wheel, after all"; exit 1; fi
echo "3.15, glibc 2.34: no wheel"
fetch 15 39
echo "3.15, glibc 2.39: a wheel, which needs glibc 2.$(needed "$folder/15-39")"
[ "$(needed "$folder/14-34")" = 14 ] && [ "$(needed "$folder/15-39")" = 14 ]
