#!/usr/bin/env bash
# Older upload clients do not run as they are installed today: they bound no newer version of what they rest on.
#
# Seen with Python 3.11:
#   twine 4.0.2 with importlib_metadata 10.2.0: every command ends with KeyError: 'license', as a missing key of metadata is an
#     error there since 8.0; with importlib_metadata 7.2.1 it runs.
#   flit 3.12.0 with flit_core 4.2.0: `flit build --format sdist` ends with TypeError: … unexpected keyword argument
#     'gen_setup_py'; with flit_core 3.12.0 it builds.
# So whoever pins a client pins these, too. Needs python3 with venv, and the package registry. Ends with 1 if this has changed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

install() { # NAME REQUIREMENT…: make the environment, or change it
  [ -d "$folder/$1" ] || python3 -m venv "$folder/$1"
  "$folder/$1/bin/python" -m pip install --quiet --disable-pip-version-check "${@:2}"
}

fails_with() { # TEXT COMMAND…
  if output=$("${@:2}" 2>&1); then
    echo "changed: ${*:2} succeeds"
    exit 1
  fi
  grep --quiet --fixed-strings "$1" <<<"$output" || { echo "changed: ${*:2} says otherwise:"; echo "$output"; exit 1; }
  echo "as seen: ${2##*/} ends with $1"
}

install twine twine==4.0.2 importlib_metadata==10.2.0
fails_with "KeyError: 'license'" "$folder/twine/bin/twine" --version
install twine importlib_metadata==7.2.1
"$folder/twine/bin/twine" --version

mkdir "$folder/project"
cd "$folder/project"
printf '"""A module."""\n\n__version__ = "1.0"\n' >a_module.py
cat >pyproject.toml <<'EOF'
[build-system]
requires = ["flit_core"]
build-backend = "flit_core.buildapi"

[project]
name = "a-module"
dynamic = ["version", "description"]
EOF
install flit flit==3.12.0 flit_core==4.2.0
fails_with "gen_setup_py" "$folder/flit/bin/flit" build --format sdist
install flit flit_core==3.12.0
"$folder/flit/bin/flit" build --format sdist
