#!/usr/bin/env bash
# Pictures of the plugin in a QGIS of its own under a virtual screen, into docs/images.
# Nothing of the user's QGIS is touched: profile, plugins folder and project are temporary.
set -euo pipefail
root="$(cd "$(dirname "$0")/.." && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/plugins" "$work/scenes" "$work/profiles/profiles/default/QGIS"
mkdir -p -m 700 "$work/run"
ln -s "$root" "$work/plugins/terramend"
cp "$root"/sample/two_dates/*.tif "$root"/sample/cloudy/*.tif "$work/scenes/" # QGIS writes beside what it opens
printf '[PythonPlugins]\nterramend=true\nprocessing=true\n[app]\nshowTipOfDay=false\n' \
    >"$work/profiles/profiles/default/QGIS/QGIS3.ini"
export SCENES="$work/scenes" IMAGES="${1:-$root/docs/images}" XDG_RUNTIME_DIR="$work/run"
mkdir -p "$IMAGES"
ln -s "$root/.venv" "$work/venv" # so that no picture shows where the checkout lies
export QGIS_PLUGINPATH="$work/plugins" TERRAMEND_PYTHON="$work/venv/bin/python"
unset VIRTUAL_ENV QT_QPA_PLATFORM
PATH=/usr/bin:/bin timeout 280 xvfb-run -a -s "-screen 0 1400x900x24" \
    qgis --profiles-path "$work/profiles" --nologo --noversioncheck --code "$root/docs/screenshots.py"
ls -1 "$IMAGES"
test -s "$IMAGES/done.txt" && rm "$IMAGES/done.txt"
