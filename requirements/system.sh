#!/bin/sh
# Install what apt must bring, only when it is missing: `venv` (python3-venv), `qgis`.
set -eu
missing=""
for need in "$@"; do
  case "$need" in
    venv)
      "${PYTHON:-python3}" -c "import ensurepip" 2>/dev/null || missing="$missing python3-venv"
      [ ! -x /usr/bin/python3 ] || /usr/bin/python3 -c "import ensurepip" 2>/dev/null || missing="$missing python3-venv" ;;
    qgis)
      /usr/bin/python3 -c "import qgis.core" 2>/dev/null || missing="$missing qgis python3-qgis"
      command -v xvfb-run >/dev/null 2>&1 || missing="$missing xvfb xauth" ;;
  esac
done
[ -n "$missing" ] || exit 0
command -v apt-get >/dev/null 2>&1 || { echo "Please install:$missing" >&2; exit 3; }
SUDO=""
[ "$(id -u)" = 0 ] || SUDO=sudo
echo "Installing with apt:$missing" >&2
$SUDO apt-get update -qq
# shellcheck disable=SC2086 (a list of package names)
DEBIAN_FRONTEND=noninteractive $SUDO apt-get install -y -qq --no-install-recommends $missing >/dev/null
